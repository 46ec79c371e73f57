/** Several streams as one: the closed world beside real data, in fixed proportions. */
import { z } from 'zod';
import { uniform } from '../../tensor/random.ts';
import { DataError } from '../error.ts';
import type { Cursor, SampleStream, SkippedSample } from '../stream.ts';
import { fingerprintOf, readCursor } from './order.ts';
import { keptSkips } from './read-ahead.ts';

export interface MixPart<Sample> {
  /** Stands in the cursor; no two parts share it. */
  readonly name: string;
  /** Share of the samples relative to the other parts' weights; above 0. */
  readonly weight: number;
  open(cursor: Cursor | undefined): Promise<SampleStream<Sample>>;
}

const cursorSchema = z.strictObject({
  fingerprint: z.string(),
  drawn: z.int().min(0),
  parts: z.record(z.string(), z.record(z.string(), z.unknown())),
});

/** A stream of `uniform` that the sources do not take. */
const mixStream = 2 ** 43;

/**
 * Opens a stream whose every sample comes from one part, by chance in proportion to the weights. Which part gives the
 * sample of a number depends on the seed and that number alone. It owns the parts' streams.
 * @param seed 0..2^53−1
 * @throws DataError `data_option_invalid`; `data_invalid` for a cursor of other parts, weights or seed
 */
export async function openMix<Sample>(
  parts: readonly MixPart<Sample>[],
  { seed }: { readonly seed: number },
  cursor?: Cursor,
): Promise<SampleStream<Sample>> {
  const names = parts.map(({ name }) => name);
  if (parts.length === 0 || new Set(names).size !== parts.length) {
    throw new DataError('data_option_invalid', 'mix: expected parts with names of their own', { names });
  }
  const wrong = parts.find(({ weight }) => !(weight > 0 && Number.isFinite(weight)));
  if (wrong) throw new DataError('data_option_invalid', `mix: the weight of ${wrong.name} must be above 0`);
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new DataError('data_option_invalid', `mix: expected a seed in 0..2^53−1, got ${seed}`);
  }
  const fingerprint = fingerprintOf(['mix', seed, parts.map(({ name, weight }) => [name, weight])]);
  const start = cursor ? readCursor(cursorSchema, cursor, fingerprint) : undefined;
  const streams: SampleStream<Sample>[] = [];
  try {
    for (const { name, open } of parts) streams.push(await open(start?.parts[name]));
  } catch (error) {
    for (const stream of streams) await stream[Symbol.asyncDispose]();
    throw error;
  }
  return new Mix(parts, streams, seed, fingerprint, start?.drawn ?? 0);
}

class Mix<Sample> implements SampleStream<Sample> {
  readonly skipped: SkippedSample[] = [];
  readonly #parts: readonly MixPart<Sample>[];
  readonly #streams: readonly SampleStream<Sample>[];
  readonly #seed: number;
  readonly #fingerprint: string;
  #drawn: number;
  #turn: Promise<unknown> = Promise.resolve();
  #failure: unknown;
  /** As of the last samples given, also while the next ones are on their way. */
  #cursor: Cursor;

  constructor(
    parts: readonly MixPart<Sample>[],
    streams: readonly SampleStream<Sample>[],
    seed: number,
    fingerprint: string,
    drawn: number,
  ) {
    this.#parts = parts;
    this.#streams = streams;
    this.#seed = seed;
    this.#fingerprint = fingerprint;
    this.#drawn = drawn;
    this.#cursor = this.#here();
  }

  get skippedCount(): number {
    return this.#streams.reduce((sum, stream) => sum + stream.skippedCount, 0);
  }

  next(count: number): Promise<Sample[]> {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new DataError('data_option_invalid', `next: expected a whole number of samples from 0, got ${count}`);
    }
    const turn = this.#turn.then(() => this.#take(count));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  cursor(): Cursor {
    return this.#cursor;
  }

  #here(): Cursor {
    const parts = Object.fromEntries(this.#parts.map(({ name }, at) => [name, this.#streams[at]!.cursor()]));
    return { fingerprint: this.#fingerprint, drawn: this.#drawn, parts };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) await stream[Symbol.asyncDispose]();
  }

  async #take(count: number): Promise<Sample[]> {
    if (this.#failure !== undefined) throw this.#failure;
    const choices = Array.from({ length: count }, (_, i) => this.#choose(this.#drawn + i));
    const before = this.#streams.map((stream) => stream.skippedCount);
    const given = await Promise.allSettled(
      this.#streams.map((stream, at) => stream.next(choices.filter((choice) => choice === at).length)),
    );
    for (const [at, stream] of this.#streams.entries()) {
      const fresh = Math.min(stream.skippedCount - before[at]!, stream.skipped.length);
      if (fresh > 0) this.skipped.push(...stream.skipped.slice(-fresh));
    }
    this.skipped.splice(0, this.skipped.length - keptSkips);
    const failed = given.find((result) => result.status === 'rejected');
    if (failed) {
      // The other parts have moved on: what they gave is lost, and so the mix cannot go on where it stood.
      this.#failure = failed.reason;
      throw failed.reason;
    }
    this.#drawn += count;
    this.#cursor = this.#here();
    const queues = given.map((result) => (result as PromiseFulfilledResult<Sample[]>).value.values());
    return choices.map((choice) => queues[choice]!.next().value as Sample);
  }

  /** The part of the sample with a number. */
  #choose(number: number): number {
    const total = this.#parts.reduce((sum, { weight }) => sum + weight, 0);
    let rest = uniform(this.#seed, mixStream, number) * total;
    for (const [at, { weight }] of this.#parts.entries()) {
      if (rest < weight) return at;
      rest -= weight;
    }
    return this.#parts.length - 1;
  }
}
