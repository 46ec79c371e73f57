/**
 * The loss of tokenizer training: pixels, codebook, commitment, entropy, what a feature net sees, and what a discriminator
 * takes for real. The quantizer's part is the published `VectorQuantizer.forward`; the published code leaves the picture's part
 * open, here it is the mean squared error and, where asked for, a perceptual and an adversarial loss.
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
import {
  add,
  type CompiledProgram,
  multiply,
  reduceMean,
  reshape,
  square,
  stopGradient,
  subtract,
} from '../tensor/index.ts';
import { type AdversarialOptions, adversarialLosses, declareDiscriminator } from './adversarial-loss.ts';
import { type PerceptualNet, perceptualLoss } from './perceptual-loss.ts';
import { compileLoss, type LossOptions, type Stage } from './stage.ts';

/**
 * What tokenizer training trains: all of it, or the decoder alone, so that codes stay what they are and models that have
 * learned to draw with them stay good.
 */
export const tokenizerParts = ['all', 'decoder'] as const;
export type TokenizerParts = (typeof tokenizerParts)[number];

export interface TokenizerShapes {
  /** Pictures of a step. */
  readonly batch: number;
  /** Pixels on a side. */
  readonly imageSize: number;
  /**
   * Reads the features before quantization, `pre_quant [batch, codebookDim, rows, columns]`, beside the pictures: they take
   * the place of the encoder's own, and gradients flow into the encoder all the same. For comparing with another
   * implementation from the same point on, since the entropy loss multiplies rounding of the features. Default false.
   */
  readonly givenFeatures?: boolean;
  /** Reports `reconstruction`, of the pictures' shape. Default false. */
  readonly reportPictures?: boolean;
  /**
   * Reads `quantized [1]`, 0 or 1: at 0 the decoder is given the features themselves and the codebook is left out of the
   * loss. A codebook that follows features from their first step on keeps them on the line on which they began (97 % of its
   * variance in one of 32 dimensions, see docs/LOG.md); features that have learned to draw first fill the space. Default
   * false: always quantized.
   */
  readonly warmUp?: boolean;
  /** What is trained. Default all. */
  readonly train?: TokenizerParts;
  /** Adds `weight` times the perceptual loss; default none. */
  readonly perceptual?: PerceptualNet & { readonly weight: number };
  /**
   * Adds `weight` times the adversarial loss, and trains the discriminator beside. Reads `adversarial [1]`, 0 or 1: at 0 both are
   * left out, since a discriminator is of no use before pictures are nearly right. Default none.
   */
  readonly adversarial?: AdversarialOptions | undefined;
}

/** The stage that trains encoder, codebook and decoder on pictures in [−1, 1]. */
export function tokenizerStage(config: VqConfig, shapes: TokenizerShapes, weights: QuantizerLossOptions = {}): Stage {
  const {
    batch,
    imageSize,
    givenFeatures = false,
    reportPictures = false,
    warmUp = false,
    perceptual,
    adversarial,
  } = shapes;
  const whole = shapes.train !== 'decoder';
  const { codebookDim, chMult } = config;
  const side = imageSize / 2 ** (chMult.length - 1);
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
    data: [
      { name: 'picture', dtype: 'float32', shape: [batch, 3, imageSize, imageSize] },
      ...(givenFeatures
        ? [{ name: 'pre_quant', dtype: 'float32', shape: [batch, codebookDim, side, side] } as const]
        : []),
      ...(warmUp ? [{ name: 'quantized', dtype: 'float32', shape: [1] } as const] : []),
      ...(adversarial ? [{ name: 'adversarial', dtype: 'float32', shape: [1] } as const] : []),
    ],
    trained: parameterShapes((declare) => {
      if (whole) declareAll(declare);
      else declareVqDecoder(within(declare, 'pixel_encoder'), config);
      if (adversarial) declareDiscriminator(declare, adversarial);
    }),
    loss: (declare, { picture, pre_quant, quantized: share, adversarial: on }) => {
      const { encoder, codebook, decoder } = declareAll(declare);
      const own = vqEncode(picture!, encoder, config);
      // The difference of two near numbers is exact, so the sum is what was given.
      const preQuant = pre_quant ? add(own, stopGradient(subtract(pre_quant, own))) : own;
      const quantized = quantize(preQuant, codebook, config);
      const reconstruction = vqDecode(straightThrough(quantized, preQuant.shape[2] as number, share), decoder, config);
      const pixels = reduceMean(square(subtract(reconstruction, picture!)));
      const losses = quantizerLosses(quantized, weights);
      const seen = perceptual && perceptualLoss(reconstruction, picture!, declare, perceptual);
      const drawn = seen ? add(pixels, multiply(seen, perceptual.weight)) : pixels;
      const judged =
        adversarial && adversarialLosses(reconstruction, picture!, declareDiscriminator(declare, adversarial));
      const coded = [losses.codebook, losses.commitment, losses.entropy].reduce(add);
      const learned = add(drawn, share ? multiply(coded, reshape(share, [])) : coded);
      const tokenizer = whole ? learned : drawn;
      return {
        loss: judged
          ? add(
              tokenizer,
              multiply(add(multiply(judged.generator, adversarial.weight), judged.discriminator), reshape(on!, [])),
            )
          : tokenizer,
        reported: {
          recon_mse: pixels,
          ...(seen ? { perceptual_loss: seen } : {}),
          ...(judged
            ? { discriminator_loss: judged.discriminator, verdict_real: judged.real, verdict_drawn: judged.fake }
            : {}),
          vq_loss: losses.codebook,
          commit_loss: losses.commitment,
          entropy_loss: losses.entropy,
          codes: quantized.indices,
          features: quantized.features,
          ...(reportPictures ? { reconstruction } : {}),
        },
      };
    },
  };
}

/**
 * The program of the tokenizer's loss from `picture`, and `pre_quant` where features are given: `loss` (the sum), `recon_mse`,
 * `vq_loss`, `commit_loss`, `entropy_loss`, `codes [batch, places]`, `features [batch, places, codebookDim]`, and
 * `grad.<name>` of trained parameters.
 */
export function compileTokenizerLoss(
  declare: Declare,
  config: VqConfig,
  shapes: TokenizerShapes,
  { gradients, ...weights }: LossOptions & QuantizerLossOptions = {},
): CompiledProgram {
  return compileLoss(tokenizerStage(config, shapes, weights), declare, { gradients });
}
