/** Model folders on the disk of Node; `model-folder.ts` finds them in any place of files. */
import { nodeFiles } from '../../checkpoint/node-files.ts';
import { type ModelFolder, type ModelFolderOptions, openModelFolderIn } from './model-folder.ts';

export type { ModelFolder, ModelFolderOptions } from './model-folder.ts';

/** Finds and checks the parts of a model folder. See `openModelFolderIn`. */
export function openModelFolder(folder: string, options?: ModelFolderOptions): Promise<ModelFolder> {
  return openModelFolderIn(nodeFiles, folder, options);
}
