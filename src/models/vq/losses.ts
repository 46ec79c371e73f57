/** Training losses of STAR-VQ, as in the published `VectorQuantizer.forward`. */
import {
  add,
  divide,
  exponential,
  logarithm,
  logSoftmax,
  multiply,
  negate,
  reduceMean,
  reduceSum,
  reshape,
  square,
  stopGradient,
  subtract,
  type Tensor,
} from '../../tensor/index.ts';
import { type Quantized, toMaps } from './tokenizer.ts';

export interface QuantizerLosses {
  /** Draws codes to features: mean of (code − sg(feature))². */
  readonly codebook: Tensor;
  /** Draws features to codes, times `commitmentWeight`. */
  readonly commitment: Tensor;
  /** Sharp choices, even use: mean entropy of a place less the entropy of the mean, times `entropyWeight`. */
  readonly entropy: Tensor;
}

export interface QuantizerLossOptions {
  /** Default 0.25. */
  readonly commitmentWeight?: number;
  /** Default 0: off. */
  readonly entropyWeight?: number;
  /** Of the softmax over negative distances. Default 0.01. */
  readonly entropyTemperature?: number;
}

const tiny = 1e-5;

export function quantizerLosses(
  { features, codes, distances }: Quantized,
  { commitmentWeight = 0.25, entropyWeight = 0, entropyTemperature = 0.01 }: QuantizerLossOptions = {},
): QuantizerLosses {
  const codebook = reduceMean(square(subtract(codes, stopGradient(features))));
  const commitment = reduceMean(square(subtract(stopGradient(codes), features)));
  return {
    codebook,
    commitment: multiply(commitment, commitmentWeight),
    entropy: multiply(entropyLoss(distances, entropyTemperature), entropyWeight),
  };
}

function entropyLoss(distances: Tensor, temperature: number): Tensor {
  const affinity = divide(negate(reshape(distances, [-1, distances.shape[2]!])), temperature);
  const logProbabilities = logSoftmax(affinity);
  const probabilities = exponential(logProbabilities);
  const mean = reduceMean(probabilities, { axes: [0] });
  const meanEntropy = negate(reduceSum(multiply(mean, logarithm(add(mean, tiny)))));
  const placeEntropy = negate(reduceMean(reduceSum(multiply(probabilities, logProbabilities), { axes: [1] })));
  return subtract(placeEntropy, meanEntropy);
}

/**
 * The chosen codes as feature maps, with the gradient passed straight on to the encoder (van den Oord et al. 2017). `share [1]`:
 * 1 for the codes, 0 for the features themselves; default the codes.
 */
export function straightThrough({ features, codes }: Quantized, side: number, share?: Tensor): Tensor {
  const change = stopGradient(subtract(codes, features));
  return toMaps(add(features, share ? multiply(change, share) : change), side);
}
