/** Pictures that the user gives: files, drops, the clipboard; and the recipe that one may have inside. */
import { fieldNameOf } from '../../../src/tasks/field-names.ts';
import { type ImageRecipe, readRecipe } from '../../../src/tasks/recipe.ts';

export const pictureTypes = ['image/png', 'image/jpeg', 'image/webp'];

export function isPicture({ type }: Blob): boolean {
  return pictureTypes.includes(type);
}

/** Files of a drop or a paste. */
export function filesOf(data: DataTransfer | null): File[] {
  return data ? [...data.files] : [];
}

/** More than any picture that Starstack saves. */
const maxBytes = 100 * 2 ** 20;

/** The recipe of a PNG of Starstack's, checked; undefined for any other picture. */
export async function recipeOf(file: File): Promise<ImageRecipe | undefined> {
  if (file.type !== 'image/png' || file.size > maxBytes) return undefined;
  try {
    return readRecipe(new Uint8Array(await file.arrayBuffer()), file.name);
  } catch {
    // Nothing inside, or nothing that can be read: a picture like any other.
    return undefined;
  }
}

/** Settings of a recipe by the names of requests: `top_k` for `topK`. */
export function requestNames(settings: ImageRecipe['settings']): Record<string, ImageRecipe['settings'][string]> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [fieldNameOf(name), value]));
}
