/** Samples in an order that can be taken up again: what every source of training data is to the trainer. */

/** A place in a stream, as plain JSON. */
export type Cursor = { readonly [key: string]: unknown };

/** A sample that could not be used: named and counted, never fatal. */
export interface SkippedSample {
  /** File, and the place in it. */
  readonly source: string;
  readonly reason: string;
}

/** An endless stream: after the last sample it begins anew in another order. */
export interface SampleStream<Sample> extends AsyncDisposable {
  /** The next `count` samples. Throws `DataError` when no sample of a whole epoch can be used. */
  next(count: number): Promise<Sample[]>;
  /** The place after the samples given so far: a stream opened there goes on with bit-equal samples. */
  cursor(): Cursor;
  /** What was skipped so far, the newest last; at most the last 100. */
  readonly skipped: readonly SkippedSample[];
  readonly skippedCount: number;
}
