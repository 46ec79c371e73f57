import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { GridThw } from './positions.ts';
import { visionLayout } from './vision-layout.ts';

const golden = JSON.parse(readFileSync(new URL('../../../test/positions/golden.json', import.meta.url), 'utf8')) as {
  vision: {
    grids: GridThw[];
    windowSize: number;
    spatialMergeSize: number;
    headDim: number;
    step: number;
    windowIndex: number[];
    cuWindows: number[];
    cuFrames: number[];
    cos: number[];
    sin: number[];
  }[];
};

const cumulative = (lengths: Int32Array) => {
  let sum = 0;
  return [0, ...Array.from(lengths, (length) => (sum += length))];
};

test.each(golden.vision)('$grids, windows of $windowSize: the layout of transformers', (oracle) => {
  const layout = visionLayout(oracle.grids, { ...oracle, patchSize: 14, ropeTheta: 10_000 });
  expect(Array.from(layout.windowIndex)).toEqual(oracle.windowIndex);
  expect(cumulative(layout.windowLengths)).toEqual(oracle.cuWindows);
  expect(cumulative(layout.frameLengths)).toEqual(oracle.cuFrames);
  expect(layout.patches).toBe(oracle.cuFrames.at(-1));
  expect(layout.tokens).toBe(oracle.windowIndex.length);
  layout.inverseWindowIndex.forEach((place, block) => {
    expect(layout.windowIndex[place]).toBe(block);
  });
  const { cos, sin } = layout.rotary;
  expect(cos.length).toBe((layout.patches * oracle.headDim) / 2);
  for (const [own, expected] of [
    [cos, oracle.cos],
    [sin, oracle.sin],
  ] as const) {
    const sampled = own.filter((_, index) => index % oracle.step === 0);
    expect(sampled.length).toBe(expected.length);
    expect(Math.max(...sampled.map((value, index) => Math.abs(value - expected[index]!)))).toBeLessThanOrEqual(
      2 ** -23,
    );
  }
});

const config = { patchSize: 14, spatialMergeSize: 2, windowSize: 112, headDim: 16, ropeTheta: 10_000 };

test.each<[GridThw[], RegExp]>([
  [[[1, 3, 4]], /grid 1 x 3 x 4: expected sides divisible by 2/],
  [[[0, 4, 4]], /grid 0 x 4 x 4/],
  [[[1, 4, 4.5]], /grid 1 x 4 x 4\.5/],
  [[[1, 4096, 4096]], /16777216 patches; expected 1 to/],
  [[], /0 patches/],
])('refuses %j', (grids, message) => {
  expect(() => visionLayout(grids, config)).toThrow(message);
});
