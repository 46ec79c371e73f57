import { describe, expect, it } from 'vitest';
import { resizeImage } from '../../image/resize.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { squarePicture, transformChance } from './transforms.ts';

/** Red counts columns, green counts rows. */
function grid(width: number, height: number): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data.set([i % width, Math.floor(i / width), 7], i * 3);
  return { width, height, data };
}
const middle = { crop: 0.5, flip: 0.5 };
const corner = ({ data }: RgbImage) => [data[0], data[1]];

describe('squarePicture', () => {
  it('keeps the middle, or a place by chance', () => {
    expect(corner(squarePicture(grid(9, 3), { size: 3 }, middle))).toEqual([3, 0]);
    expect(corner(squarePicture(grid(3, 9), { size: 3 }, middle))).toEqual([0, 3]);
    const at = (crop: number) => corner(squarePicture(grid(9, 3), { size: 3, crop: 'random' }, { crop, flip: 0 }))[0];
    expect([at(0), at(0.5), at(0.999999)]).toEqual([0, 3, 6]);
  });

  it('resizes as the project does', () => {
    const image = grid(8, 8);
    expect(squarePicture(image, { size: 5, filter: 'lanczos' }, middle)).toEqual(resizeImage(image, 5, 5, 'lanczos'));
  });

  it('pads with the fill and keeps all of the picture', () => {
    const { data } = squarePicture(grid(4, 2), { size: 4, crop: 'pad', fill: [1, 2, 3] }, middle);
    expect([...data.subarray(0, 12)]).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
    expect([...data.subarray(12, 18)]).toEqual([0, 0, 7, 1, 0, 7]);
    expect([...data.subarray(45, 48)]).toEqual([1, 2, 3]);
    const thin = squarePicture(grid(1000, 1), { size: 8, crop: 'pad' }, middle);
    expect(thin.data.length).toBe(8 * 8 * 3);
  });

  it('mirrors by chance, and twice is nothing', () => {
    const once = squarePicture(grid(3, 3), { size: 3, flip: 1 }, middle);
    expect(corner(once)).toEqual([2, 0]);
    expect(squarePicture(once, { size: 3, flip: 1 }, middle)).toEqual(grid(3, 3));
    expect(squarePicture(grid(3, 3), { size: 3, flip: 0 }, { crop: 0, flip: 0 })).toEqual(grid(3, 3));
    expect(() => squarePicture(grid(3, 3), { size: 3, flip: Number.NaN }, middle)).toThrow(/flip/);
  });

  it('has chances of its own for every place', () => {
    const chances = [
      transformChance(1, 0, 0),
      transformChance(1, 0, 1),
      transformChance(1, 1, 0),
      transformChance(2, 0, 0),
    ];
    expect(new Set(chances.flatMap(({ crop, flip }) => [crop, flip])).size).toBe(8);
  });
});
