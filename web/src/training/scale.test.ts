import { expect, it } from 'vitest';
import { marksOf, placeOf, scaleOf, shortNumber } from './scale.ts';

it('holds all finite values, and above 0 alone where it is logarithmic', () => {
  const values = [3, Number.NaN, -1, 100, Infinity];
  expect(scaleOf(values, false)).toEqual({ from: -1, to: 100, log: false });
  expect(scaleOf(values, true)).toEqual({ from: 3, to: 100, log: true });
  expect(scaleOf([Number.NaN], false)).toBeUndefined();
  expect(scaleOf([0, -2], true)).toBeUndefined();
  expect(placeOf(scaleOf([5, 5], false)!, 5)).toBe(0.5);
  expect(placeOf(scaleOf([5], true)!, 5)).toBeCloseTo(0.5);
});

it('places values', () => {
  expect(placeOf({ from: 10, to: 30, log: false }, 20)).toBe(0.5);
  expect(placeOf({ from: 1, to: 100, log: true }, 10)).toBeCloseTo(0.5);
  expect(placeOf({ from: 1, to: 100, log: true }, 0)).toBeNaN();
});

it('marks round numbers inside', () => {
  expect(marksOf({ from: 0, to: 1, log: false }, 4)).toEqual([0, 0.5, 1]);
  expect(marksOf({ from: 0.3, to: 9.7, log: false }, 5)).toEqual([2, 4, 6, 8]);
  expect(marksOf({ from: 1e-5, to: 0.1, log: true }, 5)).toEqual([1e-5, 1e-4, 1e-3, 1e-2, 1e-1]);
  expect(marksOf({ from: 2, to: 4, log: true }, 4)).toEqual([2, 2.5, 3, 3.5, 4]);
});

it('writes numbers short', () => {
  expect([0, 0.00001234, 0.0123456, 1234.5678, 2e6, Number.NaN].map(shortNumber)).toEqual([
    '0',
    '1.2e-5',
    '0.01235',
    '1235',
    '2e6',
    'NaN',
  ]);
});
