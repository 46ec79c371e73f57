/** Implicit reasoning: the frozen base answers in words before a picture is drawn. */
import type { PictureEvent, TaskWarning } from './events.ts';
import type { LoadedModel } from './loaded-model.ts';
import { type ResolvedPictureOptions, samplingOf } from './options.ts';
import type { RecipeSetting } from './recipe.ts';
import type { EnginePrompt } from './token-loop.ts';
import { answerPrompt } from './understand.ts';

/** What a thought is drawn with. */
export type ThoughtOptions = Pick<
  ResolvedPictureOptions,
  'reasoning' | 'reasoningTemperature' | 'reasoningMaxTokens' | 'repetitionPenalty' | 'signal'
>;

export interface Thought {
  readonly text: string;
  /** Of one that did not come to its end. */
  readonly warnings: readonly TaskWarning[];
}

/** Whether each picture has a thought of its own: a greedy one is the same for all. */
export function thinksApart({ reasoning, reasoningTemperature }: ThoughtOptions): boolean {
  return reasoning && reasoningTemperature > 0;
}

/**
 * The base's answer to a prompt of `promptTokens` places.
 * @param follows the picture that is to follow: the task that errors name, and the seed, from which the thought's chances are apart
 */
export async function* think(
  model: LoadedModel,
  prompt: EnginePrompt,
  options: ThoughtOptions,
  follows: { readonly task: 'generate' | 'edit'; readonly seed: number },
): AsyncGenerator<PictureEvent, Thought, void> {
  const { generation, qwen } = model.folder;
  const repetitionPenalty = options.repetitionPenalty ?? generation.repetitionPenalty;
  const temperature = options.reasoningTemperature;
  const answer = answerPrompt(model, prompt, {
    ...follows,
    stream: thoughtStream,
    sampling: samplingOf({ temperature, topK: 0, topP: 1, repetitionPenalty }, qwen.text.vocabSize),
    maxNewTokens: options.reasoningMaxTokens,
    promptTokens: prompt.branches[0]!.length,
    signal: options.signal,
    // Half a thought is no prompt: an abort while thinking ends the run either way.
    onAbort: 'throw',
  });
  while (true) {
    const step = await answer.next();
    if (step.done) {
      const { answer: text, finishReason } = step.value;
      yield { type: 'reasoning-end', thought: text };
      return { text, warnings: finishReason === 'length' ? [cutAt(options.reasoningMaxTokens)] : [] };
    }
    if (step.value.type === 'token-delta') yield { type: 'reasoning-delta', text: step.value.text };
  }
}

function cutAt(tokens: number): TaskWarning {
  return { code: 'thought_cut', message: `the thought was not finished after ${tokens} tokens, and is drawn as it is` };
}

/** Stream of chance of thoughts; pictures and answers have 0. */
const thoughtStream = 1;

/** What a recipe needs to think the same thought again. */
export function thoughtSettings(options: ThoughtOptions): Record<string, RecipeSetting> {
  const { reasoning, reasoningTemperature, reasoningMaxTokens, repetitionPenalty } = options;
  if (!reasoning) return { reasoning };
  const settings = { reasoning, reasoningTemperature, reasoningMaxTokens };
  return repetitionPenalty === undefined ? settings : { ...settings, repetitionPenalty };
}
