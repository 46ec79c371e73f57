/**
 * Drawing a token from logits, inside the program: temperature, top-k, top-p, and one uniform number a row that comes from
 * outside. The order and the rules are the published `sample` and `top_k_top_p_filtering`.
 */
import {
  add,
  cast,
  cumulativeSum,
  divide,
  gatherElements,
  greater,
  less,
  lessOrEqual,
  minimum,
  multiply,
  not,
  or,
  reduceSum,
  reshape,
  softmax,
  subtract,
  type Tensor,
  topK,
  unsqueeze,
  where,
} from '../tensor/index.ts';

/** Settings of a draw, scalars unless said otherwise. */
export interface SamplingInputs {
  /** float32 above 0. */
  readonly temperature: Tensor;
  /** How many of the largest logits stay, int64 `[1]`; the vocabulary's size keeps all, 1 is the greedy choice. */
  readonly topK: Tensor;
  /** float32 in (0, 1]; 1 keeps all. */
  readonly topP: Tensor;
}

/** The tokens that may be drawn, most likely first: `[rows, k]` each. */
export interface Candidates {
  readonly tokens: Tensor;
  /** Logits over the temperature. */
  readonly logits: Tensor;
  /** Whether top-p leaves it in. The first is always in. */
  readonly kept: Tensor;
  readonly probabilities: Tensor;
}

/**
 * Sorts and filters `logits [rows, vocabulary]`. Exactly k stay; where logits tie at the k-th place the first ones do
 * (the published filter keeps all that tie).
 */
export function candidates(logits: Tensor, settings: SamplingInputs): Candidates {
  const scaled = divide(logits, settings.temperature);
  const { values, indices } = topK(scaled, settings.topK);
  const probabilities = softmax(values);
  const before = cumulativeSum(probabilities, 1, { exclusive: true });
  // Top-p 1 keeps all, also where the sum of rounded probabilities passes 1.
  const kept = or(lessOrEqual(before, settings.topP), not(less(settings.topP, 1)));
  return { tokens: indices, logits: values, kept, probabilities };
}

/**
 * Draws one token a row with `uniform [rows]` in [0, 1): int64 `[rows]`. A row whose probabilities are not finite, because
 * its logits were not, draws −1.
 */
export function draw({ tokens, kept, probabilities }: Candidates, uniform: Tensor): Tensor {
  const weights = where(kept, probabilities, 0);
  const upTo = cumulativeSum(weights, 1);
  const sum = reduceSum(weights, { axes: [1], keepDims: true });
  const target = multiply(unsqueeze(uniform, 1), sum);
  const passed = reduceSum(cast(lessOrEqual(upTo, target), 'int64'), { axes: [1], keepDims: true });
  // Rounding may carry the target past the last weight that stays.
  const last = subtract(reduceSum(cast(kept, 'int64'), { axes: [1], keepDims: true }), 1);
  const drawn = gatherElements(tokens, minimum(passed, last), 1);
  // A comparison with NaN is false.
  return reshape(where(greater(sum, 0), drawn, -1), [tokens.shape[0]!]);
}

/** `unconditional + weight · (conditional − unconditional)` (Ho & Salimans 2022); all `[rows, vocabulary]`, weight a scalar. */
export function guide(conditional: Tensor, unconditional: Tensor, weight: Tensor): Tensor {
  return add(unconditional, multiply(weight, subtract(conditional, unconditional)));
}

/**
 * Makes tokens seen before less likely (Keskar et al. 2019): positive logits are divided by `penalty`, negative ones
 * multiplied. `seen [rows, vocabulary]` bool.
 */
export function penalizeRepetition(logits: Tensor, seen: Tensor, penalty: Tensor): Tensor {
  const penalized = where(greater(logits, 0), divide(logits, penalty), multiply(logits, penalty));
  return where(seen, penalized, logits);
}
