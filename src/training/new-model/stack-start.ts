/**
 * Where a stack starts before the generation stage: STAR's stacked AR is a copy of the base's last layers and of its
 * final norm (paper section 3; `STARModel` of the published code). Each of several stacks starts so.
 */
import { openModelFolder } from '../../models/star/folder.ts';
import { stackPrefix } from '../../models/star/parameters.ts';
import { openStarWeights } from '../../models/star/weights.ts';
import { TrainingError } from '../error.ts';
import { modelShapes } from './new-model.ts';
import type { ModelConfig } from './start-value.ts';

/**
 * The base's parameter that a stack's parameter starts as; undefined for a parameter outside of the stacks.
 * @throws TrainingError for a stack with more layers than the base.
 */
export function baseOfStack(name: string, { star, qwen }: ModelConfig): string | undefined {
  for (const [index, { numLayers }] of star.stackedAr.entries()) {
    const prefix = `${stackPrefix(index)}.`;
    if (!name.startsWith(prefix)) continue;
    const first = qwen.text.layers - numLayers;
    if (first < 0) {
      const message = `stack ${index}: its ${numLayers} layers cannot start as the base's last, which has ${qwen.text.layers}`;
      throw new TrainingError('training_option_invalid', message);
    }
    const inner = name.slice(prefix.length);
    return `llm.model.${inner.replace(/^layers\.(\d+)/, (_, layer) => `layers.${first + Number(layer)}`)}`;
  }
  return undefined;
}

/** Every parameter of the stacks with its start value, for `saveModel`; read from the folder when asked for. */
export async function initialiseStack(folder: string): Promise<Map<string, () => Promise<Float32Array>>> {
  const model = await openModelFolder(folder);
  const weights = await openStarWeights(model);
  const values = new Map<string, () => Promise<Float32Array>>();
  for (const name of modelShapes(model).keys()) {
    const source = baseOfStack(name, model);
    if (source !== undefined) values.set(name, () => weights.read(source));
  }
  return values;
}
