/** What the losses of picture tokens share: which parameters they train, the mask of padded prompts, the cross-entropy. */
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import type { StackTask, StarConfig } from '../models/star/config.ts';
import { declareAdapter, declareOutputHead, declareStacks, stackPrefix } from '../models/star/parameters.ts';
import { causalMask, maskedScore } from '../nn/attention.ts';
import { type Linear, linear } from '../nn/linear.ts';
import { parameterShapes } from '../nn/parameters.ts';
import {
  add,
  arange,
  divide,
  gatherElements,
  less,
  logSoftmax,
  maximum,
  negate,
  reduceSum,
  reshape,
  scalar,
  slice,
  subtract,
  type Tensor,
  unsqueeze,
  where,
} from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import type { StageLoss } from './stage.ts';

/** What a stage of pictures trains: all but base and tokenizer, or the last stack alone, on frozen ones. */
export const trainedParts = ['all', 'last stack'] as const;
export type TrainedParts = (typeof trainedParts)[number];

/** Adapter, head and the stacks that the task runs through, or what `parts` says of them. */
export function trainedPictureParts(
  star: StarConfig,
  qwen: Qwen25VLConfig,
  task: StackTask,
  parts: TrainedParts = 'all',
): Map<string, readonly number[]> {
  const all = parameterShapes((declare) => {
    declareAdapter(declare, star.pixelAdapter);
    declareStacks(declare, star, qwen);
    declareOutputHead(declare, star);
  });
  const prefixes = star.stackedAr.map((_, index) => `${stackPrefix(index)}.`);
  const without = prefixes.filter((_, index) => !star.stackedAr[index]!.tasks.includes(task));
  const kept = [...all].filter(([name]) => !without.some((prefix) => name.startsWith(prefix)));
  return new Map(parts === 'all' ? kept : kept.filter(([name]) => name.startsWith(prefixes.at(-1)!)));
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

/**
 * Mean cross-entropy of `targets [batch, imageTokens]`, which the places from the prompt's last one on predict:
 * `states [batch, promptTokens + imageTokens - 1, hidden]`. Reports `per_sample_nll [batch]`, sums over an image.
 */
export function pictureLoss(states: Tensor, targets: Tensor, promptTokens: number, head: Linear): StageLoss {
  const [batch, imageTokens] = targets.shape as [number, number];
  const logits = linear(slice(states, 1, promptTokens - 1), head);
  const likelihoods = gatherElements(logSoftmax(logits), unsqueeze(targets, 2), 2);
  const perSample = negate(reduceSum(likelihoods, { axes: [1, 2] }));
  return { loss: divide(reduceSum(perSample), batch * imageTokens), reported: { per_sample_nll: perSample } };
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
