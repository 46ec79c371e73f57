/** The public face in Node: one model that understands, generates and edits. */
import { type LoadOptions, StarModel } from './star-model.ts';
import { StarTasks } from './star-tasks.ts';

export type { Message, MessagePart, PictureSource } from './star-tasks.ts';

/**
 * A loaded model.
 *
 * ```ts
 * await using star = await Star.load('nano');
 * const { images } = await star.generate('two red apples', { seed: 7 });
 * await images[0].save('apples.png');
 * ```
 */
export class Star extends StarTasks {
  /**
   * Opens a model folder in the published layout, or the package's own model by its name; its programs load when first
   * used.
   * @param model a folder's path, or `nano`
   */
  static async load(model: string, options?: LoadOptions): Promise<Star> {
    return new Star(await StarModel.open(model, options));
  }
}
