/** Checks of the frozen base: tokenizer, text, vision, understanding, sampling. */
import path from 'node:path';
import { readImage } from '../../image/decode.ts';
import { encodeChat, renderChat } from '../../models/qwen25vl/chat.ts';
import { processImage } from '../../models/qwen25vl/image-processor.ts';
import { mropePositions, rotaryTables } from '../../models/qwen25vl/positions.ts';
import { encodeSemantic } from '../../tasks/pictures.ts';
import { float32, int64, runTokens } from '../../tasks/token-loop.ts';
import { picturePrompt } from '../../tasks/understand.ts';
import type { TensorValue } from '../../tensor/index.ts';
import type { Check, CheckContext } from './check.ts';
import { compileBaseCheck, compileFilterCheck } from './programs.ts';
import type { Compared } from './rows.ts';

/** Tolerance of the picture that needs the bicubic resize. */
const resizedTolerance = 2e-2;

/** The base's hidden states and logits at every position of a prompt's embeddings. */
export async function runBase({ model }: CheckContext, embeddings: Compared, positions: Int32Array) {
  const { folder, weights, runtime } = model;
  const { text } = folder.qwen;
  const session = await runtime.load(compileBaseCheck(weights.declare, folder.qwen), { weightsFolder: weights.folder });
  const [rows, seq] = embeddings.shape as [number, number];
  const { cos, sin } = rotaryTables(positions, text.headDim, text.ropeTheta, text.mropeSection);
  const places = Array.from({ length: rows * seq }, (_, index) => index % seq);
  const result = await session.run({
    embeddings: float32(embeddings.shape, Float32Array.from(embeddings.data as ArrayLike<number>)),
    cosine: float32([seq, text.headDim / 2], cos),
    sine: float32([seq, text.headDim / 2], sin),
    positions: int64([rows, seq], places),
  });
  await session.dispose();
  return { hidden: result.hidden as TensorValue, logits: result.logits as TensorValue };
}

export const vision: Check = async (context, expected, sheet) => {
  const { model, folder } = context;
  for (const [prefix, file, tolerance] of [
    ['', 'image.png', 2e-4],
    ['odd_', 'image_odd_size.png', resizedTolerance],
  ] as const) {
    const image = await readImage(path.join(folder, file));
    const { pixelValues, gridThw } = processImage(image, model.imageProcessor);
    sheet.tokens(`${file}: grid`, gridThw, expected(`${prefix}grid_thw`).data);
    sheet.numbers(
      `${file}: pixel values`,
      pixelValues as Compared,
      expected(`${prefix}pixel_values`) as Compared,
      tolerance,
    );
    const { embeddings } = await encodeSemantic(model, image, Number.POSITIVE_INFINITY);
    sheet.numbers(
      `${file}: embeddings`,
      embeddings as Compared,
      expected(`${prefix}image_embeds`) as Compared,
      tolerance,
    );
  }
};

/** The text of the generation prompt: the one whose chat prompt is in `meta.json`. */
export function promptText({ meta, model }: CheckContext): string {
  const texts = [meta.reasoning.prompt, ...meta.tokenizer.map((entry) => entry.text)];
  const match = texts.find((text) => renderChat(model.chat, [{ role: 'user', content: text }]) === meta.chat_prompt);
  return match ?? meta.reasoning.prompt;
}

export const text: Check = async (context, expected, sheet) => {
  const { model, meta } = context;
  const { tokenizer } = model.chat;
  for (const [index, entry] of meta.tokenizer.entries()) {
    sheet.tokens(`tokenizer, text ${index}`, tokenizer.encode(entry.text), entry.ids);
    sheet.text(`tokenizer, text ${index} decoded`, tokenizer.decode(entry.ids), entry.decoded);
  }
  const message = { role: 'user' as const, content: promptText(context) };
  sheet.text('rendered chat prompt', renderChat(model.chat, [message]), meta.chat_prompt);
  const ids = encodeChat(model.chat, [message]);
  sheet.tokens('token ids', ids, expected('input_ids').data);
  const { positions } = picturePrompt(model, ids, []);
  const { hidden, logits } = await runBase(context, await embed(context, ids), positions);
  sheet.numbers('last hidden state', hidden as Compared, expected('last_hidden_state') as Compared);
  sheet.numbers('logits', logits as Compared, expected('logits') as Compared);
};

/** Embeddings of a prompt as the engine makes them. */
async function embed(context: CheckContext, ids: readonly number[], prompt = picturePrompt(context.model, ids, [])) {
  const { promptEmbeddings } = await drive(context, prompt, {
    drawPicture: false,
    images: 1,
    guidance: 1,
    maxTokens: 1,
  });
  return promptEmbeddings as Compared;
}

export interface Drive {
  readonly drawPicture: boolean;
  readonly images: number;
  readonly guidance: number;
  readonly maxTokens: number;
}

/** Runs the engine greedily, without a repetition penalty, and collects all it tells. */
export async function drive(context: CheckContext, prompt: Parameters<typeof runTokens>[2]['prompt'], run: Drive) {
  const { model } = context;
  const engine = await model.session('engine');
  const sampling = { temperature: 1, topK: 1, topP: 1, repetitionPenalty: 1 };
  const stopTokens = run.drawPicture ? [] : model.folder.generation.endTokens;
  const tokens: number[][] = Array.from({ length: run.images }, () => []);
  const logits: number[] = [];
  let width = 0;
  let promptEmbeddings: TensorValue | undefined;
  const chunks = runTokens(model, engine, { ...run, prompt, seed: 0, sampling, chunk: () => 5, stopTokens });
  for await (const { tokens: turns, outputs } of chunks) {
    for (const turn of turns) for (const [image, token] of turn.entries()) tokens[image]!.push(token);
    promptEmbeddings ??= outputs.prompt_embeddings;
    width = outputs.logits!.shape[2]!;
    for (const value of outputs.logits!.data as Float32Array) logits.push(value);
  }
  const steps = tokens[0]!.length;
  return { tokens, logits: { shape: [steps, run.images, width], data: logits }, promptEmbeddings: promptEmbeddings! };
}

export const understand: Check = async (context, expected, sheet) => {
  const { model, meta, folder } = context;
  const image = await readImage(path.join(folder, 'image.png'));
  const picture = await encodeSemantic(model, image, Number.POSITIVE_INFINITY);
  const content = [{ type: 'image' as const }, { type: 'text' as const, text: meta.understand.question }];
  const ids = encodeChat(model.chat, [{ role: 'user', content }], [picture.tokens]);
  sheet.text('rendered prompt', model.chat.tokenizer.decode(ids), meta.understand.rendered);
  sheet.tokens('token ids', ids, expected('input_ids').data);
  const { tokens, vision: visionConfig } = model.folder.qwen;
  const { positions } = mropePositions(ids, tokens, [picture.grid], visionConfig.spatialMergeSize);
  sheet.tokens('M-RoPE positions', positions, expected('position_ids').data);
  const prompt = picturePrompt(model, ids, [picture]);
  const { logits } = await runBase(context, await embed(context, ids, prompt), positions);
  sheet.numbers('logits', logits as Compared, expected('logits') as Compared);
  const generated = expected('generated_ids').data;
  const run = { drawPicture: false, images: 1, guidance: 1, maxTokens: generated.length };
  const answer = (await drive(context, prompt, run)).tokens[0]!;
  sheet.tokens('greedy tokens', answer, generated);
  sheet.text('answer', model.chat.tokenizer.decode(answer, { skipSpecialTokens: true }), meta.understand.answer);
};

export const sampling: Check = async ({ model }, expected, sheet) => {
  const logits = expected('logits');
  const vocabulary = logits.shape[1]!;
  const session = await model.runtime.load(compileFilterCheck(vocabulary));
  for (const [name, topK, topP] of [
    ['topk5', 5, 1],
    ['topp08', vocabulary, 0.8],
    ['topk10_topp06', 10, 0.6],
  ] as const) {
    const feeds = { logits, temperature: float32([], [1]), top_k: int64([1], [topK]), top_p: float32([], [topP]) };
    const { filtered } = await session.run(feeds);
    sheet.numbers(`top-k ${topK}, top-p ${topP}`, filtered as Compared, expected(name) as Compared);
  }
  await session.dispose();
};
