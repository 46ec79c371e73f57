import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { NumericArray } from '../../test/tensor/array.ts';
import { runProgram } from '../../test/tensor/session.ts';
import { compile, input } from '../tensor/index.ts';
import { type OptimizerOptions, optimizerSettings, updateWeights } from './optimizer.ts';

interface Golden {
  settings: OptimizerOptions;
  rates: number[];
  shapes: number[][];
  weights: number[][];
  gradients: number[][][];
  results: Record<
    'matrices' | 'all',
    { steps: { norm: number; weights: number[][] }[]; firstMoments: number[][]; secondMoments: number[][] }
  >;
}
const golden = readGolden<Golden>('adamw');

interface GoldenMuon {
  weightDecay: number;
  rates: number[];
  shapes: number[][];
  weights: number[][];
  gradients: number[][][];
  steps: number[][][];
  momentum: number[][];
}
const goldenMuon = readGolden<GoldenMuon>('muon');

/** What PyTorch computed: `test/training/NAME.py` wrote it. */
function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../../test/training/${name}.json`, import.meta.url), 'utf8')) as T;
}

/** One update of tensors of these shapes, with everything as inputs. */
function compileUpdate(shapes: readonly number[][], options: OptimizerOptions, inner?: readonly boolean[]) {
  const ports = (name: string) => shapes.map((shape, index) => input(`${name}${index}`, 'float32', shape));
  const [weights, first, second, gradients] = ['weight', 'first', 'second', 'gradient'].map(ports) as [
    ReturnType<typeof ports>,
    ReturnType<typeof ports>,
    ReturnType<typeof ports>,
    ReturnType<typeof ports>,
  ];
  const loss = input('loss', 'float32', []);
  const updates = input('updates', 'int64', []);
  const learningRate = input('rate', 'float32', []);
  const tensors = weights.map((weight, index) => ({
    weight,
    firstMoment: first[index]!,
    secondMoment: second[index]!,
  }));
  const result = updateWeights({ tensors, gradients, loss, updates, learningRate, inner }, optimizerSettings(options));
  const outputs = result.tensors.flatMap(({ weight, firstMoment, secondMoment }, index) => [
    [`next.weight${index}`, weight] as const,
    [`next.first${index}`, firstMoment] as const,
    [`next.second${index}`, secondMoment] as const,
  ]);
  return compile({
    name: 'update',
    inputs: [...weights, ...first, ...second, ...gradients, loss, updates, learningRate],
    outputs: {
      ...Object.fromEntries(outputs),
      'next.updates': result.updates,
      norm: result.gradientNorm,
      applied: result.applied,
    },
  });
}

const array = (shape: readonly number[], values: ArrayLike<number>): NumericArray => ({
  shape: [...shape],
  data: Float64Array.from(values),
});

function startFeeds({ shapes, weights }: Pick<Golden, 'shapes' | 'weights'> = golden) {
  const feeds: Record<string, NumericArray> = { updates: array([], [0]), loss: array([], [1]) };
  shapes.forEach((shape, index) => {
    const zeros = weights[index]!.map(() => 0);
    feeds[`weight${index}`] = array(shape, weights[index]!);
    feeds[`first${index}`] = array(shape, zeros);
    feeds[`second${index}`] = array(shape, zeros);
  });
  return feeds;
}

function expectClose(actual: ArrayLike<number>, expected: readonly number[], what: string) {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, index) => {
    expect(Math.abs(actual[index]! - value), `${what}[${index}]`).toBeLessThan(2e-6 * Math.max(1e-3, Math.abs(value)));
  });
}

describe('AdamW', () => {
  it.each(['matrices', 'all'] as const)('does what PyTorch does, with decay of %s', async (decayed) => {
    const program = compileUpdate(golden.shapes, { ...golden.settings, decayed });
    const feeds = startFeeds();
    const expected = golden.results[decayed];
    for (const [step, rate] of golden.rates.entries()) {
      golden.shapes.forEach((shape, index) => {
        feeds[`gradient${index}`] = array(shape, golden.gradients[step]![index]!);
      });
      feeds.rate = array([], [rate]);
      const result = await runProgram(program, feeds);
      expect(result.applied!.data[0]).toBe(1);
      expectClose(result.norm!.data, [expected.steps[step]!.norm], `norm of step ${step}`);
      golden.shapes.forEach((_, index) => {
        expectClose(result[`next.weight${index}`]!.data, expected.steps[step]!.weights[index]!, `weight${index}`);
      });
      for (const name of Object.keys(feeds)) if (result[`next.${name}`]) feeds[name] = result[`next.${name}`]!;
    }
    golden.shapes.forEach((_, index) => {
      expectClose(feeds[`first${index}`]!.data, expected.firstMoments[index]!, `first${index}`);
      expectClose(feeds[`second${index}`]!.data, expected.secondMoments[index]!, `second${index}`);
    });
    expect(feeds.updates!.data[0]).toBe(golden.rates.length);
  });

  it.each([
    ['a gradient that is not a number', { gradient: Number.NaN }],
    ['an infinite gradient', { gradient: -Infinity }],
    ['gradients whose norm overflows', { gradient: 1e30 }],
    ['an infinite loss', { loss: Infinity }],
    ['a loss that is not a number', { loss: Number.NaN }],
  ])('leaves everything as it was for %s', async (_, broken: { gradient?: number; loss?: number }) => {
    const program = compileUpdate(golden.shapes, golden.settings);
    const feeds = startFeeds();
    golden.shapes.forEach((shape, index) => {
      feeds[`gradient${index}`] = array(shape, golden.gradients[0]![index]!);
    });
    feeds.rate = array([], [0.1]);
    if (broken.gradient !== undefined) feeds.gradient1!.data[2] = broken.gradient;
    if (broken.loss !== undefined) feeds.loss = array([], [broken.loss]);
    const result = await runProgram(program, feeds);
    expect(result.applied!.data[0]).toBe(0);
    for (const name of ['updates', ...[0, 1].flatMap((i) => [`weight${i}`, `first${i}`, `second${i}`])]) {
      expect([...result[`next.${name}`]!.data], name).toEqual([...feeds[name]!.data].map(Math.fround));
    }
  });

  it('refuses settings out of range', () => {
    for (const options of [
      { beta1: 1 },
      { beta2: -0.1 },
      { epsilon: 0 },
      { weightDecay: Number.NaN },
      { clipNorm: 0 },
      { clipNorm: Number.NaN },
      { matrices: 'sgd' as 'muon' },
    ]) {
      expect(() => optimizerSettings(options), JSON.stringify(options)).toThrow(/expected/);
    }
    expect(optimizerSettings({ clipNorm: Infinity }).clipNorm).toBe(Infinity);
  });
});

describe('Muon', () => {
  const { shapes, weightDecay } = goldenMuon;
  const settings: OptimizerOptions = { matrices: 'muon', weightDecay, clipNorm: Infinity };

  it('does what PyTorch does in float64 with the rate that AdamW takes', async () => {
    const program = compileUpdate(shapes, settings, [true, true]);
    const feeds = startFeeds(goldenMuon);
    for (const [step, rate] of goldenMuon.rates.entries()) {
      shapes.forEach((shape, index) => {
        feeds[`gradient${index}`] = array(shape, goldenMuon.gradients[step]![index]!);
      });
      feeds.rate = array([], [rate]);
      const result = await runProgram(program, feeds);
      shapes.forEach((_, index) => {
        const actual = result[`next.weight${index}`]!.data;
        goldenMuon.steps[step]![index]!.forEach((value, at) => {
          expect(Math.abs(actual[at]! - value), `weight${index}[${at}] of step ${step}`).toBeLessThan(2e-6);
        });
      });
      for (const name of Object.keys(feeds)) if (result[`next.${name}`]) feeds[name] = result[`next.${name}`]!;
    }
    shapes.forEach((_, index) => {
      expectClose(feeds[`first${index}`]!.data, goldenMuon.momentum[index]!, `first${index}`);
    });
  });

  it('leaves to AdamW what is no matrix inside the network', async () => {
    const feeds = startFeeds(goldenMuon);
    shapes.forEach((shape, index) => {
      feeds[`gradient${index}`] = array(shape, goldenMuon.gradients[0]![index]!);
    });
    feeds.rate = array([], [0.02]);
    const [mixed, plain] = [
      await runProgram(compileUpdate(shapes, settings, [true, false]), feeds),
      await runProgram(compileUpdate(shapes, { ...settings, matrices: 'adamw' }), feeds),
    ];
    expect([...mixed['next.weight1']!.data]).toEqual([...plain['next.weight1']!.data]);
    expect([...mixed['next.weight0']!.data]).not.toEqual([...plain['next.weight0']!.data]);
  });
});
