/**
 * AdamW (Loshchilov & Hutter 2019) with clipping by the global norm, as `torch.optim.AdamW` and
 * `torch.nn.utils.clip_grad_norm_` compute them, written for a program that is traced once: learning rate and step number
 * are tensors. Where it is asked for, matrices inside the network are moved by Muon instead (Jordan et al. 2024), as
 * `torch.optim.Muon` computes it with `adjust_lr_fn="match_rms_adamw"`: one learning rate serves both.
 */
import {
  absolute,
  add,
  and,
  cast,
  cond,
  divide,
  less,
  matmul,
  minimum,
  multiply,
  power,
  reduceSum,
  scalar,
  square,
  squareRoot,
  subtract,
  type Tensor,
} from '../tensor/index.ts';
import { TrainingError } from './error.ts';

export interface OptimizerOptions {
  /** Decay of the mean of gradients, in [0, 1). Default 0.9. */
  readonly beta1?: number | undefined;
  /** Decay of the mean of squared gradients, in [0, 1). Default 0.999. */
  readonly beta2?: number | undefined;
  /** Added to the root of the mean square, above 0. Default 1e-8. */
  readonly epsilon?: number | undefined;
  /** Decoupled, times the learning rate. At least 0. Default 0.01. */
  readonly weightDecay?: number | undefined;
  /** What decays: tensors of two axes and more, or everything. Default `'matrices'`. */
  readonly decayed?: 'matrices' | 'all' | undefined;
  /** Largest norm of all gradients together; above 0, or `Infinity` for no clipping. Default 1. */
  readonly clipNorm?: number | undefined;
  /**
   * Decay of the running average of weights (EMA), in [0, 1); 0 keeps no average. After update t it is at most
   * (1 + t)/(10 + t), so that the average forgets its start. Default 0.
   */
  readonly averageDecay?: number | undefined;
  /** What moves matrices inside the network; all else is moved by AdamW. Default `'adamw'`. */
  readonly matrices?: MatrixOptimizer | undefined;
}

export const matrixOptimizers = ['adamw', 'muon'] as const;
export type MatrixOptimizer = (typeof matrixOptimizers)[number];

export type OptimizerSettings = { readonly [K in keyof OptimizerOptions]-?: NonNullable<OptimizerOptions[K]> };

/** Fills in the defaults. Throws `TrainingError` for a setting out of its range. */
export function optimizerSettings(options: OptimizerOptions = {}): OptimizerSettings {
  const {
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
    weightDecay = 0.01,
    decayed = 'matrices',
    clipNorm = 1,
    averageDecay = 0,
    matrices = 'adamw',
  } = options;
  const require = (fits: boolean, name: string, value: number | string, expected: string) => {
    if (fits) return;
    throw new TrainingError('training_option_invalid', `${name} is ${value}: expected ${expected}`, { name, value });
  };
  require(beta1 >= 0 && beta1 < 1, 'beta1', beta1, 'a number in [0, 1)');
  require(beta2 >= 0 && beta2 < 1, 'beta2', beta2, 'a number in [0, 1)');
  require(epsilon > 0 && epsilon < Infinity, 'epsilon', epsilon, 'a number above 0');
  require(weightDecay >= 0 && weightDecay < Infinity, 'weightDecay', weightDecay, 'a number of at least 0');
  require(decayed === 'matrices' || decayed === 'all', 'decayed', decayed, 'matrices or all');
  require(clipNorm > 0, 'clipNorm', clipNorm, 'a number above 0');
  require(averageDecay >= 0 && averageDecay < 1, 'averageDecay', averageDecay, 'a number in [0, 1)');
  require(matrixOptimizers.includes(matrices), 'matrices', matrices, matrixOptimizers.join(' or '));
  return { beta1, beta2, epsilon, weightDecay, decayed, clipNorm, averageDecay, matrices };
}

/** A trained tensor and its running means, all of one shape, float32. */
export interface TrainedTensor {
  readonly weight: Tensor;
  readonly firstMoment: Tensor;
  readonly secondMoment: Tensor;
  /** Running average of the weight, where there is one. */
  readonly average?: Tensor | undefined;
}

export interface UpdateInputs {
  /** For each tensor whether it is a matrix inside the network. Default: none is. */
  readonly inner?: readonly boolean[] | undefined;
  readonly tensors: readonly TrainedTensor[];
  /** One for each tensor. */
  readonly gradients: readonly Tensor[];
  /** Scalar; it must be finite, too, for the update to be made. */
  readonly loss: Tensor;
  /** Updates made so far, int64 scalar. */
  readonly updates: Tensor;
  /** Scalar float32. */
  readonly learningRate: Tensor;
}

export interface Updated {
  readonly tensors: readonly TrainedTensor[];
  readonly updates: Tensor;
  /** Norm of all gradients before clipping. */
  readonly gradientNorm: Tensor;
  /** Bool scalar: false where loss or norm was not finite, and everything stayed as it was. */
  readonly applied: Tensor;
}

/** One step: checks loss and gradients, clips, updates weights, moments and, where there are any, averages. */
export function updateWeights(inputs: UpdateInputs, settings: OptimizerSettings): Updated {
  const { tensors, gradients, loss, updates, learningRate, inner = [] } = inputs;
  const gradientNorm = squareRoot(gradients.map((gradient) => reduceSum(square(gradient))).reduce(add));
  const finite = (x: Tensor) => less(absolute(x), Infinity);
  const applied = and(finite(loss), finite(gradientNorm));
  const [count, ...flat] = cond(applied, {
    whenTrue: () => {
      const step = add(updates, 1);
      const factors = updateFactors(step, gradientNorm, learningRate, settings);
      const updated = tensors.map((tensor, index) => {
        const change = settings.matrices === 'muon' && inner[index] ? muon : adamW;
        return moved(tensor, change(tensor, gradients[index]!, factors, settings), factors, settings);
      });
      return [step, ...updated.flatMap(unpackTrained)];
    },
    whenFalse: () => [updates, ...tensors.flatMap(unpackTrained)],
  });
  return {
    tensors: packTrained(flat, tensors.length),
    updates: count!,
    gradientNorm,
    applied,
  };
}

/** Weight, moments and average of a tensor in the order that `packTrained` reads. */
export function unpackTrained({ weight, firstMoment, secondMoment, average }: TrainedTensor): Tensor[] {
  return average ? [weight, firstMoment, secondMoment, average] : [weight, firstMoment, secondMoment];
}

/** The inverse of `unpackTrained` for `count` tensors, with averages where there are enough parts for them. */
export function packTrained(parts: readonly Tensor[], count: number): TrainedTensor[] {
  const each = parts.length / count;
  return Array.from({ length: count }, (_, index) => {
    const [weight, firstMoment, secondMoment, average] = parts.slice(each * index, each * (index + 1));
    return { weight: weight!, firstMoment: firstMoment!, secondMoment: secondMoment!, average };
  });
}

/** Scalars that all tensors of a step share. */
interface UpdateFactors {
  /** Clipping's factor, at most 1. */
  readonly clip: Tensor;
  readonly learningRate: Tensor;
  /** Learning rate over the first moment's bias, times the root of the second's. */
  readonly stepSize: Tensor;
  /** Epsilon times the root of the second moment's bias. */
  readonly epsilon: Tensor;
  /** What decay leaves of a weight. */
  readonly kept: Tensor;
  /** Parts of the old average and of the new weight in the new average. */
  readonly average: readonly [old: Tensor, weight: Tensor];
}

function updateFactors(
  step: Tensor,
  gradientNorm: Tensor,
  learningRate: Tensor,
  { beta1, beta2, epsilon, weightDecay, clipNorm, averageDecay }: OptimizerSettings,
): UpdateFactors {
  // In float64, where the powers of a beta near 1 keep their digits.
  const bias = (beta: number) => subtract(1, power(scalar('float64', beta), cast(step, 'float64')));
  const rootBias = squareRoot(bias(beta2));
  const rate = cast(learningRate, 'float64');
  const float32 = (x: Tensor) => cast(x, 'float32');
  const done = cast(step, 'float64');
  const oldAverage = minimum(divide(add(done, 1), add(done, 10)), averageDecay);
  return {
    clip: minimum(divide(clipNorm, add(gradientNorm, 1e-6)), 1),
    learningRate,
    stepSize: float32(divide(multiply(rate, rootBias), bias(beta1))),
    epsilon: float32(multiply(rootBias, epsilon)),
    kept: float32(subtract(1, multiply(rate, weightDecay))),
    average: [float32(oldAverage), float32(subtract(1, oldAverage))],
  };
}

/** What is taken from a weight, and its new moments. */
interface Change extends Pick<TrainedTensor, 'firstMoment' | 'secondMoment'> {
  readonly change: Tensor;
}

/** m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²; the change is η√(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε√(1−β₂ᵗ)). */
function adamW(
  { firstMoment, secondMoment }: TrainedTensor,
  gradient: Tensor,
  { clip, stepSize, epsilon }: UpdateFactors,
  { beta1, beta2 }: OptimizerSettings,
): Change {
  // The factors of the gradient are joined first: each one saved is a pass over all weights.
  const first = add(multiply(firstMoment, beta1), multiply(gradient, multiply(clip, 1 - beta1)));
  const scaled = multiply(gradient, multiply(clip, Math.sqrt(1 - beta2)));
  const second = add(multiply(secondMoment, beta2), square(scaled));
  const change = divide(multiply(first, stepSize), add(squareRoot(second), epsilon));
  return { change, firstMoment: first, secondMoment: second };
}

/** Muon's momentum, fixed in what it was published with. */
const muonMomentum = 0.95;

/** m ← μm + (1−μ)g; the change is η · 0.2√(the longer side) · orthogonal(μm + (1−μ)g). The second moment stays. */
function muon(
  { firstMoment, secondMoment }: TrainedTensor,
  gradient: Tensor,
  { clip, learningRate }: UpdateFactors,
): Change {
  const own = multiply(gradient, multiply(clip, 1 - muonMomentum));
  const first = add(multiply(firstMoment, muonMomentum), own);
  const ahead = add(multiply(first, muonMomentum), own);
  const longer = Math.max(...(gradient.shape as readonly number[]));
  // Liu et al. 2025: entries as large as those of AdamW's changes.
  const scale = multiply(learningRate, 0.2 * Math.sqrt(longer));
  return { change: multiply(orthogonal(ahead), scale), firstMoment: first, secondMoment };
}

/** Coefficients of the iteration: singular values of (0, 1] come to about 1, fast rather than exactly. */
const [linearPart, cubicPart, fifthPart] = [3.4445, -4.775, 2.0315];
const newtonSchulzSteps = 5;

/** The nearest matrix with orthogonal rows or columns, about: Newton and Schulz's iteration. */
function orthogonal(matrix: Tensor): Tensor {
  const [rows, columns] = matrix.shape as [number, number];
  const norm = squareRoot(reduceSum(square(matrix)));
  let x = divide(matrix, add(norm, 1e-7));
  const tall = rows > columns;
  for (let step = 0; step < newtonSchulzSteps; step++) {
    // The product of the shorter sides is the smaller one.
    const gram = matmul(x, x, tall ? { transposeA: true } : { transposeB: true });
    const factor = add(multiply(gram, cubicPart), multiply(matmul(gram, gram), fifthPart));
    x = add(multiply(x, linearPart), tall ? matmul(x, factor) : matmul(factor, x));
  }
  return x;
}

/** w ← (1−ηλ)w − change, and its average. */
function moved(
  { weight, average }: TrainedTensor,
  { change, firstMoment, secondMoment }: Change,
  { kept, average: [old, fresh] }: UpdateFactors,
  { weightDecay, decayed }: OptimizerSettings,
): TrainedTensor {
  const decays = weightDecay > 0 && (decayed === 'all' || weight.rank >= 2);
  const next = subtract(decays ? multiply(weight, kept) : weight, change);
  return {
    weight: next,
    firstMoment,
    secondMoment,
    average: average && add(multiply(average, old), multiply(next, fresh)),
  };
}
