/** A stream whose samples are made, each from its number alone: endless, and taken up again anywhere. */
import { DataError } from './error.ts';
import type { Cursor, SampleStream } from './stream.ts';

export class IndexedStream<Sample> implements SampleStream<Sample> {
  readonly skipped = [];
  readonly skippedCount = 0;
  readonly #make: (index: number) => Sample | Promise<Sample>;
  #next: number;

  /**
   * @param make pure: the same number gives the same sample.
   * @throws DataError `data_option_invalid` for a cursor of another kind of stream.
   */
  constructor(make: (index: number) => Sample | Promise<Sample>, cursor: Cursor = { next: 0 }) {
    const { next } = cursor;
    if (typeof next !== 'number' || !Number.isSafeInteger(next) || next < 0) {
      throw new DataError('data_option_invalid', `cursor ${JSON.stringify(cursor)}: expected {"next": a whole number}`);
    }
    this.#make = make;
    this.#next = next;
  }

  async next(count: number): Promise<Sample[]> {
    const first = this.#next;
    this.#next += count;
    return Promise.all(Array.from({ length: count }, (_, offset) => this.#make(first + offset)));
  }

  cursor(): Cursor {
    return { next: this.#next };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
