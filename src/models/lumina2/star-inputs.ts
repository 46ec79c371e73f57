/** What STAR's transformer is told beside a noisy latent, and how its output becomes a direction. */
import type { Declare } from '../../nn/parameters.ts';
import {
  add,
  clip,
  concat,
  divide,
  maximum,
  multiply,
  reshape,
  resizeBilinear,
  sigmoid,
  split,
  subtract,
  type Tensor,
  TensorError,
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

/** The input of STAR's transformer, and what comes out. */
export interface ToldChannels extends Required<LuminaTransformerOptions> {
  /** Whether the output is told relative to source and draft, and not the direction itself. */
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
    // Beside the latent's own a share of the source.
    outputChannels: source === 'reference' ? latentChannels + 1 : latentChannels,
    relative: source === 'reference',
  };
}

export interface StarLatents {
  /** The noisy latent, `[batch, latentChannels, height, width]`. */
  readonly latents: Tensor;
  /** The source picture's latent, of the same shape; zeros where there is none, or the draft's for a relative output. */
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
  /** For a relative output: the latent of the codes' own picture, of the latents' shape; zeros where no codes are told. */
  readonly draft?: Tensor | undefined;
}

/**
 * The direction from noise to picture, `[batch, latentChannels, height, width]`.
 * @throws TensorError as `luminaTransformer`.
 */
export function starDirection(
  { latents, source, codes, draft, sigma, ...conditions }: StarDirectionInputs,
  model: LuminaTransformer,
  config: LuminaTransformerConfig,
  channels: ToldChannels,
): Tensor {
  const states = withSource({ latents, source, codes }, channels);
  const output = luminaTransformer({ states, ...conditions }, model, config, 'target');
  if (!channels.relative) return output;
  if (!draft) throw new TensorError('starDirection', 'expected a draft, since the output is relative', {});
  const [lacking, share] = split(output, 1, [config.latentChannels, 1]) as [Tensor, Tensor];
  return directionTo(mixed(source, draft, lacking, share), latents, sigma);
}

/**
 * A picture of a source and a draft: what is unchanged is the source, the rest is the draft and what it lacks. `share`, one
 * channel, says which is where, through the logistic function. In a drawing the draft is its own source.
 */
function mixed(source: Tensor, draft: Tensor, lacking: Tensor, share: Tensor): Tensor {
  const unchanged = sigmoid(share);
  return add(multiply(unchanged, source), multiply(subtract(1, unchanged), add(draft, lacking)));
}

/** The least noise level that a direction is divided by, the last of a schedule of 1,000. */
const leastNoise = 1e-3;

/**
 * The direction from a noisy `σ · noise + (1 − σ) · picture` to a picture, `(picture − noisy) / σ`. What makes the picture need
 * not tell the noise, and where it gives the same picture at each step, that picture is drawn in however many.
 */
function directionTo(picture: Tensor, noisy: Tensor, sigma: Tensor): Tensor {
  const level = maximum(reshape(sigma, [sigma.shape[0]!, 1, 1, 1]), leastNoise);
  return divide(subtract(picture, noisy), level);
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
