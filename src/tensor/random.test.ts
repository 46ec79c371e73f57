import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillNormal, normal, philox4x32, uniform } from './random.ts';

const hex = (words: readonly number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('philox4x32', () => {
  // kat_vectors of Random123, the authors' own library.
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ] as const)('gives the published answer for counter %s, key %s', (counter, key, expected) => {
    expect(hex(philox4x32(counter, key))).toBe(expected);
  });

  it('multiplies words exactly: equal to the same rounds in big integers', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
        expect(hex(philox4x32(counter, key))).toBe(hex(bigPhilox(counter, key)));
      }),
    );
  });
});

function bigPhilox(counter: readonly number[], key: readonly number[]): number[] {
  let c = counter.map(BigInt);
  let k = key.map(BigInt);
  const mask = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * c[0]!, 0xcd9e8d57n * c[2]!];
    c = [(p1 >> 32n) ^ c[1]! ^ k[0]!, p1 & mask, (p0 >> 32n) ^ c[3]! ^ k[1]!, p0 & mask];
    k = [(k[0]! + 0x9e3779b9n) & mask, (k[1]! + 0xbb67ae85n) & mask];
  }
  return c.map(Number);
}

describe('uniform and normal', () => {
  const numbers = (draw: (counter: number) => number, count = 20_000) =>
    Array.from({ length: count }, (_, counter) => draw(counter));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

  it('takes its number from the first word: seed is the key, counter and stream the counter', () => {
    const [first] = philox4x32([5, 0, 3, 0], [7, 0]);
    expect(uniform(7, 3, 5)).toBe((first >>> 8) / 2 ** 24);
    const high = philox4x32([0, 1, 0, 2], [0, 0x1fffff]);
    expect(uniform(0x1fffff * 2 ** 32, 2 ** 33, 2 ** 32)).toBe((high[0] >>> 8) / 2 ** 24);
  });

  it('is exact in float32 and lies in [0, 1)', () => {
    for (const value of numbers((counter) => uniform(1, 0, counter), 2000)) {
      expect(Math.fround(value)).toBe(value);
      expect(value >= 0 && value < 1).toBe(true);
    }
  });

  it('tells seeds, streams and counters apart, in both halves of a word', () => {
    const places: readonly (readonly [number, number, number])[] = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
      [2 ** 32, 0, 0],
      [0, 2 ** 32, 0],
      [0, 0, 2 ** 32],
      [2 ** 53 - 1, 0, 0],
      [0, 0, 0],
    ];
    expect(new Set(places.map(([seed, stream, counter]) => uniform(seed, stream, counter))).size).toBe(places.length);
    expect(new Set(places.map(([seed, stream, counter]) => normal(seed, stream, counter))).size).toBe(places.length);
  });

  it('has the moments of its distribution', () => {
    const flat = numbers((counter) => uniform(42, 1, counter));
    expect(mean(flat)).toBeCloseTo(0.5, 2);
    expect(mean(flat.map((value) => (value - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
    const bell = numbers((counter) => normal(42, 1, counter));
    expect(Math.abs(mean(bell))).toBeLessThan(0.03);
    expect(Math.abs(mean(bell.map((value) => value ** 2)) - 1)).toBeLessThan(0.05);
    expect(Math.abs(mean(bell.map((value) => value ** 4)) - 3)).toBeLessThan(0.3);
    // Neighbours, and the uniform number of the same place, say nothing about a draw.
    expect(Math.abs(mean(bell.slice(1).map((value, index) => value * bell[index]!)))).toBeLessThan(0.03);
    expect(Math.abs(mean(bell.map((value, index) => value * (flat[index]! - 0.5))))).toBeLessThan(0.03);
  });

  it('fills with the numbers of a stream', () => {
    const values = new Float32Array(9);
    fillNormal(values.subarray(1), 2 ** 33 + 7, 2 ** 40 + 3);
    expect([...values]).toEqual([
      0,
      ...Array.from({ length: 8 }, (_, at) => Math.fround(normal(2 ** 33 + 7, 2 ** 40 + 3, at))),
    ]);
    expect(() => fillNormal(values, 0.5, 0)).toThrow('seed must be a whole number');
  });

  it.each([
    [-1, 0, 0, 'seed'],
    [0, 1.5, 0, 'stream'],
    [0, 0, 2 ** 53, 'counter'],
    [Number.NaN, 0, 0, 'seed'],
  ] as const)('refuses (%s, %s, %s)', (seed, stream, counter, what) => {
    expect(() => uniform(seed, stream, counter)).toThrow(`${what} must be a whole number`);
    expect(() => normal(seed, stream, counter)).toThrow(`${what} must be a whole number`);
  });
});
