import { afterAll, beforeAll, expect, it } from 'vitest';
import { Runtime } from '../runtime/index.ts';
import {
  add,
  divide,
  matmul,
  maximum,
  multiply,
  reduceSum,
  square,
  subtract,
  type TensorValue,
  uniform,
} from '../tensor/index.ts';
import type { Stage } from './stage.ts';
import { compileTrainingStep } from './step.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await Runtime.create({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.dispose());

const shapes = new Map([
  ['weight', [5, 3]],
  ['bias', [3]],
]);

/** A mean over the places whose mask is 1, so that batches of one step do not count alike. */
function maskedStage(batch: number, weighted: boolean): Stage {
  return {
    name: 'masked',
    data: [
      { name: 'x', dtype: 'float32', shape: [batch, 5] },
      { name: 'y', dtype: 'float32', shape: [batch, 3] },
      { name: 'mask', dtype: 'float32', shape: [batch, 3] },
    ],
    trained: shapes,
    loss: (declare, { x, y, mask }) => {
      const predicted = add(matmul(x!, declare('weight', [5, 3])), declare('bias', [3]));
      const count = reduceSum(mask!);
      // A batch without any place has weight 0; its loss must be a number all the same.
      const total = reduceSum(multiply(square(subtract(predicted, y!)), mask!));
      const loss = divide(total, maximum(count, 1));
      return { loss, reported: { count }, ...(weighted && { weight: count }) };
    },
  };
}

const [steps, rows] = [3, 8];
const values = (stream: number, count: number, threshold?: number) =>
  Float32Array.from({ length: count }, (_, index) => {
    const value = uniform(9, stream, index);
    return threshold === undefined ? value - 0.5 : Number(value > threshold);
  });

/** Three steps of eight samples, cut into `accumulate` batches each. */
async function trainOn(accumulate: number, { weighted = true, mask = 0.6, stepsPerRun = 1 } = {}) {
  const stage = maskedStage(rows / accumulate, weighted);
  const program = compileTrainingStep(
    stage,
    () => {
      throw new Error('nothing is frozen');
    },
    { steps: stepsPerRun, accumulate, optimizer: { averageDecay: 0.99 } },
  );
  await using session = await runtime.load(program);
  const zeros = (shape: readonly number[]) => new Float32Array(shape.reduce((a, b) => a * b, 1));
  let state: Record<string, TensorValue> = { updates: { dtype: 'int64', shape: [], data: BigInt64Array.of(0n) } };
  for (const [name, shape] of shapes) {
    const start = values(name.length, zeros(shape).length);
    for (const prefix of ['weight.', 'average.']) state[prefix + name] = { dtype: 'float32', shape, data: start };
    for (const prefix of ['first_moment.', 'second_moment.']) {
      state[prefix + name] = { dtype: 'float32', shape, data: zeros(shape) };
    }
  }
  const losses: number[] = [];
  const counts: number[] = [];
  const axes = accumulate === 1 ? [stepsPerRun] : [stepsPerRun, accumulate];
  for (let step = 0; step < steps; step += stepsPerRun) {
    const feed = (stream: number, width: number, threshold?: number): Float32Array => {
      const size = rows * width;
      return values(stream, steps * size, threshold).slice(step * size, (step + stepsPerRun) * size);
    };
    const data = { x: feed(1, 5), y: feed(2, 3), mask: feed(3, 3, mask) };
    const results = await session.run({
      ...state,
      learning_rate: { dtype: 'float32', shape: [stepsPerRun], data: new Float32Array(stepsPerRun).fill(0.05) },
      ...Object.fromEntries(
        stage.data.map(({ name, dtype, shape }) => [
          name,
          { dtype, shape: [...axes, ...shape], data: data[name as 'x'] },
        ]),
      ),
    });
    losses.push(...(results.loss!.data as Float32Array));
    counts.push(...(results.count!.data as Float32Array));
    expect(results.count!.shape).toEqual(axes);
    state = Object.fromEntries(Object.keys(state).map((name) => [name, results[`next.${name}`]!]));
  }
  return { losses, counts, state };
}

function expectClose(a: Awaited<ReturnType<typeof trainOn>>, b: Awaited<ReturnType<typeof trainOn>>, digits: number) {
  a.losses.forEach((loss, step) => {
    expect(loss).toBeCloseTo(b.losses[step]!, digits);
  });
  for (const name of Object.keys(a.state)) {
    const other = b.state[name]!.data;
    Array.from(a.state[name]!.data as Float32Array, Number).forEach((value, index) => {
      expect(value, `${name}[${index}]`).toBeCloseTo(Number(other[index]), digits);
    });
  }
}

it.each([2, 4, 8])('%i accumulated batches make the step of the whole one', async (accumulate) => {
  const [whole, parts] = [await trainOn(1), await trainOn(accumulate)];
  expectClose(parts, whole, 6);
  expect(new Set(parts.counts).size).toBeGreaterThan(1);
});

it('counts batches alike where the stage gives no weight', async () => {
  const all = -1;
  expectClose(await trainOn(4, { weighted: false, mask: all }), await trainOn(1, { mask: all }), 6);
  const uneven = await trainOn(4, { weighted: false });
  expect(uneven.losses[0]).not.toBeCloseTo((await trainOn(1)).losses[0]!, 4);
});

it('accumulates bit for bit alike in one run of several steps', async () => {
  const [single, packed] = [await trainOn(2), await trainOn(2, { stepsPerRun: 3 })];
  expect(packed).toEqual(single);
});

it('refuses to accumulate nothing', () => {
  for (const accumulate of [0, 1.5]) {
    const compiling = () => compileTrainingStep(maskedStage(1, true), () => undefined as never, { accumulate });
    expect(compiling).toThrow(/accumulate is/);
  }
});
