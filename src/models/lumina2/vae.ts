/**
 * The autoencoder of the diffusion decoder (diffusers' `AutoencoderKL`; Rombach et al. 2022, section 3.1): pictures
 * `[batch, 3, height, width]` in [−1, 1] to a Gaussian of latents `[batch, latentChannels, height / 8, width / 8]`, and
 * back. A picture is computed whole: the published tiling, off by default, changes the numbers and is not here.
 */
import {
  type AttentionBlock,
  attentionBlock,
  type Convolution,
  convolution,
  declareAttentionBlock,
  declareConvolution,
  declareGroupNorm,
  declareResidualBlock,
  diffusersNames,
  downsample,
  type GroupNorm,
  normalize,
  type ResidualBlock,
  residualBlock,
  upsample,
} from '../../nn/convolution-blocks.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import { add, clip, divide, exponential, multiply, silu, split, subtract, type Tensor } from '../../tensor/index.ts';
import type { VaeConfig } from './vae-config.ts';

interface Level {
  readonly residual: readonly ResidualBlock[];
  /** Down in the encoder, up in the decoder; none at the end. */
  readonly resample?: Convolution;
}

interface Middle {
  readonly first: ResidualBlock;
  readonly attention?: AttentionBlock;
  readonly second: ResidualBlock;
}

interface Trunk {
  readonly input: Convolution;
  readonly levels: readonly Level[];
  readonly middle: Middle;
  readonly norm: GroupNorm;
  readonly output: Convolution;
}

export interface VaeEncoder extends Trunk {
  readonly quantConvolution?: Convolution;
}

export interface VaeDecoder extends Trunk {
  readonly postQuantConvolution?: Convolution;
}

function declareMiddle(declare: Declare, channels: number, { normGroups, middleAttention }: VaeConfig): Middle {
  const residual = (index: number) =>
    declareResidualBlock(within(declare, `resnets.${index}`), channels, channels, normGroups, diffusersNames);
  const middle = { first: residual(0), second: residual(1) };
  if (!middleAttention) return middle;
  const attention = declareAttentionBlock(within(declare, 'attentions.0'), channels, normGroups, diffusersNames);
  return { ...middle, attention };
}

function declareLevel(
  declare: Declare,
  inputs: number,
  outputs: number,
  options: { blocks: number; groups: number; resample: string | undefined },
): Level {
  const residual = Array.from({ length: options.blocks }, (_, index) => {
    const from = index === 0 ? inputs : outputs;
    return declareResidualBlock(within(declare, `resnets.${index}`), from, outputs, options.groups, diffusersNames);
  });
  if (!options.resample) return { residual };
  return { residual, resample: declareConvolution(within(declare, options.resample), outputs, outputs, 3) };
}

/** Parameters `encoder.*` and, where the configuration has it, `quant_conv.*`. */
export function declareVaeEncoder(declare: Declare, config: VaeConfig): VaeEncoder {
  const { levelChannels: sizes, resBlocks: blocks, normGroups: groups } = config;
  const encoder = within(declare, 'encoder');
  const last = sizes.length - 1;
  const lowest = sizes[last]!;
  // Mean and logarithm of the variance of every latent channel.
  const moments = 2 * config.latentChannels;
  const trunk = {
    input: declareConvolution(within(encoder, 'conv_in'), config.inChannels, sizes[0]!, 3),
    levels: sizes.map((size, level) =>
      declareLevel(within(encoder, `down_blocks.${level}`), sizes[Math.max(level - 1, 0)]!, size, {
        blocks,
        groups,
        resample: level === last ? undefined : 'downsamplers.0.conv',
      }),
    ),
    middle: declareMiddle(within(encoder, 'mid_block'), lowest, config),
    norm: declareGroupNorm(within(encoder, 'conv_norm_out'), lowest, groups),
    output: declareConvolution(within(encoder, 'conv_out'), lowest, moments, 3),
  };
  if (!config.quantConvolution) return trunk;
  return { ...trunk, quantConvolution: declareConvolution(within(declare, 'quant_conv'), moments, moments, 1) };
}

/** Parameters `decoder.*` and, where the configuration has it, `post_quant_conv.*`. */
export function declareVaeDecoder(declare: Declare, config: VaeConfig): VaeDecoder {
  const { latentChannels, resBlocks, normGroups: groups } = config;
  const decoder = within(declare, 'decoder');
  const sizes = [...config.levelChannels].reverse();
  const last = sizes.length - 1;
  const trunk = {
    input: declareConvolution(within(decoder, 'conv_in'), latentChannels, sizes[0]!, 3),
    middle: declareMiddle(within(decoder, 'mid_block'), sizes[0]!, config),
    levels: sizes.map((size, level) =>
      declareLevel(within(decoder, `up_blocks.${level}`), sizes[Math.max(level - 1, 0)]!, size, {
        blocks: resBlocks + 1,
        groups,
        resample: level === last ? undefined : 'upsamplers.0.conv',
      }),
    ),
    norm: declareGroupNorm(within(decoder, 'conv_norm_out'), sizes[last]!, groups),
    output: declareConvolution(within(decoder, 'conv_out'), sizes[last]!, config.outChannels, 3),
  };
  if (!config.postQuantConvolution) return trunk;
  const post = declareConvolution(within(declare, 'post_quant_conv'), latentChannels, latentChannels, 1);
  return { ...trunk, postQuantConvolution: post };
}

/** Parameters of both halves. */
export function declareVae(declare: Declare, config: VaeConfig): { encoder: VaeEncoder; decoder: VaeDecoder } {
  return { encoder: declareVaeEncoder(declare, config), decoder: declareVaeDecoder(declare, config) };
}

function runMiddle(x: Tensor, { first, attention, second }: Middle): Tensor {
  const inner = residualBlock(x, first);
  return residualBlock(attention ? attentionBlock(inner, attention, 1) : inner, second);
}

function runLevel(x: Tensor, level: Level, resample: (x: Tensor, block: Convolution) => Tensor): Tensor {
  const h = level.residual.reduce(residualBlock, x);
  return level.resample ? resample(h, level.resample) : h;
}

function runOutput(x: Tensor, { norm, output }: Trunk): Tensor {
  return convolution(silu(normalize(x, norm)), output);
}

/**
 * The Gaussian that a picture's latents follow, in the autoencoder's own scale;
 * `[batch, latentChannels, rows, columns]` each.
 */
export interface Posterior {
  /** Also the mode: the likeliest latents. */
  readonly mean: Tensor;
  /** Natural logarithm of the variance, in [−30, 20]. */
  readonly logvar: Tensor;
}

/** Pictures `[batch, inChannels, height, width]` in [−1, 1] to the Gaussian of their latents. */
export function vaeEncode(picture: Tensor, encoder: VaeEncoder, { latentChannels }: VaeConfig): Posterior {
  let h = convolution(picture, encoder.input);
  for (const level of encoder.levels) h = runLevel(h, level, downsample);
  const features = runOutput(runMiddle(h, encoder.middle), encoder);
  const moments = encoder.quantConvolution ? convolution(features, encoder.quantConvolution) : features;
  const [mean, logvar] = split(moments, 1, [latentChannels, latentChannels]);
  // The limits of diffusers' `DiagonalGaussianDistribution`.
  return { mean: mean!, logvar: clip(logvar!, -30, 20) };
}

/** A draw from the Gaussian with `noise` from the standard normal distribution; noise of zeros gives the mode. */
export function drawLatents({ mean, logvar }: Posterior, noise: Tensor): Tensor {
  return add(mean, multiply(exponential(multiply(logvar, 0.5)), noise));
}

/** Latents of the autoencoder in the scale in which the diffusion model sees them. */
export function scaleLatents(latents: Tensor, { scalingFactor, shiftFactor }: VaeConfig): Tensor {
  return multiply(subtract(latents, shiftFactor), scalingFactor);
}

/** The inverse of `scaleLatents`. */
export function unscaleLatents(scaled: Tensor, { scalingFactor, shiftFactor }: VaeConfig): Tensor {
  return add(divide(scaled, scalingFactor), shiftFactor);
}

/**
 * Latents in the autoencoder's own scale to pictures `[batch, outChannels, height, width]`, about [−1, 1] but not
 * limited to it.
 */
export function vaeDecode(latents: Tensor, decoder: VaeDecoder): Tensor {
  const codes = decoder.postQuantConvolution ? convolution(latents, decoder.postQuantConvolution) : latents;
  let h = runMiddle(convolution(codes, decoder.input), decoder.middle);
  for (const level of decoder.levels) h = runLevel(h, level, upsample);
  return runOutput(h, decoder);
}
