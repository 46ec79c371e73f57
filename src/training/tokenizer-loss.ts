/**
 * The loss of tokenizer training: pixels, codebook, commitment and entropy. The quantizer's part is the published
 * `VectorQuantizer.forward`; the published code leaves the picture's part open, here it is the mean squared error.
 */

import type { VqConfig } from '../models/vq/config.ts';
import { type QuantizerLossOptions, quantizerLosses, straightThrough } from '../models/vq/losses.ts';
import {
  declareCodebook,
  declareVqDecoder,
  declareVqEncoder,
  quantize,
  vqDecode,
  vqEncode,
} from '../models/vq/tokenizer.ts';
import { type Declare, parameterShapes, within } from '../nn/parameters.ts';
import { add, type CompiledProgram, reduceMean, square, subtract } from '../tensor/index.ts';
import { compileLoss, type LossOptions, type Stage } from './stage.ts';

export interface TokenizerShapes {
  /** Pictures of a step. */
  readonly batch: number;
  /** Pixels on a side. */
  readonly imageSize: number;
}

/** The stage that trains encoder, codebook and decoder on pictures in [−1, 1]. */
export function tokenizerStage(
  config: VqConfig,
  { batch, imageSize }: TokenizerShapes,
  weights: QuantizerLossOptions = {},
): Stage {
  const declareAll = (declare: Declare) => {
    const below = within(declare, 'pixel_encoder');
    return {
      encoder: declareVqEncoder(below, config),
      codebook: declareCodebook(below, config),
      decoder: declareVqDecoder(below, config),
    };
  };
  return {
    name: 'tokenizer',
    data: [{ name: 'picture', dtype: 'float32', shape: [batch, 3, imageSize, imageSize] }],
    trained: parameterShapes(declareAll),
    loss: (declare, { picture }) => {
      const { encoder, codebook, decoder } = declareAll(declare);
      const preQuant = vqEncode(picture!, encoder, config);
      const quantized = quantize(preQuant, codebook, config);
      const reconstruction = vqDecode(straightThrough(quantized, preQuant.shape[2] as number), decoder, config);
      const pixels = reduceMean(square(subtract(reconstruction, picture!)));
      const losses = quantizerLosses(quantized, weights);
      return {
        loss: [losses.codebook, losses.commitment, losses.entropy].reduce(add, pixels),
        reported: {
          recon_mse: pixels,
          vq_loss: losses.codebook,
          commit_loss: losses.commitment,
          entropy_loss: losses.entropy,
          codes: quantized.indices,
        },
      };
    },
  };
}

/**
 * The program of the tokenizer's loss from `picture`: `loss` (the sum), `recon_mse`, `vq_loss`, `commit_loss`,
 * `entropy_loss`, `codes [batch, places]`, and `grad.<name>` of trained parameters.
 */
export function compileTokenizerLoss(
  declare: Declare,
  config: VqConfig,
  shapes: TokenizerShapes,
  { gradients, ...weights }: LossOptions & QuantizerLossOptions = {},
): CompiledProgram {
  return compileLoss(tokenizerStage(config, shapes, weights), declare, { gradients });
}
