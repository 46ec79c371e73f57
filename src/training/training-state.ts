/**
 * Weights, moments and averages of a running training: tensors that stay in the runtime's worker from run to run, and
 * the reading and replacing of weights between runs.
 */
import { RemoteTensor, type Runtime } from '../runtime/index.ts';
import type { TensorValue } from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import type { Stage } from './stage.ts';
import { stateNames } from './step.ts';
import type { WeightAccess } from './task.ts';

/** Names of a training's state tensors, in the order of the program. */
export function stateTensorNames(stage: Stage, averaged: boolean): string[] {
  const { updates, weight, firstMoment, secondMoment, average } = stateNames;
  const prefixes = averaged ? [weight, firstMoment, secondMoment, average] : [weight, firstMoment, secondMoment];
  return [updates, ...[...stage.trained.keys()].flatMap((name) => prefixes.map((prefix) => `${prefix}${name}`))];
}

export class TrainingState implements AsyncDisposable {
  readonly #stage: Stage;
  readonly #runtime: Runtime;
  #tensors: ReadonlyMap<string, RemoteTensor>;

  private constructor(stage: Stage, runtime: Runtime, tensors: ReadonlyMap<string, RemoteTensor>) {
    this.#stage = stage;
    this.#runtime = runtime;
    this.#tensors = tensors;
  }

  /** Uploads what `read` gives for each name of the state, one tensor at a time. */
  static async upload(
    stage: Stage,
    averaged: boolean,
    runtime: Runtime,
    read: (name: string) => Promise<TensorValue>,
  ): Promise<TrainingState> {
    const tensors = new Map<string, RemoteTensor>();
    for (const name of stateTensorNames(stage, averaged)) tensors.set(name, await runtime.upload(await read(name)));
    return new TrainingState(stage, runtime, tensors);
  }

  /** Names and tensors, to be fed. */
  get tensors(): ReadonlyMap<string, RemoteTensor> {
    return this.#tensors;
  }

  get averaged(): boolean {
    return [...this.#tensors.keys()].some((name) => name.startsWith(stateNames.average));
  }

  async read(name: string): Promise<TensorValue> {
    return this.#tensors.get(name)!.read();
  }

  /** Takes over the state that a run gave, and frees the old one. */
  async advance(results: Readonly<Record<string, TensorValue | RemoteTensor>>): Promise<void> {
    const before = this.#tensors;
    const next = [...before.keys()].map((name) => [name, results[`next.${name}`]] as const);
    this.#tensors = new Map(next as [string, RemoteTensor][]);
    await disposeAll(before.values());
  }

  /** Weights to read and to replace. */
  access(): WeightAccess {
    return {
      read: (name) => this.#readWeight(stateNames.weight, name),
      write: (name, value, resetMoments = []) => this.#write(name, value, resetMoments),
    };
  }

  /** Averages where there are any, else weights; to read only. */
  previewAccess(): WeightAccess {
    const prefix = this.averaged ? stateNames.average : stateNames.weight;
    return {
      read: (name) => this.#readWeight(prefix, name),
      write: async (name) => {
        throw new TrainingError('weights_read_only', `a preview cannot replace ${name}: do it in maintain`, { name });
      },
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return disposeAll(this.#tensors.values());
  }

  async #readWeight(prefix: string, name: string): Promise<Float32Array> {
    this.#shape(name);
    return (await this.read(`${prefix}${name}`)).data as Float32Array;
  }

  #shape(name: string): readonly number[] {
    const shape = this.#stage.trained.get(name);
    if (shape) return shape;
    throw new TrainingError('parameter_frozen', `the ${this.#stage.name} stage does not train ${name}`, { name });
  }

  async #write(name: string, value: Float32Array, resetMoments: readonly number[]): Promise<void> {
    const shape = this.#shape(name);
    const count = shape.reduce((product, size) => product * size, 1);
    if (!(value instanceof Float32Array) || value.length !== count) {
      const message = `${name}: expected ${count} float32 elements for [${shape.join(', ')}], got ${value.length}`;
      throw new TrainingError('batch_invalid', message, { name });
    }
    await this.#replace(`${stateNames.weight}${name}`, value, shape);
    const rows = shape[0] ?? 1;
    const wrong = resetMoments.find((row) => !Number.isInteger(row) || row < 0 || row >= rows);
    if (wrong !== undefined) {
      const message = `${name}: resetMoments has ${wrong}: expected whole numbers in 0..${rows - 1}`;
      throw new TrainingError('batch_invalid', message, { name });
    }
    if (resetMoments.length === 0) return;
    const { firstMoment, secondMoment, average } = stateNames;
    const size = count / rows;
    for (const prefix of this.averaged ? [firstMoment, secondMoment, average] : [firstMoment, secondMoment]) {
      const part = (await this.read(`${prefix}${name}`)).data as Float32Array;
      for (const row of resetMoments) {
        // An average of what was thrown away would be no average of the new value.
        if (prefix === average) part.set(value.subarray(row * size, (row + 1) * size), row * size);
        else part.fill(0, row * size, (row + 1) * size);
      }
      await this.#replace(`${prefix}${name}`, part, shape);
    }
  }

  async #replace(name: string, data: Float32Array, shape: readonly number[]): Promise<void> {
    const old = this.#tensors.get(name)!;
    const fresh = await this.#runtime.upload({ dtype: 'float32', shape, data });
    this.#tensors = new Map([...this.#tensors].map(([key, tensor]) => [key, key === name ? fresh : tensor]));
    await old.dispose();
  }
}

/** Frees a run's kept results that are not wanted. */
export async function disposeResults(results: Readonly<Record<string, TensorValue | RemoteTensor>>): Promise<void> {
  await disposeAll(Object.values(results).filter((value) => value instanceof RemoteTensor));
}

async function disposeAll(tensors: Iterable<RemoteTensor>): Promise<void> {
  await Promise.all([...tensors].map((tensor) => tensor.dispose()));
}
