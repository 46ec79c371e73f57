import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readReference, referenceVariants } from '../../../test/reference-vectors.ts';
import { type GridThw, inverseFrequencies, mropePositions, rotaryTables } from './positions.ts';

const golden = JSON.parse(readFileSync(new URL('../../../test/positions/golden.json', import.meta.url), 'utf8')) as {
  rotary: {
    headDim: number;
    theta: number;
    mropeSection: [number, number, number];
    positions: number[][];
    inverseFrequencies: number[];
    cos: number[];
    sin: number[];
  }[];
  rope: { ids: number[]; grids: GridThw[]; positions: number[][]; next: number }[];
};

const tinyTokens = { imageToken: 457, videoToken: 458, visionStart: 454 };
const goldenTokens = { imageToken: 91, videoToken: 92, visionStart: 90 };

test.each(referenceVariants)('%s: the positions of the reference', (variant) => {
  const { input_ids, position_ids } = readReference(variant, 'understand');
  const grid = Array.from(readReference(variant, 'vision').grid_thw!.data) as [number, number, number];
  const { positions, sequence, next } = mropePositions(Array.from(input_ids!.data), tinyTokens, [grid], 2);
  expect(Array.from(positions)).toEqual(Array.from(position_ids!.data));
  expect(next).toBe(Math.max(...positions) + 1);
  expect(sequence).toBe(input_ids!.shape[1]);
});

test.each(golden.rope)('$grids: the positions of transformers', ({ ids, grids, positions, next }) => {
  const own = mropePositions(ids, goldenTokens, grids, 2);
  expect(Array.from(own.positions)).toEqual(positions.flat());
  expect(own.next).toBe(next);
});

test('the next position follows the largest, when a wide image ends the prompt', () => {
  expect(mropePositions([90, 91, 91, 91], goldenTokens, [[1, 2, 6]], 2).next).toBe(4);
  expect(mropePositions([], goldenTokens, [], 2)).toMatchObject({ next: 0, sequence: 0 });
});

describe('mropePositions refuses', () => {
  test.each<[string, number[], GridThw[], RegExp]>([
    ['fewer image tokens than the grid has', [90, 91, 93], [[1, 4, 2]], /image 0: 1 image tokens .* 2 x 1/],
    ['more image tokens than the grid has', [90, 91, 91, 91], [[1, 2, 4]], /3 image tokens .* 1 x 2/],
    ['an image without a grid', [90, 91], [], /image 0 of the prompt has no grid/],
    ['a grid without an image', [1, 2], [[1, 2, 2]], /1 grids given; the prompt shows 0/],
    ['an image token alone', [1, 91], [[1, 2, 2]], /token 1: an image token that does not follow/],
    ['a video', [90, 92], [], /token 1: videos are not supported/],
    ['a grid over time', [90, 91, 91], [[2, 2, 2]], /grid 2 x 2 x 2; expected time 1/],
    ['a grid that does not merge', [90, 91], [[1, 3, 2]], /divisible by 2/],
  ])('%s', (_name, ids, grids, message) => {
    expect(() => mropePositions(ids, goldenTokens, grids, 2)).toThrow(message);
  });
});

describe.each(golden.rotary)('rotary tables of a head of $headDim', (oracle) => {
  const frequencies = inverseFrequencies(oracle.headDim, oracle.theta);
  // The vectorised powf of torch rounds one power of the 64 the other way; its own scalar path agrees with ours.
  const differs = (index: number) => frequencies[index] !== oracle.inverseFrequencies[index];

  test('frequencies equal those of torch, but one in its last bit', () => {
    expect(Array.from(frequencies.keys()).filter(differs)).toEqual(oracle.headDim === 128 ? [37] : []);
    frequencies.forEach((value, index) => {
      expect(Math.abs(value / oracle.inverseFrequencies[index]! - 1)).toBeLessThanOrEqual(2 ** -23);
    });
  });

  test('cosines and sines equal those of torch', () => {
    const positions = Int32Array.from(oracle.positions.flat());
    const { cos, sin } = rotaryTables(positions, oracle.headDim, oracle.theta, oracle.mropeSection);
    const half = oracle.headDim / 2;
    const largest = oracle.positions[0]!.map((_, token) => Math.max(...oracle.positions.map((axis) => axis[token]!)));
    expect(cos.length).toBe(oracle.cos.length);
    cos.forEach((value, index) => {
      const frequency = index % half;
      const angle = largest[Math.floor(index / half)]! * frequencies[frequency]!;
      const tolerance = 2 ** -23 * (1 + (differs(frequency) ? 2 * angle : 0));
      expect(Math.abs(value - oracle.cos[index]!)).toBeLessThanOrEqual(tolerance);
      expect(Math.abs(sin[index]! - oracle.sin[index]!)).toBeLessThanOrEqual(tolerance);
    });
  });
});

test('the axis of each frequency follows the sections', () => {
  const { cos } = rotaryTables(Int32Array.of(1, 0, 0), 8, 1, [1, 2, 1]);
  expect(Array.from(cos)).toEqual([Math.fround(Math.cos(1)), 1, 1, 1]);
  expect(() => rotaryTables(Int32Array.of(1, 0, 0), 8, 1, [1, 2, 2])).toThrow(/sum to 4/);
});
