import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ImageError } from './error.ts';
import { type ResizeFilter, resizeImage } from './resize.ts';
import type { RgbImage } from './rgb-image.ts';

type Case = [kind: string, width: number, height: number, toWidth: number, toHeight: number, ResizeFilter, string];
const golden = JSON.parse(
  readFileSync(new URL('../../test/images/resize.json', import.meta.url), 'utf8'),
) as readonly Case[];

/** The inputs of `test/images/pillow_golden.py`: the high byte of a linear congruential generator. */
function source(kind: string, width: number, height: number): RgbImage {
  let state = width * 65536 + height;
  const data = Uint8Array.from({ length: width * height * 3 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const byte = state >>> 24;
    return kind === 'noise' ? byte : (byte & 1) * 255;
  });
  return { width, height, data };
}

describe('resizeImage equals Pillow in every bit', () => {
  it.each(golden)('%s %i x %i -> %i x %i, %s', (kind, width, height, toWidth, toHeight, filter, sha256) => {
    const resized = resizeImage(source(kind, width, height), toWidth, toHeight, filter);
    expect([resized.width, resized.height]).toEqual([toWidth, toHeight]);
    expect(createHash('sha256').update(resized.data).digest('hex')).toBe(sha256);
  });
});

describe('resizeImage', () => {
  it('leaves its input alone and never shares memory with it', () => {
    const image = source('noise', 6, 5);
    const before = image.data.slice();
    const same = resizeImage(image, 6, 5, 'bicubic');
    same.data.fill(0);
    resizeImage(image, 3, 9, 'lanczos');
    expect(image.data).toEqual(before);
  });

  it.each([
    [0, 4],
    [4, -1],
    [2.5, 4],
    [Number.NaN, 4],
  ])('refuses the size %s x %s', (width, height) => {
    expect(() => resizeImage(source('noise', 4, 4), width, height, 'bilinear')).toThrowError(
      expect.objectContaining({ code: 'image_invalid' } satisfies Partial<ImageError>),
    );
  });

  it('refuses an image whose bytes do not fit its size', () => {
    const rgba = { width: 4, height: 4, data: new Uint8Array(64) };
    expect(() => resizeImage(rgba, 2, 2, 'bilinear')).toThrowError(/expected 48 bytes .* got 64/);
  });
});
