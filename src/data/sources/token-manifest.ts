/**
 * The description of a data set of picture tokens, `manifest.json`. It is written last, so a folder that has one is
 * whole.
 *
 * Beside it lie pairs of files: `codes-00000.safetensors` with `codes` `[samples, tokens]` and `prompt_offsets`
 * `[samples + 1]` (int64), and `prompts-00000.jsonl`, a line a sample, whose byte offsets those are.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { DataError } from '../error.ts';
import { openFolder, readInside } from './inside.ts';
import { decodeText } from './picture.ts';

export const manifestName = 'manifest.json';

const whole = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const file = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,99}$/),
  bytes: whole,
  sha256,
});

const manifestSchema = z.strictObject({
  format: z.literal('starstack-tokens'),
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
  samples: z.int().min(1),
  shards: z
    .array(z.strictObject({ samples: z.int().min(1), codes: file, prompts: file }))
    .min(1)
    .max(1_000_000),
});

export type TokenManifest = z.output<typeof manifestSchema>;
export type TokenFile = z.output<typeof file>;

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
  const path = join(folder, manifestName);
  const text = decodeText(await readInside(root, manifestName, maximumManifestBytes));
  let manifest: TokenManifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new DataError('data_invalid', `${path}: no manifest of picture tokens`, { file: path }, { cause });
  }
  if (manifest.tokenizer !== tokenizer) {
    throw new DataError(
      'data_invalid',
      `${folder}: its tokens were made by tokenizer ${manifest.tokenizer}, not by ${tokenizer}; tokenize the pictures again`,
      { folder, expected: tokenizer, got: manifest.tokenizer },
    );
  }
  const counted = manifest.shards.reduce((sum, { samples }) => sum + samples, 0);
  if (counted !== manifest.samples) {
    throw new DataError('data_invalid', `${path}: ${manifest.samples} samples, but ${counted} in its files`);
  }
  return { root, manifest };
}
