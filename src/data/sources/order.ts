/** The order of samples apart from their reading, so that reading can run ahead without changing the order. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { DataError } from '../error.ts';
import type { Cursor } from '../stream.ts';
import { permutedIndex } from './permutation.ts';

/** Which draw of which pass over the data; both from 0. All chance of a sample depends on this and the seed alone. */
export interface Place {
  readonly epoch: number;
  readonly position: number;
}

/** What is read in the place of a sample that its taker has not asked for: no fault of the data, and not counted. */
export const passedOver = Symbol('passed over');

/** One drawn sample that is not read yet. */
export interface Draw<Sample> {
  /** File, and the place in it. */
  readonly source: string;
  readonly place: Place;
  /** Where the stream stands after this draw. */
  readonly after: Cursor;
  /** Reads it. Rejects with a StarError when the sample cannot be used. */
  load(): Promise<Sample | typeof passedOver>;
}

/** An endless order of samples; the holder waits for one draw before it asks for the next. */
export interface Order<Sample> extends AsyncDisposable {
  /** Where the order stands before the first draw. */
  readonly start: Cursor;
  /** Throws `DataError` (`data_exhausted`) when a whole epoch holds nothing. */
  draw(): Promise<Draw<Sample>>;
}

/** Samples that can be read by number. */
export interface SampleIndex<Sample> extends AsyncDisposable {
  /** From 1. */
  readonly count: number;
  /** Changes when the data or anything that decides the order changes. */
  readonly fingerprint: string;
  /** The sample's number at a position of a shuffled epoch; a permutation of all numbers unless it is given. */
  shuffled?(position: number, epoch: number): number;
  source(index: number): string;
  /** Rejects with a StarError when the sample cannot be used. */
  load(index: number, place: Place): Promise<Sample | typeof passedOver>;
}

export interface OrderOptions {
  /** 0..2^53−1. */
  readonly seed: number;
  /** False: the data's own order, every epoch the same. */
  readonly shuffle: boolean;
}

/** SHA-256 over everything that decides an order, as hexadecimal text. */
export function fingerprintOf(parts: Iterable<unknown>): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${JSON.stringify(part)}\n`);
  return hash.digest('hex');
}

const cursorSchema = z.strictObject({
  fingerprint: z.string(),
  epoch: z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
  position: z.int().min(0),
});

/** A cursor's parts, checked by `schema`. Throws `DataError` (`data_invalid`) when it is not one of this data. */
export function readCursor<T extends { fingerprint: string }>(
  schema: z.ZodType<T>,
  cursor: Cursor,
  fingerprint: string,
): T {
  const parsed = schema.safeParse(cursor);
  if (!parsed.success) {
    throw new DataError('data_invalid', 'the cursor is not one of a stream of this kind; start without one', {
      cursor,
    });
  }
  if (parsed.data.fingerprint !== fingerprint) {
    throw new DataError(
      'data_invalid',
      'the cursor belongs to other data, another seed or another shuffle; bring back those, or start without a cursor',
      { cursor, fingerprint },
    );
  }
  return parsed.data;
}

/** The order of samples with numbers: each once an epoch, shuffled anew by every epoch. */
export function orderOf<Sample>(
  index: SampleIndex<Sample>,
  { seed, shuffle }: OrderOptions,
  cursor: Cursor | undefined,
): Order<Sample> {
  const { count } = index;
  if (count < 1) throw new DataError('data_exhausted', 'the data holds no samples; check the folder and the options');
  const fingerprint = fingerprintOf([index.fingerprint, count, seed, shuffle]);
  let { epoch, position } = cursor ? readCursor(cursorSchema, cursor, fingerprint) : { epoch: 0, position: 0 };
  if (position >= count) throw new DataError('data_invalid', `the cursor lies beyond the ${count} samples`, { cursor });
  const here = (): Cursor => ({ fingerprint, epoch, position });

  return {
    start: here(),
    async draw() {
      const place = { epoch, position };
      const at = !shuffle
        ? position
        : index.shuffled
          ? index.shuffled(position, epoch)
          : permutedIndex(count, position, seed, epoch);
      position++;
      if (position === count) [epoch, position] = [epoch + 1, 0];
      return { source: index.source(at), place, after: here(), load: () => index.load(at, place) };
    },
    [Symbol.asyncDispose]: async () => index[Symbol.asyncDispose](),
  };
}
