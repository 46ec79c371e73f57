/** What the losses of picture tokens share: which parameters they train, the mask of padded prompts, the cross-entropy. */
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import type { StackTask, StarConfig } from '../models/star/config.ts';
import {
  type Base,
  declareAdapter,
  declareBase,
  declareOutputHead,
  declareStacks,
  type PictureParts,
  stackPrefix,
} from '../models/star/parameters.ts';
import { codeEmbeddings } from '../models/vq/tokenizer.ts';
import { causalMask, maskedScore } from '../nn/attention.ts';
import { type Linear, linear } from '../nn/linear.ts';
import { parameterShapes } from '../nn/parameters.ts';
import {
  add,
  arange,
  argMax,
  cast,
  divide,
  equal,
  gatherElements,
  less,
  logSoftmax,
  matmul,
  maximum,
  multiply,
  negate,
  reduceMean,
  reduceSum,
  reshape,
  scalar,
  slice,
  softmax,
  square,
  subtract,
  type Tensor,
  unsqueeze,
  where,
} from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import type { Stage, StageLoss } from './stage.ts';

/**
 * What a stage of pictures trains: all but base and tokenizer; the same but for the adapter, so that no gradient needs to go
 * through the base; the last stack alone, on frozen ones; or the base too, which costs what it understood (the semantic
 * encoder stays as it is): for measuring what freezing is worth.
 */
export const trainedParts = ['all', 'stacks and head', 'last stack', 'base too'] as const;
export type TrainedParts = (typeof trainedParts)[number];

/** Adapter, head and the stacks that the task runs through, or what `parts` says of them. */
export function trainedPictureParts(
  star: StarConfig,
  qwen: Qwen25VLConfig,
  task: StackTask,
  parts: TrainedParts = 'all',
): Map<string, readonly number[]> {
  const all = parameterShapes((declare) => {
    if (parts !== 'stacks and head') declareAdapter(declare, star.pixelAdapter);
    declareStacks(declare, star, qwen);
    declareOutputHead(declare, star);
    if (parts === 'base too') declareBase(declare, qwen);
  });
  const prefixes = star.stackedAr.map((_, index) => `${stackPrefix(index)}.`);
  const without = prefixes.filter((_, index) => !star.stackedAr[index]!.tasks.includes(task));
  const kept = [...all].filter(([name]) => !without.some((prefix) => name.startsWith(prefix)));
  return new Map(parts === 'last stack' ? kept.filter(([name]) => name.startsWith(prefixes.at(-1)!)) : kept);
}

/** The stacks that a task runs through, in order. */
export function stacksFor<Stack>(task: StackTask, stacks: readonly Stack[], { stackedAr }: StarConfig): Stack[] {
  return stacks.filter((_, index) => stackedAr[index]!.tasks.includes(task));
}

/** Places in front of the prompt that hold nothing, `[batch, 1]`, of `promptLengths [batch]`. */
export function paddingOf(promptLengths: Tensor, promptTokens: number): Tensor {
  return subtract(promptTokens, reshape(promptLengths, [-1, 1]));
}

/** Additive mask `[batch, 1, sequence, sequence]`: causal, and padding in front is seen by nothing. */
export function paddedMask(padding: Tensor, sequence: number): Tensor {
  const hidden = where(less(unsqueeze(arange(sequence), 0), padding), scalar('float32', maskedScore), 0);
  const keys = reshape(hidden, [padding.shape[0]!, 1, 1, sequence]);
  // The floor keeps the sum of both masks at the value of one.
  return maximum(add(causalMask(sequence), keys), maskedScore);
}

/** What the loss of picture tokens asks for besides the tokens themselves. */
export interface PictureLossSettings {
  /** Of the cross-entropy of the words that stand at the places. Default 0: words are not read. */
  readonly wordWeight?: number;
  /** Default none: each place has its code and no other. */
  readonly smoothing?: CodeSmoothing | undefined;
}

/** Label smoothing over codes that look alike. */
export interface CodeSmoothing {
  /** Part of the loss whose targets are spread, in [0, 1]. */
  readonly weight: number;
  /** Squared distance of two codes' embeddings at which one takes 1/e of the other's share. */
  readonly distance: number;
}

/** The words of an image's places as a port of a stage; none where they count nothing. */
export function wordsPort(
  shape: readonly [batch: number, imageTokens: number],
  { wordWeight = 0 }: PictureLossSettings,
): Stage['data'] {
  return wordWeight > 0 ? [{ name: 'words', dtype: 'int64', shape }] : [];
}

/** What predicts picture tokens, and what they are to be. */
export interface PicturePrediction {
  /** `[batch, promptTokens + imageTokens - 1, hidden]`: the places from the prompt's last one on predict. */
  readonly states: Tensor;
  readonly promptTokens: number;
  /** Codes `[batch, imageTokens]`. */
  readonly targets: Tensor;
  /** Token ids of what stands at each place, `[batch, imageTokens]`; needed with `wordWeight`. */
  readonly words?: Tensor | undefined;
}

/**
 * Mean cross-entropy of an image's tokens. Reports `per_sample_nll [batch]`, sums over an image of the tokens alone.
 *
 * With `wordWeight` the base's own head reads the same states: they must say in the base's words what stands at a place
 * before they say it in codes. A prompt's noun so reaches the picture long before codes alone would carry it there.
 */
export function pictureLoss(
  { states, promptTokens, targets, words }: PicturePrediction,
  { head, codebook }: Pick<PictureParts, 'head' | 'codebook'>,
  base: Pick<Base, 'head'>,
  { pixelEncoder }: Pick<StarConfig, 'pixelEncoder'>,
  { wordWeight = 0, smoothing }: PictureLossSettings = {},
): StageLoss {
  const count = (targets.shape[0] as number) * (targets.shape[1] as number);
  const places = slice(states, 1, promptTokens - 1);
  const likelihoods = logSoftmax(linear(places, head));
  const own = gatherElements(likelihoods, unsqueeze(targets, 2), 2);
  const perSample = negate(reduceSum(own, { axes: [1, 2] }));
  const exact = divide(reduceSum(perSample), count);
  const reported = { per_sample_nll: perSample };
  let loss = exact;
  if (smoothing) {
    const shares = alikeCodes(targets, codebook, pixelEncoder, smoothing.distance);
    const spread = divide(negate(reduceSum(multiply(shares, likelihoods))), count);
    loss = add(multiply(exact, 1 - smoothing.weight), multiply(spread, smoothing.weight));
  }
  if (wordWeight === 0) return { loss, reported };
  if (!words) throw new Error('internal: a weight for words, and no words');
  const said = wordLoss(places, words, base.head);
  return { loss: add(loss, multiply(said.loss, wordWeight)), reported: { ...reported, ...said.reported } };
}

/**
 * How much each code is like the targets `[batch, imageTokens]`: `[batch, imageTokens, codes]`; a target's shares sum to 1.
 *
 * @param distance as `CodeSmoothing` has it; a tensor that broadcasts to the shares gives each target its own.
 */
export function alikeCodes(
  targets: Tensor,
  codebook: Tensor,
  config: StarConfig['pixelEncoder'],
  distance: number | Tensor,
): Tensor {
  const all = codeEmbeddings(arange(config.codebookSize), codebook, config);
  const own = codeEmbeddings(targets, codebook, config);
  // −|own − each|² but for |own|², which is the same for all codes.
  const lengths = reshape(reduceSum(square(all), { axes: [1] }), [1, 1, -1]);
  return softmax(divide(subtract(multiply(matmul(own, all, { transposeB: true }), 2), lengths), distance));
}

/** Mean cross-entropy of the words that a head over the vocabulary says of `states [batch, places, hidden]`. */
export function wordLoss(states: Tensor, words: Tensor, head: Linear): StageLoss {
  const logits = linear(states, head);
  const own = gatherElements(logSoftmax(logits), unsqueeze(words, 2), 2);
  return {
    loss: negate(reduceMean(own)),
    reported: { word_accuracy: reduceMean(cast(equal(argMax(logits, 2), words), 'float32')) },
  };
}

/** @throws TrainingError for what is no index of `size` entries. */
export function checkedIndex(value: number, size: number, what: string): bigint {
  if (Number.isInteger(value) && value >= 0 && value < size) return BigInt(value);
  throw new TrainingError('batch_invalid', `${what} ${value}: expected a whole number in 0..${size - 1}`, {
    value,
    size,
  });
}

/** @throws TrainingError for a sample that does not fit the program. */
export function checkSample(
  row: number,
  prompt: { readonly length: number },
  codes: { readonly length: number },
  { promptTokens, numTokens }: { readonly promptTokens: number; readonly numTokens: number },
): void {
  if (prompt.length < 1 || prompt.length > promptTokens) {
    throw new TrainingError(
      'batch_invalid',
      `sample ${row}: a prompt of ${prompt.length} tokens; the program takes 1 to ${promptTokens}`,
      { sample: row, length: prompt.length },
    );
  }
  if (codes.length !== numTokens) {
    throw new TrainingError('batch_invalid', `sample ${row}: ${codes.length} codes; an image has ${numTokens}`, {
      sample: row,
      length: codes.length,
    });
  }
}
