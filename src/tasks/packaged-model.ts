/** The models that the package itself holds, by name. Node only. */
import { fileURLToPath } from 'node:url';

/** Names that stand for folders of the package. */
export const packagedModels = ['nano'] as const;

/** The model that a command takes where none is named. */
export const defaultModel = 'nano';

/** The folder that a name stands for; anything else is a path already. A folder of the same name is `./nano`. */
export function modelPlace(nameOrPath: string): string {
  if (!packagedModels.some((name) => name === nameOrPath)) return nameOrPath;
  // The same seen from src/tasks and from dist/tasks.
  return fileURLToPath(new URL(`../../models/${nameOrPath}`, import.meta.url));
}
