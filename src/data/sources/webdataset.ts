/**
 * Samples from tar archives (webdataset): archives in a shuffled order, and a buffer that mixes their samples. The
 * buffer holds where samples lie, not their bytes, so it is small and a cursor can carry it.
 */
import { z } from 'zod';
import { readBytes } from '../../checkpoint/byte-source.ts';
import { uniform } from '../../tensor/random.ts';
import { DataError } from '../error.ts';
import type { Cursor } from '../stream.ts';
import { chooseCaption } from './captions.ts';
import { openDataFile } from './inside.ts';
import { parseRecord } from './line-index.ts';
import type { WebdatasetOptions } from './options.ts';
import { type Draw, fingerprintOf, type Order, type Place, readCursor } from './order.ts';
import { permutedIndex } from './permutation.ts';
import { checkText, decodeText, loadPicture, maximumTextBytes } from './picture.ts';
import type { ImageTextSample } from './sample.ts';
import { listShards, type Shard } from './shards.ts';
import { indexTar, type TarPart, type TarRecord } from './tar-index.ts';

/** A stream of `uniform` that transforms and captions do not take. */
const bufferStream = 2 ** 42;
/** Most bytes of the .json of a sample. */
const maximumJsonBytes = 1024 * 1024;

/** A sample that waits in the buffer, with its shard and its number in it. */
interface Waiting {
  readonly shard: number;
  readonly number: number;
  readonly record: TarRecord;
}

const whole = z.int().min(0);
const cursorSchema = z.strictObject({
  fingerprint: z.string(),
  epoch: whole.max(2 ** 32 - 1),
  position: whole,
  /** The place in the order of shards, and the next record of that shard. */
  shard: whole,
  record: whole,
  /** Shard and number of each waiting sample, in the buffer's order. */
  buffer: z.array(whole).max(200_000),
});

/** The order of the samples of tar archives: each once an epoch. */
export async function orderOfTars(
  options: WebdatasetOptions,
  cursor: Cursor | undefined,
): Promise<Order<ImageTextSample>> {
  const shards = await listShards(options.folder, options.shards, '.tar');
  const { seed, shuffle, shuffleBuffer } = options;
  const fingerprint = fingerprintOf([
    'webdataset',
    shards.map(({ name, size }) => [name, size]),
    seed,
    shuffle && shuffleBuffer,
  ]);
  const order = new TarOrder(shards, options, fingerprint);
  if (cursor) await order.moveTo(readCursor(cursorSchema, cursor, fingerprint));
  return order;
}

class TarOrder implements Order<ImageTextSample> {
  readonly #shards: readonly Shard[];
  readonly #options: WebdatasetOptions;
  readonly #fingerprint: string;
  /** The present archive and the one after it. */
  readonly #indexes = new Map<number, Promise<TarRecord[]>>();
  #epoch = 0;
  #position = 0;
  #shard = 0;
  #record = 0;
  #buffer: Waiting[] = [];

  constructor(shards: readonly Shard[], options: WebdatasetOptions, fingerprint: string) {
    this.#shards = shards;
    this.#options = options;
    this.#fingerprint = fingerprint;
  }

  get start(): Cursor {
    return this.#here();
  }

  async moveTo(cursor: z.output<typeof cursorSchema>): Promise<void> {
    const wrong = () => new DataError('data_invalid', 'the cursor does not fit the archives', { cursor });
    const { epoch, position, shard, record, buffer } = cursor;
    if (shard > this.#shards.length || buffer.length % 2 !== 0) throw wrong();
    const indexes = new Map<number, TarRecord[]>();
    for (let i = 0; i < buffer.length; i += 2) {
      const [at, number] = [buffer[i]!, buffer[i + 1]!];
      if (at >= this.#shards.length) throw wrong();
      if (!indexes.has(at)) indexes.set(at, await indexTar(this.#shards[at]!.path));
      const waiting = indexes.get(at)![number];
      if (!waiting) throw wrong();
      this.#buffer.push({ shard: at, number, record: waiting });
    }
    [this.#epoch, this.#position, this.#shard, this.#record] = [epoch, position, shard, record];
  }

  async draw(): Promise<Draw<ImageTextSample>> {
    const { seed, shuffle, shuffleBuffer } = this.#options;
    for (;;) {
      await this.#fill(shuffle ? shuffleBuffer : 1);
      if (this.#buffer.length > 0) break;
      if (this.#position === 0) throw new DataError('data_exhausted', 'the archives hold no samples');
      [this.#epoch, this.#position, this.#shard, this.#record] = [this.#epoch + 1, 0, 0, 0];
    }
    const place = { epoch: this.#epoch, position: this.#position };
    const chosen = Math.floor(uniform(seed, bufferStream + place.epoch, place.position) * this.#buffer.length);
    const drawn = this.#buffer[chosen]!;
    // The last takes the free place: moving all would be slow, and the order is by chance anyway.
    const last = this.#buffer.pop()!;
    if (last !== drawn) this.#buffer[chosen] = last;
    this.#position++;
    const shard = this.#shards[drawn.shard]!;
    const source = `${shard.name}/${drawn.record.name}`;
    const load = () => this.#load(shard, drawn.record, source, place);
    return { source, place, after: this.#here(), load };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#indexes.values());
    this.#indexes.clear();
  }

  #here(): Cursor {
    return {
      fingerprint: this.#fingerprint,
      epoch: this.#epoch,
      position: this.#position,
      shard: this.#shard,
      record: this.#record,
      buffer: this.#buffer.flatMap(({ shard, number }) => [shard, number]),
    };
  }

  /** The shard at a place in the epoch's order. */
  #shardAt(place: number): number {
    const { seed, shuffle } = this.#options;
    return shuffle ? permutedIndex(this.#shards.length, place, seed, this.#epoch) : place;
  }

  async #fill(size: number): Promise<void> {
    while (this.#buffer.length < size && this.#shard < this.#shards.length) {
      const shard = this.#shardAt(this.#shard);
      const records = await this.#indexOf(shard);
      // The next archive is listed while this one is drawn from.
      if (this.#shard + 1 < this.#shards.length) void this.#indexOf(this.#shardAt(this.#shard + 1));
      while (this.#buffer.length < size && this.#record < records.length) {
        const number = this.#record++;
        this.#buffer.push({ shard, number, record: records[number]! });
      }
      if (this.#record < records.length) return;
      this.#indexes.delete(shard);
      [this.#shard, this.#record] = [this.#shard + 1, 0];
    }
  }

  #indexOf(shard: number): Promise<TarRecord[]> {
    let index = this.#indexes.get(shard);
    if (!index) {
      index = indexTar(this.#shards[shard]!.path);
      this.#indexes.set(shard, index);
    }
    return index;
  }

  async #load(shard: Shard, record: TarRecord, source: string, place: Place): Promise<ImageTextSample> {
    const { picture, caption, problem } = record;
    if (!picture || !caption) throw new DataError('data_invalid', problem ?? 'incomplete');
    const { maxImageBytes, captionKey, seed } = this.#options;
    await using archive = await openDataFile(shard.path);
    const read = (part: TarPart, what: string, limit: number) => {
      if (part.size > limit) {
        throw new DataError('data_invalid', `the ${what} has ${part.size} bytes, the limit is ${limit}`);
      }
      return readBytes(archive, part.offset, part.size);
    };
    const text = decodeText(await read(caption, 'caption', caption.json ? maximumJsonBytes : maximumTextBytes));
    const words = caption.json
      ? chooseCaption(parseRecord(text).get(captionKey), seed, place)
      : checkText('caption', text);
    return {
      image: await loadPicture(await read(picture, 'picture', maxImageBytes), this.#options, place),
      caption: words,
      source,
    };
  }
}
