/** Writes pictures as tokens, once, so that the autoregressive stages need no picture tokenizer in their loop. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeFileDurably } from '../../checkpoint/durable.ts';
import { writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import { DataError } from '../error.ts';
import { asDataError } from './inside.ts';
import { manifestName, type TokenFile, type TokenManifest } from './token-manifest.ts';

export interface TokenWriterOptions {
  /** Fingerprint of the picture tokenizer, 1..256 characters. */
  readonly tokenizer: string;
  /** Codes of a sample, from 1. */
  readonly tokens: number;
  /** Codes lie in 0..vocabulary−1; up to 65,536 they take two bytes, above four. */
  readonly vocabulary: number;
  /** Samples of a file. Default 4096; so many are in memory. */
  readonly shardSamples?: number;
}

/** A sample to be written, with its prompt as text or as the language model's token ids. */
export type TokenizedPicture = {
  /** Row by row. */
  readonly codes: ArrayLike<number>;
} & (
  | { readonly prompt: string; readonly promptIds?: undefined }
  | { readonly promptIds: ArrayLike<number>; readonly prompt?: undefined }
);

export interface TokenWriter {
  /** Throws `DataError` (`data_invalid`) for a wrong number of codes or one out of range; nothing is added then. */
  add(sample: TokenizedPicture): Promise<void>;
  /** Writes the rest and the manifest. Without this call the folder is no data set. */
  finish(): Promise<TokenManifest>;
}

/**
 * Begins a data set in an empty or a new folder.
 * @throws DataError `data_option_invalid` when the folder holds something or an option is out of range;
 * CheckpointError `checkpoint_write_failed`
 */
export async function createTokenWriter(folder: string, options: TokenWriterOptions): Promise<TokenWriter> {
  const { tokenizer, tokens, vocabulary, shardSamples = 4096 } = options;
  for (const [name, value] of Object.entries({ tokens, vocabulary, shardSamples })) {
    if (Number.isSafeInteger(value) && value >= 1 && value <= 2 ** 31) continue;
    throw new DataError('data_option_invalid', `${name}: expected a whole number from 1, got ${value}`);
  }
  if (tokenizer === '' || tokenizer.length > 256 || tokens * shardSamples > 2 ** 28) {
    throw new DataError('data_option_invalid', 'tokens: no tokenizer, or more than 2^28 codes a file', { options });
  }
  let names: string[];
  try {
    await mkdir(folder, { recursive: true });
    names = await readdir(folder);
  } catch (error) {
    throw asDataError(error, folder);
  }
  if (names.length > 0) {
    throw new DataError('data_option_invalid', `${folder}: is not empty; choose a new folder`, { folder });
  }
  return new Writer(folder, { tokenizer, tokens, vocabulary, shardSamples });
}

class Writer implements TokenWriter {
  readonly #folder: string;
  readonly #options: Required<TokenWriterOptions>;
  readonly #elements: 'uint16' | 'int32';
  readonly #shards: TokenManifest['shards'] = [];
  readonly #codes: Uint16Array | Int32Array;
  #lines: string[] = [];
  #finished = false;

  constructor(folder: string, options: Required<TokenWriterOptions>) {
    this.#folder = folder;
    this.#options = options;
    this.#elements = options.vocabulary <= 2 ** 16 ? 'uint16' : 'int32';
    const length = options.shardSamples * options.tokens;
    this.#codes = this.#elements === 'uint16' ? new Uint16Array(length) : new Int32Array(length);
  }

  async add({ codes, prompt, promptIds }: TokenizedPicture): Promise<void> {
    const { tokens, vocabulary, shardSamples } = this.#options;
    if (this.#finished) throw new DataError('data_option_invalid', 'the writer has finished; begin another folder');
    const values = Array.from(codes);
    if (values.length !== tokens || !values.every((code) => inRange(code, vocabulary))) {
      throw new DataError('data_invalid', `expected ${tokens} codes in 0..${vocabulary - 1}, got others`, {
        expected: tokens,
        got: values.length,
      });
    }
    const ids = promptIds && Array.from(promptIds);
    if (ids && !ids.every((id) => inRange(id, 2 ** 31))) {
      throw new DataError('data_invalid', 'expected token ids in 0..2^31−1');
    }
    if (prompt !== undefined && /\p{Surrogate}/u.test(prompt)) {
      throw new DataError('data_invalid', 'the prompt is not valid Unicode');
    }
    this.#codes.set(values, this.#lines.length * tokens);
    this.#lines.push(`${JSON.stringify(ids ? { ids } : { prompt })}\n`);
    if (this.#lines.length === shardSamples) await this.#flush();
  }

  async finish(): Promise<TokenManifest> {
    if (this.#finished) throw new DataError('data_option_invalid', 'the writer has finished already');
    this.#finished = true;
    if (this.#lines.length > 0) await this.#flush();
    if (this.#shards.length === 0) throw new DataError('data_exhausted', 'no sample was added');
    const { tokenizer, tokens, vocabulary } = this.#options;
    const manifest: TokenManifest = {
      format: 'starstack-tokens',
      version: 1,
      tokenizer,
      tokens,
      vocabulary,
      elements: this.#elements,
      samples: this.#shards.reduce((sum, shard) => sum + shard.samples, 0),
      shards: this.#shards,
    };
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    await writeFileDurably(join(this.#folder, manifestName), [Buffer.from(text)]);
    return manifest;
  }

  async #flush(): Promise<void> {
    const lines = this.#lines.map((line) => Buffer.from(line));
    const samples = lines.length;
    const { tokens, tokenizer } = this.#options;
    const number = String(this.#shards.length).padStart(5, '0');
    const offsets = new BigInt64Array(samples + 1);
    for (const [at, line] of lines.entries()) offsets[at + 1] = offsets[at]! + BigInt(line.length);

    const codes = this.#codes.slice(0, samples * tokens);
    const codesPath = join(this.#folder, `codes-${number}.safetensors`);
    const stored =
      codes instanceof Int32Array
        ? { dtype: 'int32' as const, data: codes }
        : { dtype: 'int16' as const, data: new Int16Array(codes.buffer) };
    await writeSafetensors(
      codesPath,
      [
        { name: 'codes', shape: [samples, tokens], ...stored },
        { name: 'prompt_offsets', dtype: 'int64', shape: [samples + 1], data: offsets },
      ],
      { tokenizer, elements: this.#elements },
    );
    const promptsPath = join(this.#folder, `prompts-${number}.jsonl`);
    await writeFileDurably(promptsPath, lines);
    this.#shards.push({ samples, codes: await describe(codesPath), prompts: await describe(promptsPath) });
    this.#lines = [];
  }
}

function inRange(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

async function describe(path: string): Promise<TokenFile> {
  return { name: basename(path), bytes: (await stat(path)).size, sha256: await sha256Of(path) };
}

/** SHA-256 of a file, hexadecimal, read in pieces. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}
