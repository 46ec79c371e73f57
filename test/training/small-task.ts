/** A small real training for tests: two layers on synthetic points, with everything that the trainer asks of a task. */
import type { Cursor } from '../../src/data/stream.ts';
import { add, gelu, matmul, reduceMean, square, subtract, uniform } from '../../src/tensor/index.ts';
import type { TrainerSettings } from '../../src/training/recipe.ts';
import type { TrainingBatch, TrainingTask } from '../../src/training/task.ts';

export interface SmallTaskOptions {
  /** Samples of a batch. Default 4. */
  readonly batch?: number;
  /** From this batch of data on, counted from 0, numbers are not finite. Default: never. */
  readonly brokenFrom?: number;
  readonly configuration?: Readonly<Record<string, unknown>>;
}

const [inputs, hidden] = [6, 16];

export const trainedShapes: ReadonlyMap<string, readonly number[]> = new Map([
  ['first.weight', [inputs, hidden]],
  ['first.bias', [hidden]],
  ['second.weight', [hidden, 1]],
]);

/** Batch number `index` of the data: it depends on the number alone. */
export function smallBatch(index: number, batch: number, broken = false): TrainingBatch {
  const x = Float32Array.from({ length: batch * inputs }, (_, place) => uniform(5, index * batch, place) - 0.5);
  const y = Float32Array.from({ length: batch }, (_, row) => Math.sin(3 * x[row * inputs]! + x[row * inputs + 1]!));
  if (broken) y[1] = Number.NaN;
  return {
    samples: batch,
    feeds: {
      x: { dtype: 'float32', shape: [batch, inputs], data: x },
      y: { dtype: 'float32', shape: [batch, 1], data: y },
    },
  };
}

export function smallTask({ batch = 4, brokenFrom = Infinity, configuration }: SmallTaskOptions = {}): TrainingTask {
  return {
    stage: {
      name: 'small',
      data: [
        { name: 'x', dtype: 'float32', shape: [batch, inputs] },
        { name: 'y', dtype: 'float32', shape: [batch, 1] },
      ],
      trained: trainedShapes,
      loss: (declare, { x, y }) => {
        const parameter = (name: string) => declare(name, trainedShapes.get(name)!);
        const inner = gelu(add(matmul(x!, parameter('first.weight')), parameter('first.bias')));
        const error = subtract(matmul(inner, parameter('second.weight')), y!);
        return { loss: reduceMean(square(error)), reported: { bias: reduceMean(error) } };
      },
    },
    ...(configuration && { configuration }),
    declareFrozen: (name) => {
      throw new Error(`${name} is not declared`);
    },
    weightsFolder: undefined,
    start: async (name, shape) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return Float32Array.from({ length: count }, (_, index) => uniform(3, name.length, index) - 0.5);
    },
    openData: async (cursor: Cursor | undefined) => {
      let next = Number(cursor?.next ?? 0);
      return {
        next: async () => {
          const index = next++;
          return smallBatch(index, batch, index >= brokenFrom);
        },
        cursor: () => ({ next }),
        skippedCount: 0,
        [Symbol.asyncDispose]: async () => {},
      };
    },
  };
}

/** Settings of the training that is killed: it saves so often that many moments are inside of a save. */
export const killedSettings: TrainerSettings = {
  ...{ steps: 60, learningRate: 0.02, warmupSteps: 3, ema: 0.9 },
  ...{ saveEvery: 2, keep: 2, logEvery: 1 },
};
