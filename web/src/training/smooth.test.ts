import { expect, it } from 'vitest';
import { smooth, thin } from './smooth.ts';

it('averages without a pull towards zero at the start', () => {
  expect(smooth([4, 4, 4], 0.9)).toEqual([4, 4, 4].map((value) => expect.closeTo(value)));
  expect(smooth([1, 2], 0)).toEqual([1, 2]);
  expect(smooth([0, 1], 0.5)[1]).toBeCloseTo(2 / 3);
  expect(smooth([2, Number.NaN, 2], 0.5)).toEqual([2, Number.NaN, 2]);
});

it('keeps peaks when it thins', () => {
  const values = Array.from({ length: 10_000 }, (_, i) => (i === 4321 ? 9 : i === 7777 ? -9 : Math.sin(i)));
  const kept = thin(values, 500);
  expect(kept.length).toBeLessThanOrEqual(500);
  expect(kept).toContain(4321);
  expect(kept).toContain(7777);
  expect(kept).toEqual([...kept].sort((a, b) => a - b));
  expect(thin([1, 2, 3], 10)).toEqual([0, 1, 2]);
});
