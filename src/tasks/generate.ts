/** Pictures from text. */

import { encodeChat } from '../models/qwen25vl/chat.ts';
import { buildGenerationPrompt, buildReasoningPrompt, type GuidedPrompt } from '../models/star/prompt.ts';
import { drawPictures } from './draw.ts';
import { chooseDiffusion } from './draw-diffusion.ts';
import { TaskError } from './error.ts';
import type { PictureEvent, PictureResult } from './events.ts';
import {
  type GenerateOptions,
  generateOptionsSchema,
  parsePictureOptions,
  type ResolvedGenerateOptions,
  samplingOf,
} from './options.ts';
import type { StarModel } from './star-model.ts';
import type { EnginePrompt } from './token-loop.ts';
import { answerPrompt, picturePrompt } from './understand.ts';

/** Draws a text; with `reasoning` the frozen base answers it first and the answer is drawn. */
export async function* generate(
  model: StarModel,
  text: string,
  options: GenerateOptions = {},
): AsyncGenerator<PictureEvent, PictureResult, void> {
  const resolved = parsePictureOptions(generateOptionsSchema, options, 'generate', model.folder.star.sampling);
  requireText('generate', 'prompt', text);
  const chosen = await chooseDiffusion(model, 'generate', resolved);
  const started = performance.now();
  const thought = resolved.reasoning ? yield* think(model, text, resolved) : undefined;
  const guided =
    thought === undefined
      ? { ...buildGenerationPrompt(model.chat, text), answerPrompt: undefined }
      : buildReasoningPrompt(model.chat, text, thought);
  return yield* drawPictures(model, {
    task: 'generate',
    text,
    prompt: guidedPrompt(guided),
    options: resolved,
    // The thought, with the words that were appended to it, takes the prompt's place here too.
    diffusion: chosen && { ...chosen, text: guided.answerPrompt ?? text },
    ...(thought === undefined ? {} : { thought }),
    settings: reasoningSettings(resolved),
    timings: resolved.reasoning ? { reasoning: performance.now() - started } : {},
  });
}

/** What a recipe needs to think the same thought again. */
function reasoningSettings({ reasoning, reasoningMaxTokens, repetitionPenalty }: ResolvedGenerateOptions) {
  if (!reasoning) return { reasoning };
  return { reasoning, reasoningMaxTokens, ...(repetitionPenalty === undefined ? {} : { repetitionPenalty }) };
}

/** Implicit reasoning: the base answers the prompt, greedily, as published. */
async function* think(
  model: StarModel,
  text: string,
  options: ResolvedGenerateOptions,
): AsyncGenerator<PictureEvent, string, void> {
  const ids = encodeChat(model.chat, [{ role: 'user', content: text }]);
  const { generation, qwen } = model.folder;
  const repetitionPenalty = options.repetitionPenalty ?? generation.repetitionPenalty;
  const answer = answerPrompt(model, picturePrompt(model, ids, []), {
    seed: 0,
    sampling: samplingOf({ temperature: 0, topK: 0, topP: 1, repetitionPenalty }, qwen.text.vocabSize),
    maxNewTokens: options.reasoningMaxTokens,
    promptTokens: ids.length,
    signal: options.signal,
    // Half a thought is no prompt: an abort while thinking ends the run either way.
    onAbort: 'throw',
  });
  while (true) {
    const step = await answer.next();
    if (step.done) {
      yield { type: 'reasoning-end', thought: step.value.answer };
      return step.value.answer;
    }
    if (step.value.type === 'token-delta') yield { type: 'reasoning-delta', text: step.value.text };
  }
}

/** Rows of text alone: positions count up from 0. */
export function guidedPrompt({ conditional, unconditional }: GuidedPrompt): EnginePrompt {
  const { length } = conditional;
  const positions = Int32Array.from({ length: 3 * length }, (_, index) => index % length);
  return { branches: [conditional, unconditional], positions, nextPosition: length };
}

export function requireText(task: string, what: string, text: unknown): void {
  if (typeof text !== 'string' || text.trim() === '') {
    throw new TaskError('prompt_empty', `${task}: the ${what} is empty; say what the picture shall show`);
  }
}
