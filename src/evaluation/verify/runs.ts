/** Runs of the model as the tasks run it, greedy and without a repetition penalty, with all that the engine tells. */

import { rotaryTables } from '../../models/qwen25vl/positions.ts';
import { samplingOf } from '../../tasks/options.ts';
import { drain } from '../../tasks/task.ts';
import { type EnginePrompt, float32, int64, runTokens } from '../../tasks/token-loop.ts';
import { answerPrompt, requireContext } from '../../tasks/understand.ts';
import type { CompiledProgram, TensorValue } from '../../tensor/index.ts';
import type { CheckContext } from './check.ts';
import { compileBaseCheck } from './programs.ts';
import type { Compared } from './rows.ts';

const greedy = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 };

/** Loads a program, runs it once and lets it go. */
export async function runOnce(
  { model }: CheckContext,
  program: CompiledProgram,
  feeds: Readonly<Record<string, TensorValue>>,
): Promise<Record<string, TensorValue>> {
  const session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
  try {
    return (await session.run(feeds)) as Record<string, TensorValue>;
  } finally {
    await session.dispose();
  }
}

/** The base's hidden states after the final norm, and its logits, at every position of `embeddings [rows, seq, hidden]`. */
export async function runBase(context: CheckContext, embeddings: TensorValue, positions: Int32Array) {
  const { folder, weights } = context.model;
  const { headDim, ropeTheta, mropeSection } = folder.qwen.text;
  const [rows, seq] = embeddings.shape as [number, number];
  const { cos, sin } = rotaryTables(positions, headDim, ropeTheta, mropeSection);
  const places = Array.from({ length: rows * seq }, (_, index) => index % seq);
  return runOnce(context, compileBaseCheck(weights.declare, folder.qwen), {
    embeddings,
    cosine: float32([seq, headDim / 2], cos),
    sine: float32([seq, headDim / 2], sin),
    positions: int64([rows, seq], places),
  });
}

/** The embeddings `[branches, seq, hidden]` that the engine makes of a prompt. */
export async function embedPrompt({ model }: CheckContext, prompt: EnginePrompt): Promise<TensorValue> {
  requireContext(model, 'verify', prompt.branches[0]!.length, 1);
  const sampling = samplingOf(greedy, model.folder.qwen.text.vocabSize);
  const run = { drawPicture: false, images: 1, guidance: 1, maxTokens: 1, chunk: () => 1, stopTokens: [] };
  const chunks = runTokens(model, await model.session('engine'), { ...run, prompt, seed: 0, sampling });
  let embeddings: TensorValue | undefined;
  for await (const { outputs } of chunks) embeddings ??= outputs.prompt_embeddings;
  if (!embeddings) throw new Error('internal: the engine was compiled without its trace');
  return embeddings;
}

/** What the base answers to a prompt. */
export async function answerGreedily({ model }: CheckContext, prompt: EnginePrompt, maxNewTokens: number) {
  const answer = answerPrompt(model, prompt, {
    task: 'verify',
    seed: 0,
    sampling: samplingOf(greedy, model.folder.qwen.text.vocabSize),
    maxNewTokens,
    promptTokens: prompt.branches[0]!.length,
    signal: undefined,
    onAbort: 'throw',
  });
  return drain(answer);
}

export interface GreedyPicture {
  /** `[images][places]`. */
  readonly codes: number[][];
  /** Guided, of every step, `[steps, images, codes]`. */
  readonly logits: Compared;
  /** `[branches * images, seq, hidden]`. */
  readonly promptEmbeddings: TensorValue;
}

/** The codes of pictures, a row a chunk. Draws with every branch of the prompt, at guidance 1 too. */
export async function drawGreedily(
  { model }: CheckContext,
  prompt: EnginePrompt,
  { images, guidance }: { readonly images: number; readonly guidance: number },
): Promise<GreedyPicture> {
  const { numTokens, gridSize, codebookSize } = model.folder.star.pixelEncoder;
  requireContext(model, 'verify', prompt.branches[0]!.length, numTokens);
  const codes: number[][] = Array.from({ length: images }, () => []);
  const logits = new Float32Array(numTokens * images * codebookSize);
  let filled = 0;
  let promptEmbeddings: TensorValue | undefined;
  const chunks = runTokens(model, await model.session('engine'), {
    prompt,
    drawPicture: true,
    images,
    seed: 0,
    guidance,
    sampling: samplingOf(greedy, codebookSize),
    maxTokens: numTokens,
    chunk: () => gridSize,
    stopTokens: [],
  });
  for await (const { tokens, outputs } of chunks) {
    for (const turn of tokens) for (const [image, token] of turn.entries()) codes[image]!.push(token);
    promptEmbeddings ??= outputs.prompt_embeddings;
    const values = outputs.logits!.data as Float32Array;
    logits.set(values, filled);
    filled += values.length;
  }
  if (!promptEmbeddings) throw new Error('internal: the engine was compiled without its trace');
  return { codes, logits: { shape: [numTokens, images, codebookSize], data: logits }, promptEmbeddings };
}
