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
  /** Parameters that the stage reads and does not train. */
  readonly declareFrozen: Declare;
  /** Folder that frozen weights' locations are relative to; undefined where nothing is frozen. */
  readonly weightsFolder: string | undefined;
  /** The value that a trained parameter starts with. */
  start(name: string, shape: readonly number[]): Promise<Float32Array>;
  openData(cursor: Cursor | undefined): Promise<TrainingData>;
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
