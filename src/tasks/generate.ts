/** Pictures from text. */

import { encodeChat } from '../models/qwen25vl/chat.ts';
import { buildGenerationPrompt, buildReasoningPrompt, type GuidedPrompt } from '../models/star/prompt.ts';
import { drawPictures } from './draw.ts';
import { type ChosenDiffusion, chooseDiffusion } from './draw-diffusion.ts';
import { drawEach } from './draw-each.ts';
import { TaskError } from './error.ts';
import type { PictureEvent, PictureResult } from './events.ts';
import type { LoadedModel } from './loaded-model.ts';
import { type GenerateOptions, parsePictureOptions, type ResolvedPictureOptions } from './options.ts';
import { chooseSeed } from './seed.ts';
import { think, thinksApart, thoughtSettings } from './think.ts';
import type { EnginePrompt } from './token-loop.ts';
import { picturePrompt } from './understand.ts';

/** Draws a text; with `reasoning` the frozen base answers it first and the answer is drawn. */
export async function* generate(
  model: LoadedModel,
  text: string,
  options: GenerateOptions = {},
): AsyncGenerator<PictureEvent, PictureResult, void> {
  const resolved = parsePictureOptions(options, 'generate', model.folder.star.sampling);
  requireText('generate', 'prompt', text);
  const chosen = await chooseDiffusion(model, 'generate', resolved);
  const { count, onAbort } = resolved;
  const seed = chooseSeed(resolved.seed, count);
  if (count === 1 || !thinksApart(resolved)) return yield* drawText(model, text, { ...resolved, seed }, chosen);
  const draw = (own: number) => drawText(model, text, { ...resolved, seed: own, count: 1 }, chosen);
  return yield* drawEach({ count, onAbort, seed, draw });
}

async function* drawText(
  model: LoadedModel,
  text: string,
  options: ResolvedPictureOptions & { readonly seed: number },
  chosen: ChosenDiffusion | undefined,
): AsyncGenerator<PictureEvent, PictureResult, void> {
  const { chat, folder } = model;
  const started = performance.now();
  const asked = () => picturePrompt(model, encodeChat(chat, [{ role: 'user', content: text }]), []);
  const thought = options.reasoning
    ? yield* think(model, asked(), options, { task: 'generate', seed: options.seed })
    : undefined;
  const guided =
    thought === undefined
      ? { ...buildGenerationPrompt(chat, text), answerPrompt: undefined }
      : buildReasoningPrompt(chat, text, thought.text, folder.star.reasoningSuffix);
  return yield* drawPictures(model, {
    task: 'generate',
    text,
    prompt: guidedPrompt(guided),
    options,
    // The thought, with the words that were appended to it, takes the prompt's place here too.
    diffusion: chosen && { ...chosen, text: guided.answerPrompt ?? text },
    thought,
    timings: options.reasoning ? { reasoning: performance.now() - started } : {},
    settings: thoughtSettings(options),
  });
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
  // The picture's file carries the text: PNG's texts end at a NUL and are well-formed Unicode.
  const fault = text.includes('\0') ? 'a NUL character' : /\p{Surrogate}/u.test(text) ? 'half of a surrogate pair' : '';
  if (fault !== '') throw new TaskError('prompt_invalid', `${task}: the ${what} has ${fault} in it`);
}
