/** A stream whose samples are made of another's, each with its number; what cannot be used is skipped and named. */
import { DataError } from './error.ts';
import type { Cursor, SampleStream, SkippedSample } from './stream.ts';

/** Skipped samples that are remembered. */
const remembered = 100;

/** Samples skipped one after the other before it is a fault of the whole set. */
const mostInARow = 10_000;

/** What becomes of a sample; `index` counts the inner stream's samples from 0. */
export type SampleMap<From, To> = (sample: From, index: number) => To | { readonly skip: SkippedSample };

export class MappedStream<From, To> implements SampleStream<To> {
  readonly #inner: SampleStream<From>;
  readonly #map: SampleMap<From, To>;
  readonly #skipped: SkippedSample[] = [];
  #ownSkipped = 0;
  /** Samples taken from the inner stream. */
  #taken: number;

  private constructor(inner: SampleStream<From>, map: SampleMap<From, To>, taken: number) {
    this.#inner = inner;
    this.#map = map;
    this.#taken = taken;
  }

  /**
   * @param open opens the inner stream at its own cursor
   * @param map pure
   */
  static async open<From, To>(
    open: (cursor: Cursor | undefined) => Promise<SampleStream<From>>,
    map: SampleMap<From, To>,
    cursor?: Cursor,
  ): Promise<MappedStream<From, To>> {
    const inner = await open(cursor?.inner as Cursor | undefined);
    return new MappedStream(inner, map, Number(cursor?.taken ?? 0));
  }

  get skipped(): readonly SkippedSample[] {
    return [...this.#inner.skipped, ...this.#skipped].slice(-remembered);
  }

  get skippedCount(): number {
    return this.#inner.skippedCount + this.#ownSkipped;
  }

  /** @throws DataError `data_exhausted` when nothing can be used of a great many samples in a row: streams have no end. */
  async next(count: number): Promise<To[]> {
    const samples: To[] = [];
    let inARow = 0;
    while (samples.length < count) {
      for (const sample of await this.#inner.next(count - samples.length)) {
        const made = this.#map(sample, this.#taken++);
        if (!isSkip(made)) {
          samples.push(made);
          inARow = 0;
        } else {
          if (++inARow > mostInARow) {
            const { source, reason } = made.skip;
            const message = `none of ${mostInARow} samples in a row can be used; the last is ${source}: ${reason}`;
            throw new DataError('data_exhausted', message, { source });
          }
          this.#ownSkipped++;
          this.#skipped.push(made.skip);
          if (this.#skipped.length > remembered) this.#skipped.shift();
        }
      }
    }
    return samples;
  }

  cursor(): Cursor {
    return { taken: this.#taken, inner: this.#inner.cursor() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}

function isSkip(value: unknown): value is { readonly skip: SkippedSample } {
  return typeof value === 'object' && value !== null && 'skip' in value;
}
