import { describe, expect, test } from 'vitest';
import {
  sampleConditions,
  sampleMisreading,
  sampleNoise,
  sampleNumber,
  sampleSigma,
  trainingSigmas,
} from './alignment-chance.ts';

const numbers = Array.from({ length: 20_000 }, (_, index) => index);
const shareOf = (holds: (number: number) => boolean) => numbers.filter(holds).length / numbers.length;

describe('noise levels', () => {
  const scheduler = { trainTimesteps: 1000, shift: 6, terminal: undefined };
  const levels = trainingSigmas(scheduler);

  test('are the scheduler’s: 1 to 1 / 1000, shifted', () => {
    expect(levels).toHaveLength(1000);
    for (const index of [0, 1, 499, 500, 998, 999]) {
      const plain = (1000 - index) / 1000;
      expect(levels[index]).toBeCloseTo((6 * plain) / (1 + 5 * plain), 6);
    }
  });

  test('take no dynamic shift and no last level', () => {
    const shift = { kind: 'exponential', base: 0.5, max: 1.15, baseTokens: 256, maxTokens: 4096 } as const;
    const plain = trainingSigmas({ trainTimesteps: 10, shift, terminal: 0.3 });
    expect([...plain].map((level) => Math.round(level * 1e6) / 1e6)).toEqual([
      1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1,
    ]);
  });

  // Shares below the middle of the schedule: a half of a uniform number, Φ((0 − mean) / deviation) of the normal one.
  test.each([
    [{ kind: 'uniform' }, 0.5, 0.25],
    [{ kind: 'logit-normal', mean: 0, deviation: 1 }, 0.5, 0.1359],
    [{ kind: 'logit-normal', mean: 1, deviation: 1 }, 0.1587, 0.018],
    [{ kind: 'logit-normal', mean: 1, deviation: 2 }, 0.3085, 0.1472],
  ] as const)('are drawn as %o says', (density, half, quarter) => {
    const sigma = (number: number) => sampleSigma(levels, density, 3, number);
    expect(Math.abs(shareOf((number) => sigma(number) > levels[500]!) - half)).toBeLessThan(0.012);
    expect(Math.abs(shareOf((number) => sigma(number) > levels[250]!) - quarter)).toBeLessThan(0.012);
  });

  test('stay in the schedule at the ends of the logistic function', () => {
    const at = (mean: number) => sampleSigma(levels, { kind: 'logit-normal', mean, deviation: 1 }, 0, 0);
    expect([at(1000), at(-1000)]).toEqual([levels[999], levels[0]]);
  });
});

describe('dropout', () => {
  const dropout = { conditions: 0.1, codes: 0.15 };
  const told = (hasSource: boolean) => (number: number) =>
    sampleConditions(dropout, { codes: !hasSource, source: hasSource }, 7, number);
  const near = (share: number, expected: number) => expect(Math.abs(share - expected)).toBeLessThan(0.01);

  test('drops captions, sources and codes as often as asked, and together as published', () => {
    const [edit, draw] = [told(true), told(false)];
    near(
      shareOf((number) => !edit(number).caption),
      0.2,
    );
    near(
      shareOf((number) => !edit(number).source),
      0.2,
    );
    near(
      shareOf((number) => !edit(number).source && !edit(number).caption),
      0.1,
    );
    near(
      shareOf((number) => !draw(number).caption),
      0.2,
    );
    near(
      shareOf((number) => !draw(number).codes),
      0.15,
    );
    // Both come of one number: no codes, no caption.
    expect(shareOf((number) => !draw(number).codes && draw(number).caption)).toBe(0);
  });

  test('never shows codes beside a source, nor a source where there is none', () => {
    expect(shareOf((number) => told(true)(number).codes || told(false)(number).source)).toBe(0);
  });

  test('of 0 drops nothing', () => {
    const none = { conditions: 0, codes: 0 };
    const both = { codes: true, source: true };
    expect(shareOf((number) => sampleConditions(none, both, 7, number).source)).toBe(1);
    const draw = (number: number) => sampleConditions(none, both, 7, number);
    expect(shareOf((number) => draw(number).caption && draw(number).codes)).toBe(1);
  });
});

test('a sample’s codes are misread by a distance of its own, evenly up to the most, and the same again', () => {
  const distances = numbers.map((number) => sampleMisreading(0.4, 9, number).distance);
  expect(Math.min(...distances)).toBeGreaterThan(0);
  expect(Math.max(...distances)).toBeLessThanOrEqual(0.4);
  expect(Math.abs(shareOf((number) => distances[number]! < 0.1) - 0.25)).toBeLessThan(0.012);
  const chances = (number: number) => [0, 1, 2].map(sampleMisreading(0.4, 9, number).chance);
  expect(new Set([...chances(3), ...chances(4)]).size).toBe(6);
  expect(chances(3)).toEqual(chances(3));
});

test('a sample has its own Gaussian numbers for each use, and the same again', () => {
  const noise = (number: number, use: 'latents' | 'source' | 'noise') => sampleNoise([2, 4, 8, 8], 5, number, use);
  const all = [
    noise(sampleNumber(3, false), 'noise'),
    noise(sampleNumber(3, true), 'noise'),
    noise(sampleNumber(3, true), 'latents'),
    noise(sampleNumber(3, true), 'source'),
  ];
  expect(all[0]!.shape).toEqual([1, 4, 8, 8]);
  expect(new Set(all.map(({ data }) => data.join())).size).toBe(4);
  expect(noise(sampleNumber(3, false), 'noise')).toEqual(all[0]);
  const variance = all[0]!.data.reduce((sum, value) => sum + value ** 2, 0) / all[0]!.data.length;
  expect(Math.abs(variance - 1)).toBeLessThan(0.3);
});
