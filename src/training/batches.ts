/** Batches of a run: read ahead while the run before is going, checked, and stacked. */
import type { Cursor } from '../data/stream.ts';
import { dtypes, type TensorValue, type TypedArray } from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import type { Stage } from './stage.ts';
import type { TrainingBatch, TrainingData } from './task.ts';

/** The batches of one run. */
export interface RunBatches {
  /** In order: `accumulate` for each step. */
  readonly batches: readonly TrainingBatch[];
  /** The place after them. */
  readonly cursor: Cursor;
  readonly samples: number;
  readonly skippedCount: number;
}

/** Reads the batches of the next run before they are asked for. */
export class BatchReader implements AsyncDisposable {
  readonly #data: TrainingData;
  readonly #stage: Stage;
  readonly #count: number;
  #ahead: Promise<RunBatches> | undefined;

  /** @param count batches of one run */
  constructor(data: TrainingData, stage: Stage, count: number) {
    this.#data = data;
    this.#stage = stage;
    this.#count = count;
  }

  /** Begins to read the next run's batches, unless that has begun. An error comes out of `next`. */
  readAhead(): void {
    if (this.#ahead) return;
    this.#ahead = this.#read();
    // Whoever asks for the batches gets the error; nobody may.
    this.#ahead.catch(() => {});
  }

  async next(): Promise<RunBatches> {
    this.readAhead();
    const ahead = this.#ahead!;
    this.#ahead = undefined;
    return await ahead;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ahead?.catch(() => {});
    await this.#data[Symbol.asyncDispose]();
  }

  async #read(): Promise<RunBatches> {
    const batches: TrainingBatch[] = [];
    while (batches.length < this.#count) {
      const batch = await this.#data.next();
      checkBatch(this.#stage, batch);
      batches.push(batch);
    }
    return {
      batches,
      cursor: this.#data.cursor(),
      samples: batches.reduce((sum, batch) => sum + batch.samples, 0),
      skippedCount: this.#data.skippedCount,
    };
  }
}

/** The feeds of a run: each port's values stacked behind `axes`, whose product is the number of batches. */
export function stackBatches(
  stage: Stage,
  batches: readonly TrainingBatch[],
  axes: readonly number[],
): Record<string, TensorValue> {
  return Object.fromEntries(
    stage.data.map(({ name, dtype, shape }) => {
      const parts = batches.map(({ feeds }) => feeds[name]!.data);
      return [name, { dtype, shape: [...axes, ...shape], data: concatenate(dtypes[dtype].array, parts) }];
    }),
  );
}

function concatenate(
  Elements: (typeof dtypes)[keyof typeof dtypes]['array'],
  parts: readonly TypedArray[],
): TypedArray {
  if (parts.length === 1) return parts[0]!;
  const all = new Elements(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    (all as Float32Array).set(part as Float32Array, offset);
    offset += part.length;
  }
  return all;
}

/** @throws TrainingError `batch_invalid` where the feeds are not those of the stage's data ports */
function checkBatch(stage: Stage, { feeds }: TrainingBatch): void {
  const refuse = (name: string, expected: string, got: string): never => {
    throw new TrainingError('batch_invalid', `${stage.name} stage, data ${name}: expected ${expected}, got ${got}`, {
      name,
    });
  };
  const unknown = Object.keys(feeds).find((name) => !stage.data.some((port) => port.name === name));
  if (unknown !== undefined) refuse(unknown, `only ${stage.data.map(({ name }) => name).join(', ')}`, 'this too');
  for (const { name, dtype, shape } of stage.data) {
    const described = `${dtype} [${shape.join(', ')}]`;
    const value = feeds[name] ?? refuse(name, described, 'nothing');
    const got = `${value.dtype} [${value.shape.join(', ')}]`;
    if (got !== described) refuse(name, described, got);
    const count = shape.reduce((product, size) => product * size, 1);
    if (!(value.data instanceof dtypes[dtype].array) || value.data.length !== count) {
      refuse(name, `${count} elements in a ${dtypes[dtype].array.name}`, `${value.data?.length} in another array`);
    }
  }
}
