/**
 * The loss of the diffusion decoder's autoencoder (Rombach et al. 2022, section 3.1 and appendix G; the terms and their default
 * weights are those of diffusers' `train_autoencoderkl.py`, without the discriminator): pictures come back, latents stay near
 * the standard normal distribution, and, where asked for, what the semantic encoder sees in both is alike.
 */
import { declareVae, drawLatents, type Posterior, vaeDecode, vaeEncode } from '../models/lumina2/vae.ts';
import type { VaeConfig } from '../models/lumina2/vae-config.ts';
import { overlayPrefixes } from '../models/lumina2/weights.ts';
import { smartResize } from '../models/qwen25vl/image-processor.ts';
import { type Declare, parameterShapes, within } from '../nn/parameters.ts';
import {
  absolute,
  add,
  exponential,
  multiply,
  reduceMean,
  reduceSum,
  reshape,
  square,
  subtract,
  type Tensor,
} from '../tensor/index.ts';
import { type PerceptualNet, perceptualLoss } from './perceptual-loss.ts';
import type { Stage } from './stage.ts';

/** How far pixels are apart: the mean of absolute differences, which keeps edges, or of squared ones, which PSNR counts. */
export const pixelLosses = ['absolute', 'squared'] as const;
export type PixelLoss = (typeof pixelLosses)[number];

export interface AutoencoderShapes {
  /** Pictures of a step. */
  readonly batch: number;
  /** Pixels on a side of the pictures, a multiple of `downsampling`. */
  readonly resolution: number;
  /** Reports `reconstruction`, of the pictures' shape. Default false. */
  readonly reportPictures?: boolean;
  /** Adds `weight` times the perceptual loss; default none. */
  readonly perceptual?: PerceptualNet & { readonly weight: number };
}

export interface AutoencoderWeights {
  readonly pixels: PixelLoss;
  /** Of the divergence from the standard normal distribution, summed over the latents of a picture. */
  readonly klWeight: number;
}

/**
 * The stage that trains encoder and decoder. Its data: `picture [batch, 3, resolution, resolution]` in [−1, 1], and `noise` of the
 * latents' shape, with which latents are drawn; zeros give the mode.
 */
export function autoencoderStage(
  config: VaeConfig,
  { batch, resolution, reportPictures = false, perceptual }: AutoencoderShapes,
  { pixels, klWeight }: AutoencoderWeights,
): Stage {
  const side = resolution / config.downsampling;
  const declareAll = (declare: Declare) => declareVae(within(declare, overlayPrefixes.vae), config);
  return {
    name: 'autoencoder',
    data: [
      { name: 'picture', dtype: 'float32', shape: [batch, config.inChannels, resolution, resolution] },
      { name: 'noise', dtype: 'float32', shape: [batch, config.latentChannels, side, side] },
    ],
    trained: parameterShapes(declareAll),
    loss: (declare, { picture, noise }) => {
      const { encoder, decoder } = declareAll(declare);
      const posterior = vaeEncode(picture!, encoder, config);
      const reconstruction = vaeDecode(drawLatents(posterior, noise!), decoder);
      const apart = subtract(reconstruction, picture!);
      const drawn = reduceMean(pixels === 'absolute' ? absolute(apart) : square(apart));
      const divergence = divergenceOf(posterior);
      const learned = add(drawn, multiply(divergence, klWeight));
      const seen =
        perceptual &&
        perceptualLoss(seenOf(reconstruction, perceptual), seenOf(picture!, perceptual), declare, perceptual);
      return {
        loss: seen ? add(learned, multiply(seen, perceptual.weight)) : learned,
        reported: {
          pixel_loss: drawn,
          kl: divergence,
          ...(seen ? { perceptual_loss: seen } : {}),
          ...(reportPictures ? { reconstruction } : {}),
        },
      };
    },
  };
}

/** Kullback and Leibler's divergence from the standard normal distribution in nats: a sum a picture, the mean of pictures. */
function divergenceOf({ mean, logvar }: Posterior): Tensor {
  const each = subtract(add(square(mean), exponential(logvar)), add(logvar, 1));
  return multiply(reduceMean(reduceSum(each, { axes: [1, 2, 3] })), 0.5);
}

/** Pictures in the size that the semantic encoder takes, where that is a whole fraction: means of blocks of pixels. */
function seenOf(pictures: Tensor, { processor }: PerceptualNet): Tensor {
  const [count, channels, height, width] = pictures.shape as readonly number[] as [number, number, number, number];
  const { patchSize, mergeSize, minPixels, maxPixels } = processor;
  const seen = smartResize({ width, height }, patchSize * mergeSize, minPixels, maxPixels);
  const [tall, wide] = [height / seen.height, width / seen.width];
  if ((tall === 1 && wide === 1) || !Number.isInteger(tall) || !Number.isInteger(wide)) return pictures;
  const blocks = reshape(pictures, [count, channels, seen.height, tall, seen.width, wide]);
  return reduceMean(blocks, { axes: [3, 5] });
}
