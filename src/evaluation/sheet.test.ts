import { expect, test } from 'vitest';
import type { RgbImage } from '../image/rgb-image.ts';
import { formatTable } from './report.ts';
import { judgedSheet } from './sheet.ts';

const flat = (level: number): RgbImage => ({ width: 2, height: 2, data: new Uint8Array(12).fill(level) });

test('pictures stand row by row in frames of their verdict', () => {
  const sheet = judgedSheet(
    [
      { image: flat(10), verdict: 'right', text: '' },
      { image: flat(20), verdict: 'wrong', text: '' },
      { image: flat(30), verdict: 'none', text: '' },
    ],
    { columns: 2, scale: 1 },
  );
  expect([sheet.width, sheet.height]).toEqual([18, 18]);
  const at = (x: number, y: number) => [
    ...sheet.data.subarray((y * sheet.width + x) * 3, (y * sheet.width + x) * 3 + 3),
  ];
  expect(at(8, 0)).toEqual([255, 255, 255]);
  expect(at(0, 0)).toEqual([0x2e, 0xa0, 0x43]);
  expect(at(3, 3)).toEqual([10, 10, 10]);
  expect(at(10, 0)).toEqual([0xcf, 0x22, 0x2e]);
  expect(at(3, 13)).toEqual([30, 30, 30]);
  expect(() => judgedSheet([])).toThrow(/no pictures/);
});

test('tables set numbers to the right and say what is missing', () => {
  const text = formatTable({
    title: 'T',
    columns: ['name', 'n'],
    rows: [
      ['a', 0.5],
      ['long', 12],
      ['x', null],
    ],
  });
  expect(text).toBe('T\n  name      n\n  a     0.500\n  long     12\n  x         -\n');
});
