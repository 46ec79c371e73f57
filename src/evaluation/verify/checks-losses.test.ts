import { expect, it } from 'vitest';
import { amplifiedTolerance } from './checks-losses.ts';

// Folders of other sizes: with 64-dimensional features of |z|² up to 57, the authors' float32 gradients of the codebook were
// 8e-4 from their float64 ones, and a model that was nearer to the latter failed at 1e-4.
it('allows gradients behind the entropy loss what rounding of the distances comes to', () => {
  // Two pictures of two places, features of two dimensions: |z|² of 1, 4; 57 + 0.25, 0.
  const data = [1, 0, 0, 2, Math.sqrt(57), 0, 0.5, 0];
  const { tolerance, measure } = amplifiedTolerance({ shape: [2, 2, 1, 2], data });
  expect(measure).toBe('relative');
  expect(tolerance).toBeCloseTo((8 * 57.25 * 2 ** -24) / 0.01, 12);
  expect(tolerance).toBeGreaterThan(8.5e-4);
});

it('stays at the tolerance of other gradients where features are short', () => {
  // 16.8 is the longest of tiny-a.
  for (const data of [
    [0.6, 0.8],
    [4, 0.9],
  ]) {
    expect(amplifiedTolerance({ shape: [1, 2, 1, 1], data }).tolerance).toBe(1e-4);
  }
});

it('does not let features of any length excuse any error', () => {
  const { tolerance } = amplifiedTolerance({ shape: [1, 1, 1, 2], data: [1e30, 1] });
  expect(tolerance).toBe(3e-3);
  expect(amplifiedTolerance({ shape: [1, 1, 1, 2], data: [Number.NaN, 1] }).tolerance).toBe(1e-4);
});
