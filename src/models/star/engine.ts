/**
 * The program that makes tokens: text from the base alone, pictures from base and stacked AR. Prompt and drawn tokens go
 * through one loop in the graph, whose first turn reads the whole prompt; the weights exist once, whatever the task.
 *
 * A generation is run in chunks of some turns. What the next chunk needs (caches, the next input embeddings, which
 * tokens were seen) comes out as `next.*` and goes in again as the input of the same name without `next.`.
 *
 * Rows are `branches x images`: branch 0 holds the prompts, branch 1, where there is guidance, the unconditional ones.
 */

import { linear } from '../../nn/linear.ts';
import { geluMlp } from '../../nn/mlp.ts';
import type { Declare } from '../../nn/parameters.ts';
import { candidates, draw, guide, penalizeRepetition } from '../../nn/sampling.ts';
import {
  type CompiledProgram,
  cast,
  compile,
  concat,
  cond,
  constant,
  type Dim,
  dimension,
  equal,
  expand,
  gather,
  greater,
  input,
  type KeyValueCache,
  type LoopState,
  lastPosition,
  loop,
  not,
  oneHot,
  or,
  positionsFrom,
  reduceMax,
  reshape,
  type Shape,
  slice,
  squeeze,
  type Tensor,
  unsqueeze,
  where,
} from '../../tensor/index.ts';
import type { Qwen25VLConfig } from '../qwen25vl/config.ts';
import { decoder, type Rotary } from '../qwen25vl/text-decoder.ts';
import { codeEmbeddings } from '../vq/tokenizer.ts';
import { type StackTask, type StarConfig, stackTasks } from './config.ts';
import { type Base, declareBase, declarePictureParts, type PictureParts } from './parameters.ts';

export interface EngineOptions {
  /** Also give the guided logits of every turn. For checking; default false. */
  readonly logits?: boolean;
  /** Inputs that `declare` gives in place of weights: of a model in training. Default none. */
  readonly fedWeights?: readonly Tensor[];
}

/** Names of the key-value caches of the base (`base.*`) and of the stacks (`stack0.*`, `stack1.*`, …), in order. */
export function cacheNames(star: StarConfig, qwen: Qwen25VLConfig): { base: string[]; stack: string[] } {
  const names = (part: string, layers: number) =>
    Array.from({ length: layers }, (_, layer) => [`${part}.${layer}.key`, `${part}.${layer}.value`]).flat();
  const stack = star.stackedAr.flatMap(({ numLayers }, index) => names(`stack${index}`, numLayers));
  return { base: names('base', qwen.text.layers), stack };
}

/** The part that a cache belongs to. Parts have sizes of their own: a stack that a task passes by stays empty. */
function partOfCache(name: string): string {
  return name.slice(0, name.indexOf('.'));
}

/** Traces and compiles the engine; `declare` gives the weights. */
export function compileEngine(
  declare: Declare,
  star: StarConfig,
  qwen: Qwen25VLConfig,
  { logits: wantLogits = false, fedWeights = [] }: EngineOptions = {},
): CompiledProgram {
  const { text } = qwen;
  const base = declareBase(declare, qwen);
  const picture = declarePictureParts(declare, star, qwen);
  const names = cacheNames(star, qwen);

  const rows: Dim = 'branches*images';
  const cacheShape = (past: Dim): Shape => [rows, text.keyValueHeads, past, text.headDim];
  const tokenIds = input('token_ids', 'int64', ['branches', 'images', 'prompt']);
  const inserted = input('inserted', 'int64', ['prompt']);
  const semantic = input('semantic', 'float32', ['semantic_tokens', text.hiddenSize]);
  const pixelCodes = input('pixel_codes', 'int64', ['pixel_tokens']);
  const embeddings = input('embeddings', 'float32', [rows, 'ready', text.hiddenSize]);
  const caches = [
    ...[...names.base, ...names.stack].map((name) => input(name, 'float32', cacheShape(`${partOfCache(name)}_past`))),
  ];
  const seen = input('seen', 'bool', ['images', text.vocabSize]);
  const finished = input('finished', 'bool', ['images']);
  const settings = {
    drawPicture: input('draw_picture', 'bool', []),
    editPicture: input('edit_picture', 'bool', []),
    guidance: input('guidance', 'float32', []),
    temperature: input('temperature', 'float32', []),
    topK: input('top_k', 'int64', [1]),
    topP: input('top_p', 'float32', []),
    repetitionPenalty: input('repetition_penalty', 'float32', []),
    stopTokens: input('stop_tokens', 'int64', ['stop_tokens']),
  };
  const uniforms = input('uniforms', 'float32', ['turns', 'images']);
  const cosine = input('cosine', 'float32', ['positions', text.headDim / 2]);
  const sine = input('sine', 'float32', ['positions', text.headDim / 2]);

  const prompt = embedPrompt({ tokenIds, inserted, semantic, pixelCodes }, base, picture, star);
  const first = concat([prompt, embeddings], 1);

  const states: LoopState[] = [
    { name: 'embeddings', initial: first, shape: [rows, 'sequence', text.hiddenSize] },
    { name: 'seen', initial: seen },
    { name: 'finished', initial: finished },
    ...[...names.base, ...names.stack].map((name, index) => ({
      name,
      initial: caches[index]!,
      shape: cacheShape(`${partOfCache(name)}_now`),
    })),
  ];

  const result = loop(
    { turns: dimension('turns'), states, stackedSize: 'done' },
    (turn, x, seenNow, finishedNow, ...now) => {
      const baseCaches = pairs(now.slice(0, names.base.length));
      const stackCaches = pairs(now.slice(names.base.length));
      const positions = expand(unsqueeze(positionsFrom(dimension('base_now'), 'sequence'), 0), [rows, 'sequence']);
      const rotary = { cosine, sine, positions };
      const { hidden, caches: grown } = decoder(x!, base.decoder, text, rotary, { caches: baseCaches });
      const uniform = squeeze(gather(uniforms, reshape(turn, [1])), 0);

      const branchShapes: Shape[] = [
        ['images'],
        [rows, 1, text.hiddenSize],
        ['images', text.vocabSize],
        ['images'],
        ...(wantLogits ? [['images', 'vocabulary']] : []),
        ...names.stack.map((name) => cacheShape(`${partOfCache(name)}_next`)),
      ];
      const [token, next, seenNext, finishedNext, ...others] = cond(
        settings.drawPicture,
        {
          whenTrue: () => {
            const turnResult = pictureTurn(hidden, picture, stackCaches, star, qwen, rotary, settings, uniform);
            const fresh = [turnResult.token, turnResult.next, seenNow!, finishedNow!];
            return [...fresh, ...(wantLogits ? [turnResult.logits] : []), ...turnResult.caches.flatMap(unpair)];
          },
          whenFalse: () => {
            const turnResult = textTurn(
              hidden,
              base,
              { seen: seenNow!, finished: finishedNow! },
              settings,
              uniform,
              text.vocabSize,
            );
            const fresh = [turnResult.token, turnResult.next, turnResult.seen, turnResult.finished];
            return [...fresh, ...(wantLogits ? [turnResult.logits] : []), ...stackCaches.flatMap(unpair)];
          },
        },
        branchShapes,
      );
      const stackNext = wantLogits ? others.slice(1) : others;
      return {
        states: [next!, seenNext!, finishedNext!, ...grown.flatMap(unpair), ...stackNext],
        stacked: [token!, ...(wantLogits ? [others[0]!] : [])],
        proceed: equal(reduceMax(cast(not(finishedNext!), 'int32')), 1),
      };
    },
  );

  const [nextEmbeddings, seenEnd, finishedEnd, ...cachesEnd] = result.states;
  return compile({
    name: 'engine',
    inputs: [
      tokenIds,
      inserted,
      semantic,
      pixelCodes,
      embeddings,
      seen,
      finished,
      ...caches,
      ...Object.values(settings),
      uniforms,
      cosine,
      sine,
      ...fedWeights,
    ],
    outputs: {
      tokens: result.stacked[0]!,
      ...(wantLogits ? { logits: result.stacked[1]!, prompt_embeddings: prompt } : {}),
      'next.embeddings': nextEmbeddings!,
      'next.seen': seenEnd!,
      'next.finished': finishedEnd!,
      ...Object.fromEntries([...names.base, ...names.stack].map((name, index) => [`next.${name}`, cachesEnd[index]!])),
    },
  });
}

type Settings = Readonly<
  Record<
    'drawPicture' | 'editPicture' | 'guidance' | 'temperature' | 'topK' | 'topP' | 'repetitionPenalty' | 'stopTokens',
    Tensor
  >
>;

interface PromptInputs {
  readonly tokenIds: Tensor;
  /** For each place of the prompt 0 for its token, or 1 + its row in the semantic embeddings followed by the VQ codes. */
  readonly inserted: Tensor;
  readonly semantic: Tensor;
  readonly pixelCodes: Tensor;
}

/** Embeddings of the prompt `[branches * images, prompt, hidden]`: tokens, and pictures' blocks where they are inserted. */
function embedPrompt(inputs: PromptInputs, base: Base, picture: PictureParts, star: StarConfig): Tensor {
  const hiddenSize = base.embedding.shape[1]!;
  const words = gather(base.embedding, reshape(inputs.tokenIds, ['branches*images', 'prompt']));
  const none = constant('float32', [1, hiddenSize as number], new Float32Array(hiddenSize as number));
  const pixels = embedCodes(inputs.pixelCodes, picture, star);
  const blocks = concat([none, inputs.semantic, pixels], 0);
  return where(unsqueeze(greater(inputs.inserted, 0), 1), gather(blocks, inputs.inserted), words);
}

/** Codes `[n]` as inputs of the base `[n, hidden]`. */
function embedCodes(codes: Tensor, { codebook, adapter }: PictureParts, star: StarConfig): Tensor {
  return geluMlp(codeEmbeddings(codes, codebook, star.pixelEncoder), adapter);
}

function lastOf(hidden: Tensor): Tensor {
  return squeeze(gather(hidden, lastPosition('sequence'), 1), 1);
}

function pictureTurn(
  hidden: Tensor,
  picture: PictureParts,
  caches: readonly KeyValueCache[],
  star: StarConfig,
  { text }: Qwen25VLConfig,
  rotary: Rotary,
  settings: Settings,
  uniform: Tensor,
) {
  const grown: KeyValueCache[] = [];
  let states = hidden;
  picture.stacks.forEach((stack, index) => {
    const own = caches.slice(grown.length, grown.length + stack.layers.length);
    const run = () => {
      const { hidden: out, caches: next } = decoder(states, stack, text, rotary, { caches: own });
      return [out, ...next.flatMap(unpair)];
    };
    const { tasks } = star.stackedAr[index]!;
    const [next, ...ownNext] = tasks.length === stackTasks.length ? run() : runForTask(tasks, run);
    states = next!;
    grown.push(...pairs(ownNext));

    function runForTask(only: readonly StackTask[], through: () => Tensor[]): readonly Tensor[] {
      const pass = () => [states, ...own.flatMap(unpair)];
      const branches = {
        edit: { whenTrue: through, whenFalse: pass },
        generate: { whenTrue: pass, whenFalse: through },
      };
      const cache: Shape = ['branches*images', text.keyValueHeads, `stack${index}_passed`, text.headDim];
      return cond(settings.editPicture, branches[only[0]!], [states.shape, ...own.flatMap(() => [cache, cache])]);
    }
  });
  const all = reshape(linear(lastOf(states), picture.head), ['branches', 'images', star.outputHead.codes]);
  const conditional = squeeze(slice(all, 0, 0, 1), 0);
  const unconditional = squeeze(gather(all, lastPosition('branches')), 0);
  const logits = guide(conditional, unconditional, settings.guidance);
  const token = draw(candidates(logits, settings), uniform);
  // The drawn token feeds every branch.
  const next = unsqueeze(embedCodes(token, picture, star), 0);
  const repeated = reshape(expand(next, ['branches', 'images', text.hiddenSize]), [
    'branches*images',
    1,
    text.hiddenSize,
  ]);
  return { token, logits, next: repeated, caches: grown };
}

function textTurn(
  hidden: Tensor,
  base: Base,
  state: { seen: Tensor; finished: Tensor },
  settings: Settings,
  uniform: Tensor,
  vocabSize: number,
) {
  // Text has one branch: the rows are the images' conversations.
  const raw = slice(reshape(linear(lastOf(hidden), base.head), ['branches', 'images', vocabSize]), 0, 0, 1);
  const logits = penalizeRepetition(squeeze(raw, 0), state.seen, settings.repetitionPenalty);
  const token = draw(candidates(logits, settings), uniform);
  const isStop = reduceMax(cast(equal(unsqueeze(token, 1), unsqueeze(settings.stopTokens, 0)), 'int32'), { axes: [1] });
  const next = unsqueeze(gather(base.embedding, token), 0);
  const repeated = expand(next, ['branches', 'images', base.embedding.shape[1]!]);
  return {
    token,
    logits,
    next: reshape(repeated, ['branches*images', 1, base.embedding.shape[1]!]),
    seen: or(state.seen, cast(oneHot(token, vocabSize, 'float32'), 'bool')),
    finished: or(state.finished, equal(isStop, 1)),
  };
}

function pairs(tensors: readonly Tensor[]): KeyValueCache[] {
  return Array.from({ length: tensors.length / 2 }, (_, index) => ({
    key: tensors[2 * index]!,
    value: tensors[2 * index + 1]!,
  }));
}

function unpair({ key, value }: KeyValueCache): [Tensor, Tensor] {
  return [key, value];
}
