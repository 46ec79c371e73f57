/** Batches made of a stream of samples. */
import type { Cursor, SampleStream } from '../../data/stream.ts';
import type { TensorValue } from '../../tensor/index.ts';
import type { TrainingBatch, TrainingData } from '../task.ts';

/** The feeds of a batch; `index` counts the batches of the training from 0. */
export type MakeFeeds<Sample> = (samples: Sample[], index: number) => Promise<Record<string, TensorValue>>;

export class StreamData<Sample> implements TrainingData {
  readonly #stream: SampleStream<Sample>;
  readonly #batch: number;
  readonly #feeds: MakeFeeds<Sample>;
  /** Batches given so far. */
  #given: number;

  private constructor(stream: SampleStream<Sample>, batch: number, feeds: MakeFeeds<Sample>, given: number) {
    this.#stream = stream;
    this.#batch = batch;
    this.#feeds = feeds;
    this.#given = given;
  }

  /** @param open opens the stream at its own cursor */
  static async open<Sample>(
    open: (cursor: Cursor | undefined) => SampleStream<Sample> | Promise<SampleStream<Sample>>,
    batch: number,
    feeds: MakeFeeds<Sample>,
    cursor: Cursor | undefined,
  ): Promise<StreamData<Sample>> {
    const stream = await open(cursor?.stream as Cursor | undefined);
    return new StreamData(stream, batch, feeds, Number(cursor?.batches ?? 0));
  }

  get skippedCount(): number {
    return this.#stream.skippedCount;
  }

  async next(): Promise<TrainingBatch> {
    const samples = await this.#stream.next(this.#batch);
    return { feeds: await this.#feeds(samples, this.#given++), samples: samples.length };
  }

  cursor(): Cursor {
    return { batches: this.#given, stream: this.#stream.cursor() };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stream[Symbol.asyncDispose]() as Promise<void>;
  }
}
