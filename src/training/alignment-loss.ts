/**
 * The loss of alignment: the diffusion decoder learns to draw pictures from their codes. Flow matching (Lipman et al. 2022):
 * a latent `sigma · noise + (1 − sigma) · latents` is shown, and the way from noise to latent, `latents − noise`, is asked
 * for, as the published `Lumina2Decoder.forward` does without a weighting of sigmas. Only the transformer is trained;
 * latents come from the frozen VAE, captions from the frozen text encoder.
 *
 * Of a decoder that tells what a reference lacks the error is weighed by sigma, so that it is the latents' own and a little noise
 * counts no more than much.
 *
 * For guidance each condition is dropped now and then, and all of that is the data's doing: zeros for code embeddings, zeros
 * for the source's latent, and the empty prompt's states and mask for a caption. The published code draws one number p a
 * picture and drops the caption where p < 2u, the source where u ≤ p < 3u and the codes where p is at most a probability of
 * their own; pictures with a source never see codes. A decoder of the model's own sees both: where few steps must do and no
 * guidance is computed, source and codes are no sum of two directions.
 */

import { channelsOf, codeMaps, starDirection } from '../models/lumina2/star-inputs.ts';
import { declareLuminaTransformer } from '../models/lumina2/transformer.ts';
import type { LuminaTransformerConfig } from '../models/lumina2/transformer-config.ts';
import { overlayPrefixes } from '../models/lumina2/weights.ts';
import { type DecoderInputs, publishedInputs, type StarConfig } from '../models/star/config.ts';
import { type Declare, parameterShapes, within } from '../nn/parameters.ts';
import {
  add,
  type CompiledProgram,
  concat,
  logarithm,
  multiply,
  reduceMean,
  reshape,
  resizeBilinear,
  square,
  subtract,
  type Tensor,
} from '../tensor/index.ts';
import { compileLoss, type LossOptions, type Stage } from './stage.ts';

/** The sizes of the models that the stage joins. */
export interface AlignmentModels {
  readonly transformer: LuminaTransformerConfig;
  readonly pixelEncoder: Pick<StarConfig['pixelEncoder'], 'codebookDim' | 'gridSize' | 'imageSize'>;
  /** Default: as published. */
  readonly inputs?: DecoderInputs;
}

/** How errors of samples are joined: `squared`, their mean, as published, or `psnr`, the mean of them in decibels. */
export const alignmentLosses = ['squared', 'psnr'] as const;
export type AlignmentLoss = (typeof alignmentLosses)[number];

/** A sample's error below which little is to be gained: 35 dB of latents, whose variance is about 1. */
const leastError = 3e-4;

export interface AlignmentShapes {
  /** Pictures of a step. */
  readonly batch: number;
  /** Pixels on a side of a latent, a multiple of the patch size. */
  readonly latentSize: number;
  /** Tokens of a caption, padding counted. */
  readonly captionTokens: number;
  /** Default: `squared`. */
  readonly loss?: AlignmentLoss;
  /** Reports `prediction`, of the latents' shape. Default false. */
  readonly reportPrediction?: boolean;
}

/**
 * The stage that trains the diffusion transformer. Its data: `latents`, `noise` and `source_latents` of one shape (latents
 * shifted and scaled as the VAE's configuration says; the source's as `StarLatents` has it, `draft_latents` where it is asked for), `sigma [batch]` in [0, 1],
 * `code_embeddings [batch, codes, codebookDim]`, where there is one `draft [batch, 3, imageSize, imageSize]` in [−1, 1],
 * `caption [batch, captionTokens, captionDim]` and `caption_mask [batch, captionTokens]`, 1 for tokens, then 0.
 */
export function alignmentStage(
  { transformer: config, pixelEncoder, inputs = publishedInputs }: AlignmentModels,
  { batch, latentSize, captionTokens, loss = 'squared', reportPrediction = false }: AlignmentShapes,
): Stage {
  const { codebookDim, gridSize, imageSize } = pixelEncoder;
  const channels = channelsOf(inputs, pixelEncoder, config);
  const declareAll = (declare: Declare) =>
    declareLuminaTransformer(within(declare, overlayPrefixes.transformer), config, channels);
  const latentShape = [batch, config.latentChannels, latentSize, latentSize];
  return {
    name: 'alignment',
    data: [
      { name: 'latents', dtype: 'float32', shape: latentShape },
      { name: 'noise', dtype: 'float32', shape: latentShape },
      { name: 'sigma', dtype: 'float32', shape: [batch] },
      { name: 'code_embeddings', dtype: 'float32', shape: [batch, gridSize ** 2, codebookDim] },
      ...(inputs.draft ? [{ name: 'draft', dtype: 'float32', shape: [batch, 3, imageSize, imageSize] } as const] : []),
      { name: 'source_latents', dtype: 'float32', shape: latentShape },
      ...(channels.relative ? [{ name: 'draft_latents', dtype: 'float32', shape: latentShape } as const] : []),
      { name: 'caption', dtype: 'float32', shape: [batch, captionTokens, config.captionDim] },
      { name: 'caption_mask', dtype: 'int64', shape: [batch, captionTokens] },
    ],
    trained: parameterShapes(declareAll),
    loss: (declare, data) => {
      const { latents, noise, sigma, code_embeddings, draft, source_latents, draft_latents, caption, caption_mask } =
        data;
      const share = reshape(sigma!, [batch, 1, 1, 1]);
      const noisy = add(multiply(share, noise!), multiply(subtract(1, share), latents!));
      const size = [latentSize, latentSize] as const;
      const maps = codeMaps(code_embeddings!, gridSize, size);
      const codes = draft ? concat([maps, resizeBilinear(draft, ...size)], 1) : maps;
      const prediction = starDirection(
        {
          ...{ latents: noisy, source: source_latents!, codes, draft: draft_latents },
          ...{ sigma: sigma!, timestep: subtract(1, sigma!) },
          ...{ caption: caption!, captionMask: caption_mask! },
        },
        declareAll(declare),
        config,
        channels,
      );
      const apart = subtract(prediction, subtract(latents!, noise!));
      const weighed = channels.relative ? multiply(share, apart) : apart;
      const perSample = reduceMean(square(weighed), { axes: [1, 2, 3] });
      return {
        loss: reduceMean(loss === 'psnr' ? decibels(perSample) : perSample),
        reported: { per_sample_mse: perSample, ...(reportPrediction ? { prediction } : {}) },
      };
    },
  };
}

/**
 * Errors as `10 · log10(error)`. A step then follows each sample's error relative to itself, where the mean of the errors is
 * that of the worst pictures (the PSNR loss of image restoration, Chen et al. 2021).
 */
function decibels(errors: Tensor): Tensor {
  return multiply(logarithm(add(errors, leastError)), 10 / Math.LN10);
}

/**
 * The program of the stage's loss from its data: `loss`, `per_sample_mse [batch]`, `prediction` where asked for, and
 * `grad.<name>` of trained parameters.
 */
export function compileAlignmentLoss(
  declare: Declare,
  models: AlignmentModels,
  shapes: AlignmentShapes,
  options?: LossOptions,
): CompiledProgram {
  return compileLoss(alignmentStage(models, shapes), declare, options);
}
