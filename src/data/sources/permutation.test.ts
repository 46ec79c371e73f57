import { describe, expect, it } from 'vitest';
import { permutedIndex } from './permutation.ts';

const order = (count: number, seed: number, epoch: number) =>
  Array.from({ length: count }, (_, position) => permutedIndex(count, position, seed, epoch));

describe('permutedIndex', () => {
  it('gives every index once, for any count', () => {
    for (const count of [1, 2, 3, 7, 255, 256, 257, 1000, 5000]) {
      expect(order(count, 5, 1).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
    }
  });

  it('depends on seed and epoch, also beyond 32 bits of the seed', () => {
    const orders = [order(50, 1, 0), order(50, 1, 1), order(50, 2, 0), order(50, 2 ** 32 + 1, 0)];
    expect(new Set(orders.map((o) => o.join())).size).toBe(4);
    expect(order(50, 1, 0)).toEqual(orders[0]);
  });

  it('makes all orders of four about equally often', () => {
    const seen = new Map<string, number>();
    for (let epoch = 0; epoch < 4800; epoch++) {
      const key = order(4, 9, epoch).join();
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    expect(seen.size).toBe(24);
    // Expected 200 each; five standard deviations.
    for (const count of seen.values()) expect(Math.abs(count - 200)).toBeLessThan(70);
  });

  it('leaves no trace of the neighbour, at sizes that no list could hold', () => {
    const count = 2 ** 40 + 3;
    const drawn = Array.from({ length: 200 }, (_, position) => permutedIndex(count, position, 3, 0));
    expect(new Set(drawn).size).toBe(200);
    expect(drawn.every((index) => index >= 0 && index < count)).toBe(true);
    const mean = drawn.reduce((sum, index) => sum + index / count, 0) / 200;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.1);
  });
});
