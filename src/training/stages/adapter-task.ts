/** Before generation in the closed world: the adapter learns to say codes in the base's words. */
import { IndexedStream } from '../../data/indexed-stream.ts';
import { cellWords } from '../../data/world/cell-words.ts';
import type { Scene } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { adapterStage } from '../adapter-loss.ts';
import type { TrainingTask } from '../task.ts';
import { ConversationTokens } from './conversation-tokens.ts';
import { drawnPicture } from './drawn-picture.ts';
import { EvaluationProgram } from './evaluation-program.ts';
import { PictureCodes } from './picture-codes.ts';
import { StreamData } from './stream-data.ts';
import { heldOutFrom } from './world-data.ts';

export interface AdapterSettings {
  /** Pictures of a step. */
  readonly batch: number;
  readonly seed: number;
  /** Held-out pictures that previews measure. */
  readonly heldOut: number;
}

export function adapterTask(model: StarModel, world: World, { batch, seed, heldOut }: AdapterSettings): TrainingTask {
  const { qwen, star } = model.folder;
  const { imageSize, gridSize, numTokens } = star.pixelEncoder;
  const stage = adapterStage(star, qwen, batch * numTokens);
  const tokens = new ConversationTokens(model.chat, drawnPicture(model).tokens);
  const codes = new PictureCodes(model);
  const frozen = { declareFrozen: model.weights.declare, weightsFolder: model.weights.folder };
  const evaluation = new EvaluationProgram(stage, frozen, model.runtime);
  const feeds = async (scenes: readonly Scene[]) => {
    const drawn = await codes.of(scenes.map((scene) => world.render(scene, imageSize)));
    const said = scenes.flatMap((scene) => cellWords(scene, gridSize).map((word) => tokens.wordOf(word)));
    const vector = (values: readonly number[]) => ({
      dtype: 'int64' as const,
      shape: [values.length],
      data: BigInt64Array.from(values, BigInt),
    });
    return { codes: vector(drawn.flat()), words: vector(said) };
  };
  return {
    stage,
    configuration: { batch, seed, heldOut, profile: world.profile, sizes: { star, text: qwen.text } },
    ...frozen,
    start: (name) => model.weights.read(name),
    openData: (cursor) =>
      StreamData.open(
        (at) => new IndexedStream((index) => world.scene(seed, index, 'exclude'), at),
        batch,
        feeds,
        cursor,
      ),
    preview: async (access) => {
      const scenes = Array.from({ length: heldOut }, (_, index) => world.scene(seed, heldOutFrom + index, 'any'));
      const parts = await Promise.all(
        Array.from({ length: Math.floor(heldOut / batch) }, (_, at) =>
          feeds(scenes.slice(at * batch, (at + 1) * batch)),
        ),
      );
      const results = await evaluation.run(access, parts);
      const mean = (name: string) =>
        results.reduce((sum, result) => sum + (result[name]!.data as Float32Array)[0]!, 0) / results.length;
      return { numbers: { held_out_loss: mean('loss'), held_out_word_accuracy: mean('word_accuracy') } };
    },
  };
}
