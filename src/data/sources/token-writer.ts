/** Writes pictures as tokens, once, so that the autoregressive stages need no picture tokenizer in their loop. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeFileDurably } from '../../checkpoint/durable.ts';
import { type TensorToWrite, writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import { encodePng } from '../../image/png.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { DataError } from '../error.ts';
import type { Cursor } from '../stream.ts';
import { asDataError } from './inside.ts';
import {
  checkTokenFile,
  manifestName,
  readUnfinished,
  sha256Of,
  type TokenFile,
  type TokenManifest,
  type TokenShardFiles,
  type UnfinishedTokens,
  unfinishedName,
} from './token-manifest.ts';

export interface TokenWriterOptions {
  /** Fingerprint of the picture tokenizer, 1..256 characters. */
  readonly tokenizer: string;
  /** Codes of a sample, from 1. */
  readonly tokens: number;
  /** Codes lie in 0..vocabulary−1; up to 65,536 they take two bytes, above four. */
  readonly vocabulary: number;
  /** Whether each sample is an edit, with the picture before. Default false. */
  readonly edits?: boolean;
  /** Samples of a file. Default 4096; so many are in memory. */
  readonly shardSamples?: number;
}

/** A sample to be written, with its prompt as text or as the language model's token ids. */
export type TokenizedPicture = {
  /** Row by row. */
  readonly codes: ArrayLike<number>;
  /** In a set of edits, and there alone: the picture that the prompt, an instruction, changes. */
  readonly before?: { readonly codes: ArrayLike<number>; readonly image: RgbImage };
} & (
  | { readonly prompt: string; readonly promptIds?: undefined }
  | { readonly promptIds: ArrayLike<number>; readonly prompt?: undefined }
);

export interface TokenWriter {
  /** Samples that are written, in this run and before. */
  readonly samples: number;
  /**
   * Adds a sample.
   * @param after where the pictures' stream stands after it: a set that is not finished is gone on with from there.
   *   Without it the set cannot be resumed.
   * @throws DataError `data_invalid` for a wrong number of codes or one out of range; nothing is added then
   */
  add(sample: TokenizedPicture, after?: Cursor): Promise<void>;
  /** Writes what was added, so that the set can be resumed without loss. */
  flush(): Promise<void>;
  /** Writes the rest and the manifest. Without this call the folder is no data set. */
  finish(): Promise<TokenManifest>;
}

/**
 * Begins a data set in an empty or a new folder.
 * @throws DataError `data_option_invalid` when the folder holds something or an option is out of range;
 * CheckpointError `checkpoint_write_failed`
 */
export async function createTokenWriter(folder: string, options: TokenWriterOptions): Promise<TokenWriter> {
  const complete = completeOptions(options);
  const names = await namesIn(folder);
  if (names.length === 0) return new Writer(folder, complete, [], undefined);
  const advice = names.includes(unfinishedName) ? 'holds a set that was not finished; resume it or' : 'is not empty;';
  throw new DataError('data_option_invalid', `${folder}: ${advice} choose a new folder`, { folder });
}

/** What a set consists of while it is not finished, and what a killed process may leave. */
const ownFiles = /^(codes|prompts|before)-\d{5}\.[a-z]+$|^\.[a-z0-9.-]+\.tmp$|^unfinished\.json$/;

/**
 * Goes on with a data set that was not finished, or begins one.
 * @returns the writer, and where to go on in the stream of pictures; undefined at its beginning
 * @throws DataError as `createTokenWriter`; `data_option_invalid` too where the set was begun with other options or
 * the folder holds something else; `data_invalid` where its files are not as they were written
 */
export async function resumeTokenWriter(
  folder: string,
  options: TokenWriterOptions,
): Promise<{ readonly writer: TokenWriter; readonly cursor: Cursor | undefined }> {
  const complete = completeOptions(options);
  const names = await namesIn(folder);
  const strange = names.find((name) => !ownFiles.test(name));
  if (strange !== undefined) {
    const message = `${folder}: holds ${strange}, expected a set that was not finished`;
    throw new DataError('data_option_invalid', message, { folder });
  }
  if (!names.includes(unfinishedName)) {
    return { writer: new Writer(folder, complete, [], undefined), cursor: undefined };
  }
  const unfinished = await readUnfinished(folder);
  for (const key of ['tokenizer', 'tokens', 'vocabulary', 'edits'] as const) {
    if (unfinished[key] === complete[key]) continue;
    const message = `was begun with ${key} ${unfinished[key]}, now it is ${complete[key]}; choose a new folder`;
    throw new DataError('data_option_invalid', `${folder}: ${message}`, { folder });
  }
  for (const { codes, prompts, before } of unfinished.shards) {
    for (const file of [codes, prompts, ...(before ? [before] : [])]) await checkTokenFile(folder, file, true);
  }
  const { cursor, shards } = unfinished;
  return { writer: new Writer(folder, complete, shards, cursor), cursor };
}

type CompleteOptions = Required<TokenWriterOptions>;

function completeOptions(options: TokenWriterOptions): CompleteOptions {
  const { tokenizer, tokens, vocabulary, edits = false, shardSamples = 4096 } = options;
  for (const [name, value] of Object.entries({ tokens, vocabulary, shardSamples })) {
    if (Number.isSafeInteger(value) && value >= 1 && value <= 2 ** 31) continue;
    throw new DataError('data_option_invalid', `${name}: expected a whole number from 1, got ${value}`);
  }
  if (tokenizer === '' || tokenizer.length > 256 || tokens * shardSamples > 2 ** 28) {
    throw new DataError('data_option_invalid', 'tokens: no tokenizer, or more than 2^28 codes a file', { options });
  }
  return { tokenizer, tokens, vocabulary, edits, shardSamples };
}

/** What a folder holds; it is made where it is missing. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    await mkdir(folder, { recursive: true });
    return await readdir(folder);
  } catch (error) {
    throw asDataError(error, folder);
  }
}

/** A shard is written when its pictures take so many bytes, however few they are. */
const mostPictureBytes = 256 * 1024 * 1024;

/** Codes, and what lies beside them: a prompt's line or a picture. */
interface Piece {
  readonly codes: Int32Array;
  readonly bytes: Uint8Array;
}

/** A sample that waits for its shard to be written; its bytes are its prompt's. */
interface Waiting extends Piece {
  readonly before: Piece | undefined;
}

class Writer implements TokenWriter {
  readonly #folder: string;
  readonly #options: CompleteOptions;
  readonly #elements: 'uint16' | 'int32';
  readonly #shards: TokenManifest['shards'];
  #waiting: Waiting[] = [];
  #pictureBytes = 0;
  #after: Cursor | undefined;
  #finished = false;

  constructor(folder: string, options: CompleteOptions, shards: readonly TokenShardFiles[], after: Cursor | undefined) {
    this.#folder = folder;
    this.#options = options;
    this.#elements = options.vocabulary <= 2 ** 16 ? 'uint16' : 'int32';
    this.#shards = [...shards];
    this.#after = after;
  }

  get samples(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.samples, this.#waiting.length);
  }

  async add({ codes, prompt, promptIds, before }: TokenizedPicture, after?: Cursor): Promise<void> {
    if (this.#finished) throw new DataError('data_option_invalid', 'the writer has finished; begin another folder');
    const { edits, shardSamples } = this.#options;
    const values = this.#checked(codes);
    const ids = promptIds && Array.from(promptIds);
    if (ids && !ids.every((id) => inRange(id, 2 ** 31))) {
      throw new DataError('data_invalid', 'expected token ids in 0..2^31−1');
    }
    if (prompt !== undefined && /\p{Surrogate}/u.test(prompt)) {
      throw new DataError('data_invalid', 'the prompt is not valid Unicode');
    }
    if ((before !== undefined) !== edits) {
      const expected = edits ? 'an edit with the picture before' : 'a picture alone';
      throw new DataError('data_invalid', `expected ${expected}`);
    }
    const picture = before && { codes: this.#checked(before.codes), bytes: await encodePng(before.image) };
    const bytes = Buffer.from(`${JSON.stringify(ids ? { ids } : { prompt })}\n`);
    this.#waiting.push({ codes: values, bytes, before: picture });
    this.#pictureBytes += picture?.bytes.length ?? 0;
    this.#after = after;
    if (this.#waiting.length >= shardSamples || this.#pictureBytes >= mostPictureBytes) await this.flush();
  }

  async finish(): Promise<TokenManifest> {
    if (this.#finished) throw new DataError('data_option_invalid', 'the writer has finished already');
    this.#finished = true;
    await this.flush();
    if (this.#shards.length === 0) throw new DataError('data_exhausted', `${this.#folder}: no sample was added`);
    const manifest: TokenManifest = { format: 'starstack-tokens', ...this.#description(), samples: this.samples };
    await this.#describe(manifestName, manifest);
    await rm(join(this.#folder, unfinishedName), { force: true });
    return manifest;
  }

  async flush(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    const { tokenizer, edits } = this.#options;
    const number = String(this.#shards.length).padStart(5, '0');
    const pictures = waiting.map(({ before }) => before!);
    const path = join(this.#folder, `codes-${number}.safetensors`);
    await writeSafetensors(
      path,
      [
        ...this.#tensors('codes', 'prompt_offsets', waiting),
        ...(edits ? this.#tensors('before_codes', 'before_offsets', pictures) : []),
      ],
      { tokenizer, elements: this.#elements },
    );
    const write = async (name: string, pieces: readonly Piece[]): Promise<TokenFile> => {
      const bytes = pieces.map((piece) => piece.bytes);
      await writeFileDurably(join(this.#folder, name), bytes);
      return fileAt(join(this.#folder, name));
    };
    const prompts = await write(`prompts-${number}.jsonl`, waiting);
    const before = edits ? { before: await write(`before-${number}.bin`, pictures) } : {};
    this.#shards.push({ samples: waiting.length, codes: await fileAt(path), prompts, ...before });
    this.#waiting = [];
    this.#pictureBytes = 0;
    if (!this.#after) return;
    const format = 'starstack-tokens-unfinished';
    await this.#describe(unfinishedName, { format, ...this.#description(), cursor: this.#after });
  }

  #description() {
    const { tokenizer, tokens, vocabulary, edits } = this.#options;
    return {
      version: 1 as const,
      tokenizer,
      tokens,
      vocabulary,
      elements: this.#elements,
      edits,
      shards: this.#shards,
    };
  }

  async #describe(name: string, description: TokenManifest | UnfinishedTokens): Promise<void> {
    await writeFileDurably(join(this.#folder, name), [Buffer.from(`${JSON.stringify(description, null, 2)}\n`)]);
  }

  #checked(codes: ArrayLike<number>): Int32Array {
    const { tokens, vocabulary } = this.#options;
    const values = Array.from(codes);
    if (values.length === tokens && values.every((code) => inRange(code, vocabulary))) return Int32Array.from(values);
    throw new DataError('data_invalid', `expected ${tokens} codes in 0..${vocabulary - 1}, got others`, {
      expected: tokens,
      got: values.length,
    });
  }

  /** Codes `[pieces, tokens]`, and where each piece's bytes begin and the last one's end. */
  #tensors(codes: string, offsets: string, pieces: readonly Piece[]): TensorToWrite[] {
    const { tokens } = this.#options;
    const shape = [pieces.length, tokens];
    const all = new (this.#elements === 'uint16' ? Uint16Array : Int32Array)(pieces.length * tokens);
    const places = new BigInt64Array(pieces.length + 1);
    pieces.forEach((piece, at) => {
      all.set(piece.codes, at * tokens);
      places[at + 1] = places[at]! + BigInt(piece.bytes.length);
    });
    const stored =
      all instanceof Int32Array
        ? { dtype: 'int32' as const, data: all }
        : { dtype: 'int16' as const, data: new Int16Array(all.buffer) };
    return [
      { name: codes, shape, ...stored },
      { name: offsets, dtype: 'int64', shape: [places.length], data: places },
    ];
  }
}

function inRange(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

async function fileAt(path: string): Promise<TokenFile> {
  return { name: basename(path), bytes: (await stat(path)).size, sha256: await sha256Of(path) };
}
