/** What STAR's transformer is told beside a noisy latent, and how its output becomes a direction. */
import type { Declare } from '../../nn/parameters.ts';
import {
  add,
  clip,
  concat,
  divide,
  maximum,
  reshape,
  resizeBilinear,
  subtract,
  type Tensor,
} from '../../tensor/index.ts';
import type { DecoderInputs } from '../star/config.ts';
import type { VqConfig } from '../vq/config.ts';
import { declareVqDecoder, toMaps, vqDecode } from '../vq/tokenizer.ts';
import {
  type LuminaInputs,
  type LuminaTransformer,
  type LuminaTransformerOptions,
  luminaTransformer,
} from './transformer.ts';
import type { LuminaTransformerConfig } from './transformer-config.ts';

const draftChannels = 3;

/** The input of STAR's transformer, and what its output is told from. */
export interface ToldChannels extends Required<LuminaTransformerOptions> {
  /** Whether the output is what the source lacks, and not the direction itself. */
  readonly relative: boolean;
}

/** The channels that these inputs make. */
export function channelsOf(
  { draft, source }: DecoderInputs,
  { codebookDim }: Pick<VqConfig, 'codebookDim'>,
  { latentChannels }: Pick<LuminaTransformerConfig, 'latentChannels'>,
): ToldChannels {
  return {
    codeChannels: codebookDim + (draft ? draftChannels : 0),
    sourceChannels: source === 'below' ? 0 : latentChannels,
    relative: source === 'reference',
  };
}

export interface StarLatents {
  /** The noisy latent, `[batch, latentChannels, height, width]`. */
  readonly latents: Tensor;
  /**
   * The source picture's latent, of the same shape; zeros where there is none. For a relative output the latent of the codes'
   * draft stands for it where codes are told and no source is.
   */
  readonly source: Tensor;
  /** `[batch, codeChannels, height, width]` (`codeMaps`); zeros where no codes are told. */
  readonly codes: Tensor;
}

/**
 * The input of STAR's transformer: the codes beside the latent, and the source below it, with the codes beside again,
 * `[batch, latentChannels + codeChannels, 2 * height, width]`, or beside it too, `[batch, 2 * latentChannels + codeChannels, height,
 * width]`.
 */
export function withSource(
  { latents, source, codes }: StarLatents,
  { sourceChannels }: Pick<ToldChannels, 'sourceChannels'>,
): Tensor {
  if (sourceChannels > 0) return concat([latents, codes, source], 1);
  return concat([concat([latents, source], 2), concat([codes, codes], 2)], 1);
}

export interface StarDirectionInputs extends StarLatents, Omit<LuminaInputs, 'states'> {
  /** Noise level of the latents, `[batch]`, 1 where all is noise. */
  readonly sigma: Tensor;
}

/**
 * The direction from noise to picture, `[batch, latentChannels, height, width]`.
 * @throws TensorError as `luminaTransformer`.
 */
export function starDirection(
  { latents, source, codes, sigma, ...conditions }: StarDirectionInputs,
  model: LuminaTransformer,
  config: LuminaTransformerConfig,
  channels: ToldChannels,
): Tensor {
  const states = withSource({ latents, source, codes }, channels);
  const output = luminaTransformer({ states, ...conditions }, model, config, 'target');
  return channels.relative ? fromReference(output, latents, source, sigma) : output;
}

/** The least noise level that a direction is divided by, the last of a schedule of 1,000. */
const leastNoise = 1e-3;

/**
 * The direction from a noisy `σ · noise + (1 − σ) · picture` to a picture that the output tells relative to its reference:
 * `(reference + output − noisy) / σ`. An output of 0 draws the reference, in however many steps, and no noise has to be told.
 */
function fromReference(output: Tensor, noisy: Tensor, reference: Tensor, sigma: Tensor): Tensor {
  const level = maximum(reshape(sigma, [sigma.shape[0]!, 1, 1, 1]), leastNoise);
  return divide(subtract(add(reference, output), noisy), level);
}

/** Embeddings of a picture's codes, `[batch, gridSize², codebookDim]`, as maps of a latent's size. */
export function codeMaps(embeddings: Tensor, gridSize: number, [height, width]: readonly [number, number]): Tensor {
  return resizeBilinear(toMaps(embeddings, gridSize), height, width);
}

/**
 * The VQ decoder's picture `[images, 3, imageSize, imageSize]` in [−1, 1] of embeddings `[images, places, codebookDim]`;
 * `declare` gives the pixel encoder's own names.
 */
export function draftPicture(declare: Declare, embeddings: Tensor, config: VqConfig): Tensor {
  const places = toMaps(embeddings, Math.sqrt(embeddings.shape[1] as number));
  return clip(vqDecode(places, declareVqDecoder(declare, config), config), -1, 1);
}

/** A draft as the autoencoder takes it, `[images, 3, resolution, resolution]`. */
export function enlargedDraft(draft: Tensor, resolution: number): Tensor {
  return resizeBilinear(draft, resolution, resolution);
}
