/** Logits of what a model makes, as bytes: what two models that are the same in a part agree on in every bit. */
import { pictureConversations } from '../../data/world/conversations.ts';
import type { Scene } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import { encodeChat } from '../../models/qwen25vl/chat.ts';
import { samplingOf } from '../../tasks/options.ts';
import { encodeSemantic } from '../../tasks/pictures.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { type EnginePrompt, runTokens } from '../../tasks/token-loop.ts';
import { picturePrompt } from '../../tasks/understand.ts';

const greedy = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 };
const guidance = 3;
/** Questions about a scene. */
const turns = 10;

/**
 * Logits of each of the first tokens that the engine makes, greedily; pictures with guidance.
 * @param model opened with `trace`
 */
export async function logitsOf(
  model: StarModel,
  prompt: EnginePrompt,
  task: 'answer' | 'generate' | 'edit',
  tokens: number,
): Promise<Buffer> {
  const { codebookSize } = model.folder.star.pixelEncoder;
  const parts: Buffer[] = [];
  for await (const { outputs } of runTokens(model, await model.session('engine'), {
    prompt,
    drawPicture: task !== 'answer',
    editPicture: task === 'edit',
    images: 1,
    seed: 0,
    guidance: task === 'answer' ? 1 : guidance,
    sampling: samplingOf(greedy, task === 'answer' ? model.folder.qwen.text.vocabSize : codebookSize),
    maxTokens: tokens,
    chunk: () => tokens,
    stopTokens: [],
  })) {
    const data = outputs.logits!.data as Float32Array;
    parts.push(Buffer.from(data.slice().buffer));
  }
  return Buffer.concat(parts);
}

/** A question about a scene of the closed world. */
export interface SceneQuestion {
  readonly scene: Scene;
  readonly question: string;
}

/** The same questions for the same world and seed, ten about each scene. */
export function sceneQuestions(world: World, count: number, seed: number): SceneQuestion[] {
  const { classes, grid } = world.profile;
  return Array.from({ length: Math.ceil(count / turns) }, (_, index) => {
    const scene = world.scene(seed, index, 'any');
    const conversations = pictureConversations(scene, index, { classes, grid, edit: () => undefined });
    return Array.from({ length: turns }, () => ({ scene, question: conversations.next().value.question }));
  })
    .flat()
    .slice(0, count);
}

/** Logits of the first two tokens of the answer to a question about a picture of `size` pixels a side. */
export async function answerLogits(
  model: StarModel,
  world: World,
  { scene, question }: SceneQuestion,
): Promise<Buffer> {
  const { imageSize } = model.folder.star.pixelEncoder;
  const picture = await encodeSemantic(model, world.render(scene, imageSize), Number.POSITIVE_INFINITY);
  const content = [{ type: 'image' as const }, { type: 'text' as const, text: question }];
  const ids = encodeChat(model.chat, [{ role: 'user', content }], [picture.tokens]);
  return logitsOf(model, picturePrompt(model, ids, [picture]), 'answer', 2);
}
