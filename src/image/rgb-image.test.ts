import { describe, expect, it } from 'vitest';
import { readReference, referenceVariants } from '../../test/reference-vectors.ts';
import { imageFromFloat, imageToFloat, type RgbImage } from './rgb-image.ts';

const everyByte: RgbImage = {
  width: 16,
  height: 16,
  data: Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)),
};

describe('imageToFloat', () => {
  it('puts channels first and maps bytes onto [-1, 1] in float32 steps', () => {
    const image: RgbImage = { width: 2, height: 1, data: Uint8Array.of(0, 51, 255, 1, 2, 3) };
    const step = (byte: number) => Math.fround(Math.fround(Math.fround(byte / 255) - 0.5) / 0.5);
    expect([...imageToFloat(image)]).toEqual([-1, step(1), step(51), step(2), 1, step(3)]);
  });

  it('refuses RGBA bytes', () => {
    expect(() => imageToFloat({ width: 2, height: 2, data: new Uint8Array(16) })).toThrowError(/expected 12 bytes/);
  });
});

describe('imageFromFloat', () => {
  it('cuts instead of rounding, and clips, as the published script does', () => {
    // numpy: np.clip((x + 1) / 2 * 255, 0, 255).astype(np.uint8) of float32 values
    const values = Float32Array.of(-1, -0.9999, 0, 0.003, 0.9999, 1, 1.7, -3, 0.99999999, -0.5, 0.5, 0.25);
    const image = imageFromFloat(values, 2, 2);
    expect([...image.data]).toEqual([0, 254, 255, 0, 255, 63, 127, 255, 191, 127, 0, 159]);
  });

  it('is at most one level below the image that the floats came from', () => {
    const { data } = imageFromFloat(imageToFloat(everyByte), 16, 16);
    const lost = data.map((level, i) => everyByte.data[i]! - level);
    expect(Math.max(...lost)).toBe(1);
  });

  it.each(referenceVariants)('takes what the reference decoder of %s puts out', (variant) => {
    const { shape, data } = readReference(variant, 'vq').reconstruction!;
    const [, , height, width] = shape as [number, number, number, number];
    const image = imageFromFloat(data.slice(0, 3 * height * width) as Float32Array, width, height);
    const level = (Math.min(Math.max(data[height * width + 5]!, -1), 1) + 1) * 127.5;
    expect(Math.abs(image.data[5 * 3 + 1]! + 0.5 - level)).toBeLessThan(0.5001);
  });

  it('refuses values that are not finite and lengths that do not fit', () => {
    expect(() => imageFromFloat(Float32Array.of(0, 0, Number.NaN), 1, 1)).toThrowError(/got NaN at \[2, 0, 0\]/);
    expect(() => imageFromFloat(new Float32Array(4), 1, 1)).toThrowError(/expected 3 values/);
  });
});
