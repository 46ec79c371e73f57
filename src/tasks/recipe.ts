/** Reads back what a saved picture says about its making. */
import { z } from 'zod';
import { readBytes } from '../checkpoint/byte-source.ts';
import { readPngText } from '../image/png-text.ts';
import type { ModelFolder } from '../models/star/model-folder.ts';
import { TaskError } from './error.ts';
import { type ImageRecipe, recipeKey } from './generated-image.ts';

const schema = z.object({
  version: z.literal(1),
  task: z.enum(['generate', 'edit']),
  prompt: z.string().max(1 << 20),
  seed: z.int().min(0),
  model: z.string().max(256),
  fingerprint: z.string().max(128),
  settings: z.record(
    z.string().max(64),
    z.union([z.string().max(4096), z.number(), z.boolean(), z.array(z.number()).max(64)]),
  ),
  thought: z
    .string()
    .max(1 << 20)
    .optional(),
});

/** The recipe inside a PNG. The text comes from a stranger: it is checked before it is used. */
export function readRecipe(png: Uint8Array, file: string): ImageRecipe {
  const text = readPngText(png).get(recipeKey);
  if (text === undefined)
    throw new TaskError(
      'recipe_missing',
      `${file}: no Starstack recipe inside; only PNGs saved by Starstack have one`,
      { file },
    );
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new TaskError('recipe_invalid', `${file}: the recipe inside cannot be read`, { file }, { cause });
  }
}

/** Bytes hashed at either end of the checkpoint. */
const sampled = 1 << 20;

/**
 * Tells one model folder from another without reading all of it: SHA-256 over the configuration, the checkpoint's size, and
 * its first and last mebibyte. First 16 hexadecimal digits.
 */
export async function fingerprintOf({ files, configFile, checkpointFile }: ModelFolder): Promise<string> {
  await using checkpoint = await files.open(checkpointFile);
  const { size } = checkpoint;
  const length = Math.min(sampled, size);
  const parts = [
    await files.read(configFile),
    new TextEncoder().encode(`${size}`),
    await readBytes(checkpoint, 0, length),
    await readBytes(checkpoint, size - length, length),
  ];
  const digest = await crypto.subtle.digest('SHA-256', await new Blob(parts as BlobPart[]).arrayBuffer());
  return Array.from(new Uint8Array(digest, 0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
