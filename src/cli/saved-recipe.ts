/** Recipes of saved pictures as options of a new one. */
import { readFile, stat } from 'node:fs/promises';
import { diffusionOptionNames, pictureOptionsSchema } from '../tasks/options.ts';
import { type ImageRecipe, readRecipe } from '../tasks/recipe.ts';
import { UsageError } from './failure.ts';

/** A PNG that Starstack saved is far smaller. */
const maxBytes = 100 * 2 ** 20;

/** The recipe of a PNG that `generate` saved. */
export async function readSavedRecipe(file: string): Promise<ImageRecipe> {
  const fail = (got: string): never => {
    throw new UsageError('recipe_unreadable', `option --from: expected a PNG saved by starstack generate, got ${got}`);
  };
  const status = await stat(file).catch((error: NodeJS.ErrnoException) =>
    fail(error.code === 'ENOENT' ? `${file}, which does not exist` : `${file} (${error.code})`),
  );
  // Asked before opening: a pipe would wait for ever.
  if (!status.isFile()) fail(`${file}, which is not a file`);
  if (status.size > maxBytes) fail(`${file} of ${status.size} bytes`);
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => fail(`${file} (${error.code})`));
  const recipe = readRecipe(bytes, file);
  if (recipe.task !== 'generate') fail(`${file}, an edit: repeat it with starstack edit and its source picture`);
  return recipe;
}

/** What belongs to a run and not to a picture, so that no recipe may set it. */
const ofTheRun = ['count', 'preview', 'signal', 'onAbort', 'seed'];

/**
 * The settings of a recipe as options, and the names of those that no option has.
 * @param decoder that is asked for, whatever the recipe's: with `vq` the settings of the diffusion decoder are left out.
 */
export function settingsOf(
  { seed, settings }: ImageRecipe,
  decoder?: unknown,
): { options: Record<string, unknown>; unknown: string[] } {
  const known = new Set(Object.keys(pictureOptionsSchema.shape).filter((key) => !ofTheRun.includes(key)));
  const entries = Object.entries(settings);
  const needless: readonly string[] = decoder === 'vq' ? diffusionOptionNames : [];
  return {
    options: {
      ...Object.fromEntries(entries.filter(([key]) => known.has(key) && !needless.includes(key))),
      seed,
    },
    unknown: entries.filter(([key]) => !known.has(key)).map(([key]) => key),
  };
}
