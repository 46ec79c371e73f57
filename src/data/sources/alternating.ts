/** Streams of unlike samples as one of whole batches: so many samples of the first, then so many of the next. */
import type { Cursor, SampleStream, SkippedSample } from '../stream.ts';
import { keptSkips } from './read-ahead.ts';

export interface AlternatingPart<Sample> {
  /** Stands in the cursor; no two parts share it. */
  readonly name: string;
  /** Samples of a batch. */
  readonly count: number;
  open(cursor: Cursor | undefined): Promise<SampleStream<Sample>>;
}

/** Opens the parts of every batch, in order; `next` is asked for whole batches. It owns the parts' streams. */
export async function openAlternating<Sample>(
  parts: readonly AlternatingPart<Sample>[],
  cursor: Cursor | undefined,
): Promise<SampleStream<Sample>> {
  const opened: OpenPart<Sample>[] = [];
  try {
    for (const { name, count, open } of parts) {
      opened.push({ name, count, stream: await open(cursor?.[name] as Cursor | undefined) });
    }
  } catch (error) {
    for (const { stream } of opened) await stream[Symbol.asyncDispose]();
    throw error;
  }
  return new Alternating(opened);
}

interface OpenPart<Sample> extends Pick<AlternatingPart<Sample>, 'name' | 'count'> {
  readonly stream: SampleStream<Sample>;
}

class Alternating<Sample> implements SampleStream<Sample> {
  readonly #parts: readonly OpenPart<Sample>[];

  constructor(parts: readonly OpenPart<Sample>[]) {
    this.#parts = parts;
  }

  get skipped(): readonly SkippedSample[] {
    return this.#parts.flatMap(({ stream }) => stream.skipped).slice(-keptSkips);
  }

  get skippedCount(): number {
    return this.#parts.reduce((sum, { stream }) => sum + stream.skippedCount, 0);
  }

  async next(count: number): Promise<Sample[]> {
    const batch = this.#parts.reduce((sum, part) => sum + part.count, 0);
    if (count % batch !== 0) throw new RangeError(`expected whole batches of ${batch}, got ${count} samples`);
    const samples: Sample[] = [];
    while (samples.length < count) {
      for (const part of this.#parts) if (part.count > 0) samples.push(...(await part.stream.next(part.count)));
    }
    return samples;
  }

  cursor(): Cursor {
    return Object.fromEntries(this.#parts.map(({ name, stream }) => [name, stream.cursor()]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stream } of this.#parts) await stream[Symbol.asyncDispose]();
  }
}
