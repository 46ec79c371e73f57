import { expect, test } from 'vitest';
import { bootstrapMean, bootstrapStrata, mean, quantile } from './bootstrap.ts';

test('the interval of a share is near the binomial one, and depends on the seed alone', () => {
  const values = Array.from({ length: 62 }, (_, index) => (index < 56 ? 1 : 0));
  const estimate = bootstrapMean(values, { seed: 3 });
  expect(estimate.value).toBeCloseTo(56 / 62);
  // Standard error √(p(1−p)/n) = 3.8 points.
  expect(estimate.high - estimate.low).toBeGreaterThan(0.11);
  expect(estimate.high - estimate.low).toBeLessThan(0.19);
  expect(bootstrapMean(values, { seed: 3 })).toEqual(estimate);
  const uneven = values.map((value, index) => value + index / 1000);
  expect(bootstrapMean(uneven, { seed: 4 })).not.toEqual(bootstrapMean(uneven, { seed: 3 }));
});

test('strata keep their sizes: a mean of means of constant strata has no spread', () => {
  const strata = [[1, 1, 1], [0], [0.5, 0.5]];
  const estimate = bootstrapStrata(strata, (drawn) => mean(drawn.map((stratum) => mean(stratum))));
  expect(estimate).toEqual({ value: 0.5, low: 0.5, high: 0.5, level: 0.95, units: 6 });
});

test('nothing to draw from is refused', () => {
  expect(() => bootstrapStrata([[]], () => 0)).toThrow(/at least one unit/);
});

test('quantiles lie between neighbours', () => {
  expect(quantile([0, 1, 2, 3], 0.5)).toBe(1.5);
  expect(quantile([0, 1, 2, 3], 1)).toBe(3);
});
