/** What a saved picture says about its making, and how it is read back. Free of Node: the studio reads recipes too. */
import { z } from 'zod';
import { readPngText } from '../image/png-text.ts';
import { TaskError } from './error.ts';

export type RecipeSetting = string | number | boolean | readonly number[];

/** What travels inside a saved PNG, as JSON in the text chunk `star`. */
export interface ImageRecipe {
  readonly version: 1;
  readonly task: 'generate' | 'edit';
  readonly prompt: string;
  /** Seed of this image alone. */
  readonly seed: number;
  readonly model: string;
  /** Tells model folders apart; see `fingerprint.ts`. */
  readonly fingerprint: string;
  readonly settings: Readonly<Record<string, RecipeSetting>>;
  readonly thought?: string;
}

/** Name of the PNG text chunk that holds an `ImageRecipe`. */
export const recipeKey = 'star';

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
