import { expect, it } from 'vitest';
import { contactSheet } from './contact-sheet.ts';

it('puts pictures in rows on white', () => {
  const picture = (width: number, height: number, level: number) => ({
    ...{ width, height },
    data: new Uint8Array(width * height * 3).fill(level),
  });
  const sheet = contactSheet([picture(2, 1, 1), picture(1, 2, 2), picture(2, 2, 3)]);
  const reds = Array.from({ length: sheet.height }, (_, row) =>
    Array.from({ length: sheet.width }, (_, column) => sheet.data[(row * sheet.width + column) * 3]!),
  );
  const white = 255;
  expect(reds).toEqual([
    [1, 1, white, white, 2, white],
    [white, white, white, white, 2, white],
    new Array(6).fill(white),
    new Array(6).fill(white),
    [3, 3, white, white, white, white],
    [3, 3, white, white, white, white],
  ]);
  expect(contactSheet([picture(3, 2, 9)])).toEqual(picture(3, 2, 9));
});
