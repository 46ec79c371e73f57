/** A stream that reads a bounded number of samples ahead of its taker, in an order that reading does not change. */
import { StarError } from '../../errors.ts';
import { DataError } from '../error.ts';
import type { Cursor, SampleStream, SkippedSample } from '../stream.ts';
import { type Draw, type Order, passedOver } from './order.ts';

/** How many skipped samples are kept by name. */
export const keptSkips = 100;

interface Loaded<Sample> {
  readonly draw: Draw<Sample>;
  readonly sample?: Sample | typeof passedOver;
  readonly error?: unknown;
}

/**
 * The samples of an order as a stream. A sample whose reading fails with a StarError is skipped; any other error is a
 * fault of the program, passed on, and ends the stream.
 * @param ahead samples in work or ready at a time, 1..64; memory holds so many pictures
 * @param epochs after so many the stream has ended, and `next` gives fewer samples than asked for. Default: never.
 */
export function readAhead<Sample>(order: Order<Sample>, ahead: number, epochs = Infinity): SampleStream<Sample> {
  return new ReadAhead(order, ahead, epochs);
}

class ReadAhead<Sample> implements SampleStream<Sample> {
  readonly skipped: SkippedSample[] = [];
  skippedCount = 0;
  readonly #order: Order<Sample>;
  readonly #ahead: number;
  readonly #epochs: number;
  readonly #queue: Promise<Loaded<Sample>>[] = [];
  #lastDraw: Promise<unknown> = Promise.resolve();
  #turn: Promise<unknown> = Promise.resolve();
  #cursor: Cursor;
  /** Set for good when the stream cannot go on. */
  #failure: unknown;
  #closed = false;
  #ended = false;
  /** Whether the present epoch was seen from its start, and whether it gave anything. */
  #epoch = { watched: false, gave: false };

  constructor(order: Order<Sample>, ahead: number, epochs: number) {
    this.#order = order;
    this.#ahead = ahead;
    this.#epochs = epochs;
    this.#cursor = order.start;
  }

  next(count: number): Promise<Sample[]> {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new DataError('data_option_invalid', `next: expected a whole number of samples from 0, got ${count}`);
    }
    // One taker at a time: two that ran together would share out the samples by chance.
    const turn = this.#turn.then(() => this.#take(count));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  cursor(): Cursor {
    return this.#cursor;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#failure ??= new DataError('data_unreadable', 'the stream was closed; open it again at its cursor');
    await this.#turn;
    await Promise.allSettled(this.#queue.splice(0));
    await this.#order[Symbol.asyncDispose]();
  }

  async #take(count: number): Promise<Sample[]> {
    const taken: Sample[] = [];
    let cursor = this.#cursor;
    while (taken.length < count && !this.#ended) {
      if (this.#failure !== undefined) throw this.#failure;
      while (this.#queue.length < this.#ahead) this.#queue.push(this.#begin());
      try {
        const { draw, sample, error } = await this.#queue.shift()!;
        if (draw.place.epoch >= this.#epochs) {
          this.#ended = true;
          break;
        }
        this.#watch(draw);
        if (error !== undefined) this.#skip(draw.source, error);
        else if (sample !== passedOver) {
          this.#epoch.gave = true;
          taken.push(sample as Sample);
        }
        cursor = draw.after;
      } catch (error) {
        this.#failure ??= error;
        throw this.#failure;
      }
    }
    // Work goes on while the taker computes.
    while (count > 0 && this.#failure === undefined && this.#queue.length < this.#ahead)
      this.#queue.push(this.#begin());
    this.#cursor = cursor;
    return taken;
  }

  #begin(): Promise<Loaded<Sample>> {
    const drawn = this.#lastDraw.then(() => this.#order.draw());
    this.#lastDraw = drawn;
    const loaded = drawn.then(async (draw): Promise<Loaded<Sample>> => {
      if (draw.place.epoch >= this.#epochs) return { draw };
      try {
        return { draw, sample: await draw.load() };
      } catch (error) {
        return { draw, error: error ?? new Error('rejected without a reason') };
      }
    });
    // Awaited when its turn comes; until then a failure is not unheard.
    loaded.catch(() => undefined);
    return loaded;
  }

  #watch({ place }: Draw<Sample>): void {
    if (place.position > 0) return;
    if (this.#epoch.watched && !this.#epoch.gave) {
      const last = this.skipped.at(-1);
      const reason = last ? `could be used; the last was ${last.source}: ${last.reason}` : 'is of the kind asked for';
      throw new DataError('data_exhausted', `no sample of the whole data ${reason}`, {
        skipped: this.skippedCount,
        last,
      });
    }
    this.#epoch = { watched: true, gave: false };
  }

  #skip(source: string, error: unknown): void {
    if (!StarError.isInstance(error)) throw error;
    this.skippedCount++;
    this.skipped.push({ source, reason: error.message });
    if (this.skipped.length > keptSkips) this.skipped.shift();
  }
}
