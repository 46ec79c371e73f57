/** Before generation in the closed world: the adapter learns to say codes in the base's words. */
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
import { type SceneSettings, sceneTraining } from './scene-training.ts';

export function adapterTask(model: StarModel, world: World, settings: SceneSettings): TrainingTask {
  const { batch } = settings;
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
    configuration: { ...settings, profile: world.profile, sizes: { star, text: qwen.text } },
    ...frozen,
    start: (name) => model.weights.read(name),
    ...sceneTraining(world, settings, feeds, evaluation, ['word_accuracy']),
  };
}
