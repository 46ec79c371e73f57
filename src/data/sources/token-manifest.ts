/**
 * The description of a data set of picture tokens, `manifest.json`. It is written last, so a folder that has one is
 * whole; until then `unfinished.json` says how far the set has come.
 *
 * Beside it lie files that belong together: `codes-00000.safetensors` with `codes` `[samples, tokens]` and
 * `prompt_offsets` `[samples + 1]` (int64), and `prompts-00000.jsonl`, a line a sample, whose byte offsets those are. A
 * set of edits also has the pictures before: their codes, `before_codes` and `before_offsets` in the same file, and
 * the pictures as PNG files one behind the other, `before-00000.bin`.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { DataError } from '../error.ts';
import { openDataFile, openFolder, readInside } from './inside.ts';
import { decodeText } from './picture.ts';

export const manifestName = 'manifest.json';
export const unfinishedName = 'unfinished.json';

const whole = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const file = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,99}$/),
  bytes: whole,
  sha256,
});

const common = {
  version: z.literal(1),
  /** Tells picture tokenizers apart: codes of one mean nothing to another. */
  tokenizer: z.string().min(1).max(256),
  /** Codes of a sample. */
  tokens: z.int().min(1).max(1_000_000),
  /** Codes lie in 0..vocabulary−1. */
  vocabulary: z
    .int()
    .min(1)
    .max(2 ** 31),
  /** `uint16` codes are stored as the bits of int16, because the project's tensors have no unsigned type of 16 bits. */
  elements: z.enum(['uint16', 'int32']),
  /** Whether each sample is an edit, with the picture before. */
  edits: z.boolean().default(false),
  shards: z
    .array(z.strictObject({ samples: z.int().min(1), codes: file, prompts: file, before: file.optional() }))
    .min(1)
    .max(1_000_000),
};

const manifestSchema = z.strictObject({ format: z.literal('starstack-tokens'), ...common, samples: z.int().min(1) });

const unfinishedSchema = z.strictObject({
  format: z.literal('starstack-tokens-unfinished'),
  ...common,
  /** Where the pictures' stream stood after the last sample. */
  cursor: z.record(z.string(), z.unknown()),
});

export type TokenManifest = z.output<typeof manifestSchema>;
export type TokenFile = z.output<typeof file>;
export type TokenShardFiles = TokenManifest['shards'][number];
export type UnfinishedTokens = z.output<typeof unfinishedSchema>;

/** Most bytes of the manifest; a shard takes about 400. */
const maximumManifestBytes = 512 * 1024 * 1024;

/**
 * Reads a folder's manifest.
 * @param tokenizer fingerprint of the tokenizer that the codes must be of
 * @throws DataError `data_not_found`, `data_invalid` (damaged, or of another tokenizer)
 */
export async function readTokenManifest(
  folder: string,
  tokenizer: string,
): Promise<{ root: string; manifest: TokenManifest }> {
  const root = await openFolder(folder);
  const manifest = await readDescription(root, join(folder, manifestName), manifestSchema);
  if (manifest.tokenizer !== tokenizer) {
    throw new DataError(
      'data_invalid',
      `${folder}: its tokens were made by tokenizer ${manifest.tokenizer}, not by ${tokenizer}; tokenize the pictures again`,
      { folder, expected: tokenizer, got: manifest.tokenizer },
    );
  }
  const counted = manifest.shards.reduce((sum, { samples }) => sum + samples, 0);
  if (counted !== manifest.samples) {
    const path = join(folder, manifestName);
    throw new DataError('data_invalid', `${path}: ${manifest.samples} samples, but ${counted} in its files`);
  }
  return { root, manifest };
}

/** Whether a folder holds a set that is whole. */
export async function isTokenSet(folder: string): Promise<boolean> {
  const status = await stat(join(folder, manifestName)).catch(() => undefined);
  return status?.isFile() === true;
}

/** How far a set has come that was not finished. Throws as `readTokenManifest`. */
export async function readUnfinished(folder: string): Promise<UnfinishedTokens> {
  return readDescription(await openFolder(folder), join(folder, unfinishedName), unfinishedSchema);
}

async function readDescription<T extends { shards: TokenShardFiles[]; edits: boolean }>(
  root: string,
  path: string,
  schema: z.ZodType<T>,
): Promise<T> {
  const text = decodeText(await readInside(root, basename(path), maximumManifestBytes));
  let description: T;
  try {
    description = schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new DataError('data_invalid', `${path}: no manifest of picture tokens`, { file: path }, { cause });
  }
  if (description.shards.some(({ before }) => (before !== undefined) !== description.edits)) {
    throw new DataError('data_invalid', `${path}: the pictures before edits are not those of its files`);
  }
  return description;
}

/** Throws `DataError` where a file is not the one that was written. @param verify false: only its size is compared */
export async function checkTokenFile(root: string, { name, bytes, sha256 }: TokenFile, verify: boolean): Promise<void> {
  const path = join(root, name);
  await using source = await openDataFile(path);
  if (source.size !== bytes || (verify && (await sha256Of(path)) !== sha256)) {
    throw new DataError('data_invalid', `${path}: is not the file that was written; copy or tokenize it again`, {
      file: path,
    });
  }
}

/** SHA-256 of a file, hexadecimal, read in pieces. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}
