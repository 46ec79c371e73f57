/** Answers about pictures and text, from the frozen base alone. */
import type { RgbImage } from '../image/rgb-image.ts';
import { type ChatMessage, encodeChat } from '../models/qwen25vl/chat.ts';
import { mropePositions } from '../models/qwen25vl/positions.ts';
import type { TensorValue } from '../tensor/index.ts';
import { AbortedError, TaskError } from './error.ts';
import type { TextAnswer, TextEvent } from './events.ts';
import type { LoadedModel } from './loaded-model.ts';
import {
  parseOptions,
  type Sampling,
  textSampling,
  type UnderstandOptions,
  understandOptionsSchema,
} from './options.ts';
import { encodeSemantic, publishedMaxPixels, type SemanticPicture } from './pictures.ts';
import { chooseSeed } from './seed.ts';
import { StopTexts } from './stop-texts.ts';
import { type EnginePrompt, float32, runTokens } from './token-loop.ts';

/** One part of a message: text or a picture. */
export type ConversationPart<Picture = RgbImage> =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly image: Picture };

/** A turn of a conversation. */
export interface ConversationMessage<Picture = RgbImage> {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly ConversationPart<Picture>[];
}

/** Turns of the first chunks are few, so that the answer starts soon; later ones save copies of the caches. */
const chunkTurns = (index: number) => (index < 4 ? 1 : 4);

/** Answers the last turn of a conversation, which may hold several pictures. */
export async function* converse(
  model: LoadedModel,
  messages: readonly ConversationMessage[],
  options: UnderstandOptions = {},
): AsyncGenerator<TextEvent, TextAnswer, void> {
  const resolved = parseOptions(understandOptionsSchema, options, 'understand');
  const { generation, qwen } = model.folder;
  requireQuestion(messages);
  const started = performance.now();
  const { prompt, tokens } = await conversationPrompt(model, messages);
  const encoded = performance.now();
  const answer = yield* answerPrompt(model, prompt, {
    seed: chooseSeed(resolved.seed, 1),
    sampling: textSampling(resolved, generation, qwen.text.vocabSize),
    task: 'understand',
    maxNewTokens: resolved.maxNewTokens,
    stop: resolved.stop,
    signal: resolved.signal,
    onAbort: resolved.onAbort,
    promptTokens: tokens,
  });
  const result = { ...answer, timings: { encode: encoded - started, ...answer.timings } };
  yield { type: 'text-end', result };
  return result;
}

/** The last turn must ask something: a text, or at least a picture with one. */
function requireQuestion(messages: readonly ConversationMessage[]): void {
  const content = messages.at(-1)?.content;
  const texts =
    typeof content === 'string' ? [content] : content?.map((part) => (part.type === 'text' ? part.text : ''));
  if (!texts?.some((text) => text.trim() !== '')) {
    throw new TaskError('prompt_empty', 'understand: the question is empty; ask something about the picture');
  }
}

export interface AnswerSettings {
  /** That errors name. */
  readonly task: string;
  readonly seed: number;
  /** Of chance. Default 0. */
  readonly stream?: number;
  readonly sampling: Sampling;
  readonly maxNewTokens: number;
  /** Texts before which the answer ends. Default none. */
  readonly stop?: readonly string[];
  readonly promptTokens: number;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: 'throw' | 'keep';
}

/** Draws text after a prompt until an end token, a stop text or the limit; special tokens are left out of the text. */
export async function* answerPrompt(
  model: LoadedModel,
  prompt: EnginePrompt,
  settings: AnswerSettings,
): AsyncGenerator<TextEvent, TextAnswer, void> {
  const { generation, qwen } = model.folder;
  const { task, signal, promptTokens, maxNewTokens } = settings;
  requireContext(model, task, promptTokens, maxNewTokens);
  if (signal?.aborted && settings.onAbort === 'throw') throw new AbortedError(task, signal.reason);
  yield { type: 'text-start', promptTokens };
  const beforeLoad = performance.now();
  const engine = await model.session('engine');
  const started = performance.now();
  const decoder = model.chat.tokenizer.streamDecoder({ skipSpecialTokens: true });
  const tokenIds: number[] = [];
  let text = '';
  let finishReason: TextAnswer['finishReason'] = 'length';
  let firstToken: number | undefined;
  const run = {
    prompt,
    drawPicture: false,
    images: 1,
    seed: settings.seed,
    stream: settings.stream ?? 0,
    guidance: 1,
    sampling: { ...settings.sampling, topK: Math.min(settings.sampling.topK, qwen.text.vocabSize) },
    maxTokens: maxNewTokens,
    chunk: chunkTurns,
    stopTokens: generation.endTokens,
  };
  const stops = new StopTexts(settings.stop ?? []);
  for await (const chunk of runTokens(model, engine, run)) {
    firstToken ??= performance.now();
    for (const [id] of chunk.tokens as [number][]) {
      tokenIds.push(id);
      const delta = stops.push(decoder.push(id));
      text += delta;
      yield { type: 'token-delta', tokenId: id, text: delta };
      if (stops.met) break;
    }
    if (chunk.finished || stops.met) {
      finishReason = 'stop';
      break;
    }
    if (signal?.aborted) {
      if (settings.onAbort === 'throw') throw new AbortedError(task, signal.reason);
      finishReason = 'aborted';
      break;
    }
  }
  text += stops.push(decoder.flush()) + stops.flush();
  const ended = performance.now();
  return {
    answer: text,
    tokenIds,
    finishReason,
    promptTokens,
    seed: settings.seed,
    warnings: [],
    timings: {
      load: started - beforeLoad,
      firstToken: (firstToken ?? ended) - started,
      total: ended - started,
    },
    device: model.runtime.device.chosen,
  };
}

/** A prompt that does not fit into the model's positions is refused before anything is computed. */
export function requireContext(model: LoadedModel, task: string, promptTokens: number, newTokens: number): void {
  const limit = model.folder.qwen.text.maxPositionEmbeddings;
  if (promptTokens + newTokens <= limit) return;
  throw new TaskError(
    'prompt_too_long',
    `${task}: the prompt has ${promptTokens} tokens and ${newTokens} are to follow; the model's context holds ${limit}`,
    { promptTokens, newTokens, limit },
  );
}

/** The last turn's prompt, with the pictures of all turns. */
export async function conversationPrompt(model: LoadedModel, messages: readonly ConversationMessage[]) {
  const pictures: SemanticPicture[] = [];
  const chat: ChatMessage[] = [];
  for (const { role, content } of messages) {
    if (typeof content === 'string') chat.push({ role, content });
    else {
      for (const part of content) {
        if (part.type === 'image')
          pictures.push(await encodeSemantic(model, part.image, publishedMaxPixels.understand));
      }
      chat.push({ role, content: content.map((part) => (part.type === 'image' ? { type: 'image' as const } : part)) });
    }
  }
  const ids = encodeChat(
    model.chat,
    chat,
    pictures.map((picture) => picture.tokens),
  );
  const prompt = picturePrompt(model, ids, pictures);
  return { prompt, tokens: ids.length };
}

/** A prompt of text and pictures; every image token takes a row of the pictures' embeddings, in order. */
export function picturePrompt(
  model: LoadedModel,
  ids: readonly number[],
  pictures: readonly SemanticPicture[],
): EnginePrompt {
  const { tokens, text, vision } = model.folder.qwen;
  const grids = pictures.map((picture) => picture.grid);
  const { positions, next } = mropePositions(ids, tokens, grids, vision.spatialMergeSize);
  let row = 0;
  const inserted = ids.map((id) => (id === tokens.imageToken ? ++row : 0));
  return { branches: [ids], inserted, semantic: joinRows(pictures, text.hiddenSize), positions, nextPosition: next };
}

function joinRows(pictures: readonly SemanticPicture[], width: number): TensorValue {
  const rows = pictures.reduce((sum, picture) => sum + picture.tokens, 0);
  const data = new Float32Array(rows * width);
  let offset = 0;
  for (const { embeddings } of pictures) {
    data.set(embeddings.data as Float32Array, offset);
    offset += embeddings.data.length;
  }
  return float32([rows, width], data);
}
