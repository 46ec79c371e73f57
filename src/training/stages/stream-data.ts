/** Batches made of a stream of samples. */
import type { Cursor, SampleStream } from '../../data/stream.ts';
import type { TensorValue } from '../../tensor/index.ts';
import type { TrainingBatch, TrainingData } from '../task.ts';

export class StreamData<Sample> implements TrainingData {
  readonly #stream: SampleStream<Sample>;
  readonly #batch: number;
  readonly #feeds: (samples: Sample[]) => Promise<Record<string, TensorValue>>;

  constructor(
    stream: SampleStream<Sample>,
    batch: number,
    feeds: (samples: Sample[]) => Promise<Record<string, TensorValue>>,
  ) {
    this.#stream = stream;
    this.#batch = batch;
    this.#feeds = feeds;
  }

  get skippedCount(): number {
    return this.#stream.skippedCount;
  }

  async next(): Promise<TrainingBatch> {
    const samples = await this.#stream.next(this.#batch);
    return { feeds: await this.#feeds(samples), samples: samples.length };
  }

  cursor(): Cursor {
    return this.#stream.cursor();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stream[Symbol.asyncDispose]() as Promise<void>;
  }
}
