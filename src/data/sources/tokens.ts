/** Reads pictures that were written as tokens: by number, or as a stream. */
import { join } from 'node:path';
import { readBytes } from '../../checkpoint/byte-source.ts';
import type { TensorEntry } from '../../checkpoint/entry.ts';
import { readSafetensors } from '../../checkpoint/safetensors.ts';
import { DataError } from '../error.ts';
import type { Cursor, SampleStream } from '../stream.ts';
import { asDataError, openDataFile } from './inside.ts';
import { parseRecord } from './line-index.ts';
import { fingerprintOf, type OrderOptions, orderOf } from './order.ts';
import { decodeText } from './picture.ts';
import { readAhead } from './read-ahead.ts';
import { readTokenManifest, type TokenManifest } from './token-manifest.ts';
import { sha256Of } from './token-writer.ts';

/** Most bytes of a prompt's line. */
const maximumPromptBytes = 16 * 1024 * 1024;
const promptLimits = { depth: 3, values: 2_000_000 };

export interface TokenSample {
  /** The picture's codes, row by row. */
  readonly codes: Int32Array;
  /** The prompt as text; undefined where it was written as ids. */
  readonly prompt: string | undefined;
  /** The prompt as the language model's token ids; undefined where it was written as text. */
  readonly promptIds: Int32Array | undefined;
  readonly source: string;
}

export interface TokenOptions {
  /** Fingerprint of the picture tokenizer that the codes must be of. */
  readonly tokenizer: string;
  /** False: SHA-256 of the files is not compared when they are opened, only their sizes. Default true. */
  readonly verify?: boolean;
}

export interface TokenStreamOptions extends TokenOptions, Partial<OrderOptions> {
  /** Samples read ahead, 1..64. Default 16. */
  readonly prefetch?: number;
}

/** A data set whose files were checked; they are opened for each read, for there may be many. */
export interface TokenData {
  readonly manifest: TokenManifest;
  readonly count: number;
  /** Throws `DataError` (`data_option_invalid`) for a number that is none, `data_invalid` for damage. */
  read(index: number): Promise<TokenSample>;
}

/** A pair of files, with the number of its first sample. */
interface TokenShard {
  readonly start: number;
  readonly name: string;
  readonly codes: string;
  readonly prompts: string;
  readonly codesAt: TensorEntry;
  readonly offsetsAt: TensorEntry;
}

/**
 * Opens a data set of tokens.
 * @throws DataError `data_not_found`, `data_unreadable`, `data_invalid` (of another tokenizer, damaged or changed)
 */
export async function openTokens(folder: string, { tokenizer, verify = true }: TokenOptions): Promise<TokenData> {
  const { root, manifest } = await readTokenManifest(folder, tokenizer);
  const shards: TokenShard[] = [];
  try {
    let start = 0;
    for (const described of manifest.shards) {
      for (const file of [described.codes, described.prompts]) await checkFile(root, file, verify);
      shards.push(await describeShard(root, described, manifest, start));
      start += described.samples;
    }
  } catch (error) {
    throw asDataError(error, folder);
  }
  return {
    manifest,
    count: manifest.samples,
    read: (index) => readSample(manifest, shards, index),
  };
}

/**
 * Opens a data set of tokens as a stream: each sample once an epoch.
 * @param options seed 0..2^53−1, default 0; shuffle, default true
 * @throws DataError as `openTokens`, and for a cursor of other data, seed or shuffle
 */
export async function openTokenStream(
  folder: string,
  options: TokenStreamOptions,
  cursor?: Cursor,
): Promise<SampleStream<TokenSample>> {
  const { seed = 0, shuffle = true, prefetch = 16 } = options;
  for (const [name, value, low, high] of [
    ['seed', seed, 0, Number.MAX_SAFE_INTEGER],
    ['prefetch', prefetch, 1, 64],
  ] as const) {
    if (Number.isSafeInteger(value) && value >= low && value <= high) continue;
    throw new DataError('data_option_invalid', `${name}: expected a whole number in ${low}..${high}, got ${value}`);
  }
  const data = await openTokens(folder, options);
  const index = {
    count: data.count,
    fingerprint: fingerprintOf(['tokens', data.manifest]),
    source: (at: number) => `sample ${at}`,
    load: (at: number) => data.read(at),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return readAhead(orderOf(index, { seed, shuffle }, cursor), prefetch);
}

async function checkFile(
  root: string,
  { name, bytes, sha256 }: TokenManifest['shards'][number]['codes'],
  verify: boolean,
): Promise<void> {
  const path = join(root, name);
  await using source = await openDataFile(path);
  if (source.size !== bytes || (verify && (await sha256Of(path)) !== sha256)) {
    throw new DataError('data_invalid', `${path}: is not the file that was written; copy or tokenize it again`, {
      file: path,
    });
  }
}

async function describeShard(
  root: string,
  { codes: { name }, prompts, samples }: TokenManifest['shards'][number],
  { tokens, elements }: TokenManifest,
  start: number,
): Promise<TokenShard> {
  const path = join(root, name);
  await using codes = await openDataFile(path);
  const { entries } = await readSafetensors(codes);
  const codesAt = entries.get('codes');
  const offsetsAt = entries.get('prompt_offsets');
  const sound =
    codesAt?.dtype === (elements === 'uint16' ? 'int16' : 'int32') &&
    codesAt.shape.join() === `${samples},${tokens}` &&
    offsetsAt?.dtype === 'int64' &&
    offsetsAt.shape.join() === `${samples + 1}`;
  if (!sound) throw new DataError('data_invalid', `${path}: its tensors are not those of the manifest`);
  return { start, name, codes: path, prompts: join(root, prompts.name), codesAt, offsetsAt };
}

async function readSample(
  { tokens, vocabulary, elements, samples }: TokenManifest,
  shards: readonly TokenShard[],
  index: number,
): Promise<TokenSample> {
  if (!Number.isSafeInteger(index) || index < 0 || index >= samples) {
    throw new DataError('data_option_invalid', `expected the number of a sample in 0..${samples - 1}, got ${index}`);
  }
  const shard = shards.findLast(({ start }) => start <= index)!;
  const row = index - shard.start;
  const source = `${shard.name}:${row}`;
  const width = elements === 'uint16' ? 2 : 4;
  await using codesFile = await openDataFile(shard.codes);
  const bytes = await readBytes(codesFile, shard.codesAt.offset + row * tokens * width, tokens * width);
  const buffer = bytes.buffer as ArrayBuffer;
  const codes = elements === 'uint16' ? Int32Array.from(new Uint16Array(buffer)) : new Int32Array(buffer);
  if (codes.some((code) => code < 0 || code >= vocabulary)) {
    throw new DataError('data_invalid', `${source}: a code beyond the vocabulary of ${vocabulary}`);
  }
  const ends = await readBytes(codesFile, shard.offsetsAt.offset + row * 8, 16);
  const view = new DataView(ends.buffer);
  const [from, to] = [Number(view.getBigInt64(0, true)), Number(view.getBigInt64(8, true))];
  if (!(from >= 0 && to >= from && to - from <= maximumPromptBytes)) {
    throw new DataError('data_invalid', `${source}: a prompt from byte ${from} to ${to}`);
  }
  await using promptsFile = await openDataFile(shard.prompts);
  const fields = parseRecord(decodeText(await readBytes(promptsFile, from, to - from)), promptLimits);
  const prompt = fields.get('prompt');
  const ids = fields.get('ids');
  if (typeof prompt === 'string') return { codes, prompt, promptIds: undefined, source };
  if (Array.isArray(ids) && ids.every((id) => typeof id === 'bigint' && id >= 0n && id < 2n ** 31n)) {
    return { codes, prompt: undefined, promptIds: Int32Array.from(ids, Number), source };
  }
  throw new DataError('data_invalid', `${source}: neither a prompt nor its ids`);
}
