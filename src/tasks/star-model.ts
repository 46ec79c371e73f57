/** A loaded model in Node: its folder on the disk, its runtime in a worker thread. */
import { nodeCodec } from '../image/node-codec.ts';
import { openModelFolder } from '../models/star/folder.ts';
import type { StarWeights } from '../models/star/weights.ts';
import { Runtime, type RuntimeOptions } from '../runtime/runtime.ts';
import { LoadedModel, loadParts, type ModelOptions } from './loaded-model.ts';
import { modelPlace } from './packaged-model.ts';

export type { ProgramName } from './loaded-model.ts';

export interface LoadOptions extends RuntimeOptions, ModelOptions {}

export class StarModel extends LoadedModel {
  /**
   * Opens a model folder in the published layout, or the package's own by name (`nano`), and starts a runtime; nothing
   * large is in memory yet.
   */
  static async open(path: string, { trace, keepDecoder, ...options }: LoadOptions = {}): Promise<StarModel> {
    const folder = await openModelFolder(modelPlace(path));
    const start = async (weights: StarWeights) => ({ runtime: await Runtime.create(options), weights });
    return new StarModel(await loadParts({ folder, codec: nodeCodec, start, trace, keepDecoder }));
  }
}
