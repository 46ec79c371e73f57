import { expect, test } from 'vitest';
import type { RgbImage } from '../../image/rgb-image.ts';
import { l1Of, meanSquaredError, psnrOf, ssimOf } from '../../image/similarity.ts';
import { uniform } from '../../tensor/random.ts';
import { codebookUse, expectedUniformUsage } from './codebook.ts';

const flat = (level: number, side = 16): RgbImage => ({
  width: side,
  height: side,
  data: new Uint8Array(side * side * 3).fill(level),
});
const noise = (seed: number, side = 16): RgbImage => ({
  width: side,
  height: side,
  data: Uint8Array.from({ length: side * side * 3 }, (_, i) => Math.floor(uniform(seed, 0, i) * 256)),
});

test('L1 and PSNR of a constant difference', () => {
  expect(l1Of(flat(0), flat(51))).toBeCloseTo(0.2, 12);
  expect(psnrOf(flat(0), flat(51))).toBeCloseTo(-10 * Math.log10(0.04), 10);
  expect(psnrOf(flat(7), flat(7))).toBe(Number.POSITIVE_INFINITY);
  expect(psnrOf(flat(0), flat(255))).toBeCloseTo(0, 12);
});

test('a mask leaves pixels out', () => {
  const half = flat(0);
  half.data.fill(255, 0, (16 * 16 * 3) / 2);
  expect(meanSquaredError(half, flat(0), (pixel) => pixel < 128)).toBe(1);
  expect(meanSquaredError(half, flat(0), (pixel) => pixel >= 128)).toBe(0);
  expect(meanSquaredError(half, flat(0), () => false)).toBeNull();
});

test('SSIM: 1 for equal pictures, luminance alone for flat ones, near 0 for independent noise', () => {
  expect(ssimOf(noise(1), noise(1))).toBeCloseTo(1, 12);
  const [x, y] = [100 / 255, 150 / 255];
  const c1 = 0.01 ** 2;
  expect(ssimOf(flat(100), flat(150))).toBeCloseTo((2 * x * y + c1) / (x * x + y * y + c1), 10);
  const [a, b] = [noise(1, 48), noise(2, 48)];
  expect(Math.abs(ssimOf(a, b))).toBeLessThan(0.1);
  // A data range of 2 flatters.
  expect(ssimOf(a, b, 2)).toBeGreaterThan(ssimOf(a, b));
});

test('SSIM of pictures that are too small or differ in size is refused', () => {
  expect(() => ssimOf(flat(0, 8), flat(0, 8))).toThrow(/at least 11/);
  expect(() => ssimOf(flat(0, 16), flat(0, 17))).toThrow(/one size/);
});

test('usage of uniform codes: the values of EVALUATION.md, section 7', () => {
  const percent = (images: number) => 100 * expectedUniformUsage(65_536, images * 576);
  expect(percent(100)).toBeCloseTo(58.5, 0);
  expect(percent(114)).toBeCloseTo(63.3, 0);
  expect(percent(500)).toBeCloseTo(98.8, 1);
  expect(percent(1000)).toBeCloseTo(99.98, 1);
});

test('usage and perplexity count tokens', () => {
  const even = codebookUse([0, 1, 2, 3, 0, 1, 2, 3], 8);
  expect(even).toMatchObject({ tokens: 8, usage: 0.5 });
  expect(even.perplexity).toBeCloseTo(4, 10);
  expect(codebookUse([5, 5, 5], 8).perplexity).toBeCloseTo(1, 12);
  expect(() => codebookUse([8], 8)).toThrow(/below 8/);
  expect(() => codebookUse([], 8)).toThrow(/no codes/);
});
