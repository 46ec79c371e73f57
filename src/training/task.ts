/** What the trainer needs to know of one training: a stage, where its weights come from, its data, and what to show. */
import type { Cursor } from '../data/stream.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import type { Declare } from '../nn/parameters.ts';
import type { TensorValue } from '../tensor/index.ts';
import type { Stage } from './stage.ts';

/** The feeds of one step. */
export interface TrainingBatch {
  /** One value for each of the stage's data ports, in its shape. */
  readonly feeds: Readonly<Record<string, TensorValue>>;
  /** Samples in it, for samples a second. */
  readonly samples: number;
}

export interface TrainingData extends AsyncDisposable {
  next(): Promise<TrainingBatch>;
  /** The place after the batches given so far. */
  cursor(): Cursor;
  /** Samples skipped so far because they could not be read. */
  readonly skippedCount: number;
}

/** Reads and replaces trained weights between steps. */
export interface WeightAccess {
  read(name: string): Promise<Float32Array>;
  /** Moments of what is written start again from zero where `resetMoments` says so, an index of the first axis each. */
  write(name: string, value: Float32Array, resetMoments?: readonly number[]): Promise<void>;
}

export interface TrainingTask {
  readonly stage: Stage;
  /**
   * What decides the results beside the trainer's settings (data, sizes, seeds, frozen weights), as plain JSON. It is
   * saved; going on with another one is refused. Default: nothing.
   */
  readonly configuration?: Readonly<Record<string, unknown>>;
  /** Parameters that the stage reads and does not train. */
  readonly declareFrozen: Declare;
  /** Folder that frozen weights' locations are relative to; undefined where nothing is frozen. */
  readonly weightsFolder: string | undefined;
  /** The value that a trained parameter starts with. */
  start(name: string, shape: readonly number[]): Promise<Float32Array>;
  openData(cursor: Cursor | undefined): Promise<TrainingData>;
  /**
   * After each step: what the stage reports, each value with `[accumulate]` as a further first axis where steps
   * accumulate. What it gathers must be in `state`, or a resumed run differs.
   */
  observe?(reported: Readonly<Record<string, TensorValue>>, step: number): void;
  /** What `observe` has gathered: saved with the weights, and handed back before the first step. */
  readonly state?: {
    save(): Readonly<Record<string, TensorValue>>;
    restore(saved: Readonly<Record<string, TensorValue>>): void;
  };
  /** Between steps, every `maintainEvery`: dead codes are revived here, say. What it returns is logged as numbers. */
  readonly maintainEvery?: number;
  maintain?(weights: WeightAccess, step: number): Promise<Readonly<Record<string, number>>>;
  /** Pictures to look at, and numbers on held-out data, at the present weights (EMA where there is one). */
  preview?(
    weights: WeightAccess,
    step: number,
  ): Promise<{
    readonly pictures?: readonly RgbImage[];
    readonly numbers?: Readonly<Record<string, number>>;
  }>;
}
