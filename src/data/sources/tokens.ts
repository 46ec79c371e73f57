/** Reads pictures that were written as tokens: by number, or as a stream. */
import { join } from 'node:path';
import { type ByteSource, readBytes } from '../../checkpoint/byte-source.ts';
import type { TensorEntry } from '../../checkpoint/entry.ts';
import { readSafetensors } from '../../checkpoint/safetensors.ts';
import { decodeImage } from '../../image/decode.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { DataError } from '../error.ts';
import type { Cursor, SampleStream } from '../stream.ts';
import { asDataError, openDataFile } from './inside.ts';
import { parseRecord } from './line-index.ts';
import { fingerprintOf, type OrderOptions, orderOf } from './order.ts';
import { decodeText } from './picture.ts';
import { readAhead } from './read-ahead.ts';
import { checkTokenFile, readTokenManifest, type TokenManifest, type TokenShardFiles } from './token-manifest.ts';

/** Most bytes of a prompt's line. */
const maximumPromptBytes = 16 * 1024 * 1024;
/** Most bytes of a picture before an edit. */
const maximumPictureBytes = 2 ** 30;
const promptLimits = { depth: 3, values: 2_000_000 };

export interface TokenSample {
  /** The picture's codes, row by row. */
  readonly codes: Int32Array;
  /** The prompt as text; undefined where it was written as ids. */
  readonly prompt: string | undefined;
  /** The prompt as the language model's token ids; undefined where it was written as text. */
  readonly promptIds: Int32Array | undefined;
  /** In a set of edits, whose prompts are instructions: the picture before, and its codes. */
  readonly before: { readonly codes: Int32Array; readonly image: RgbImage } | undefined;
  /** File, and the place in it. */
  readonly source: string;
}

export interface TokenOptions {
  /** Fingerprint of the picture tokenizer that the codes must be of. */
  readonly tokenizer: string;
  /** Whether the set must be one of edits, or must not. Default: either. */
  readonly edits?: boolean;
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

/** Files that belong together, with the number of their first sample. */
interface TokenShard {
  readonly start: number;
  readonly name: string;
  /** Paths. */
  readonly codes: string;
  readonly prompts: string;
  readonly before: string | undefined;
  /** Where tensors lie in the file of the codes. */
  readonly codesAt: TensorEntry;
  readonly offsetsAt: TensorEntry;
  readonly beforeCodesAt: TensorEntry | undefined;
  readonly beforeOffsetsAt: TensorEntry | undefined;
}

/**
 * Opens a data set of tokens.
 * @throws DataError `data_not_found`, `data_unreadable`, `data_invalid` (of another tokenizer, damaged or changed)
 */
export async function openTokens(
  folder: string,
  { tokenizer, edits, verify = true }: TokenOptions,
): Promise<TokenData> {
  const { root, manifest } = await readTokenManifest(folder, tokenizer);
  if (edits !== undefined && edits !== manifest.edits) {
    const [expected, got] = edits ? ['edits', 'captioned pictures'] : ['captioned pictures', 'edits'];
    throw new DataError('data_invalid', `${folder}: expected a set of ${expected}, got one of ${got}`, { folder });
  }
  const shards: TokenShard[] = [];
  try {
    let start = 0;
    for (const described of manifest.shards) {
      const { codes, prompts, before } = described;
      for (const file of [codes, prompts, ...(before ? [before] : [])]) await checkTokenFile(root, file, verify);
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

async function describeShard(
  root: string,
  { codes: { name }, prompts, before, samples }: TokenShardFiles,
  { tokens, elements }: TokenManifest,
  start: number,
): Promise<TokenShard> {
  const path = join(root, name);
  await using codes = await openDataFile(path);
  const { entries } = await readSafetensors(codes);
  const find = (tensor: string, dtype: string, shape: string): TensorEntry => {
    const entry = entries.get(tensor);
    if (entry?.dtype === dtype && entry.shape.join() === shape) return entry;
    throw new DataError('data_invalid', `${path}: its tensors are not those of the manifest`);
  };
  const codesOf = (tensor: string) => find(tensor, elements === 'uint16' ? 'int16' : 'int32', `${samples},${tokens}`);
  const offsetsOf = (tensor: string) => find(tensor, 'int64', `${samples + 1}`);
  return {
    start,
    name,
    codes: path,
    prompts: join(root, prompts.name),
    before: before && join(root, before.name),
    codesAt: codesOf('codes'),
    offsetsAt: offsetsOf('prompt_offsets'),
    beforeCodesAt: before && codesOf('before_codes'),
    beforeOffsetsAt: before && offsetsOf('before_offsets'),
  };
}

async function readSample(manifest: TokenManifest, shards: readonly TokenShard[], index: number): Promise<TokenSample> {
  const { samples } = manifest;
  if (!Number.isSafeInteger(index) || index < 0 || index >= samples) {
    throw new DataError('data_option_invalid', `expected the number of a sample in 0..${samples - 1}, got ${index}`);
  }
  const shard = shards.findLast(({ start }) => start <= index)!;
  const row = index - shard.start;
  const source = `${shard.name}:${row}`;
  await using file = await openDataFile(shard.codes);
  const place = { file, row, source };
  const codes = await readCodes(place, shard.codesAt, manifest);
  const line = await readPiece(place, shard.offsetsAt, shard.prompts, maximumPromptBytes);
  const fields = parseRecord(decodeText(line), promptLimits);
  const prompt = fields.get('prompt');
  const ids = fields.get('ids');
  const isIds = Array.isArray(ids) && ids.every((id) => typeof id === 'bigint' && id >= 0n && id < 2n ** 31n);
  if (typeof prompt !== 'string' && !isIds) {
    throw new DataError('data_invalid', `${source}: neither a prompt nor its ids`);
  }
  return {
    codes,
    prompt: typeof prompt === 'string' ? prompt : undefined,
    promptIds: typeof prompt === 'string' ? undefined : Int32Array.from(ids as bigint[], Number),
    before: shard.before === undefined ? undefined : await readBefore(place, shard, shard.before, manifest),
    source,
  };
}

/** A row of an open file of codes. */
interface RowPlace {
  readonly file: ByteSource;
  readonly row: number;
  readonly source: string;
}

async function readCodes(
  { file, row, source }: RowPlace,
  { offset }: TensorEntry,
  { tokens, vocabulary, elements }: TokenManifest,
): Promise<Int32Array> {
  const width = elements === 'uint16' ? 2 : 4;
  const { buffer } = await readBytes(file, offset + row * tokens * width, tokens * width);
  const codes =
    elements === 'uint16'
      ? Int32Array.from(new Uint16Array(buffer as ArrayBuffer))
      : new Int32Array(buffer as ArrayBuffer);
  if (codes.every((code) => code >= 0 && code < vocabulary)) return codes;
  throw new DataError('data_invalid', `${source}: a code beyond the vocabulary of ${vocabulary}`);
}

/** The bytes of a row in a file whose rows begin at offsets. */
async function readPiece(
  { file, row, source }: RowPlace,
  { offset }: TensorEntry,
  path: string,
  limit: number,
): Promise<Uint8Array> {
  const ends = await readBytes(file, offset + row * 8, 16);
  const view = new DataView(ends.buffer, ends.byteOffset);
  const [from, to] = [Number(view.getBigInt64(0, true)), Number(view.getBigInt64(8, true))];
  if (!(from >= 0 && to >= from && to - from <= limit)) {
    throw new DataError('data_invalid', `${source}: a piece of ${path} from byte ${from} to ${to}`);
  }
  await using pieces = await openDataFile(path);
  return readBytes(pieces, from, to - from);
}

async function readBefore(
  place: RowPlace,
  { beforeCodesAt, beforeOffsetsAt }: TokenShard,
  path: string,
  manifest: TokenManifest,
): Promise<NonNullable<TokenSample['before']>> {
  const codes = await readCodes(place, beforeCodesAt!, manifest);
  const png = await readPiece(place, beforeOffsetsAt!, path, maximumPictureBytes);
  return { codes, image: await decodeImage(png) };
}
