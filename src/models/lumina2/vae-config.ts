/** The autoencoder's configuration: `vae/config.json` of a diffusers folder, class `AutoencoderKL`. */
import { z } from 'zod';
import { abbreviate, parseConfig, requireConfig } from '../config-error.ts';

/** Lumina-Image-2.0: channels 128, 256, 512, 512, two residual blocks, 16 latent channels, 32 groups. */
export interface VaeConfig {
  /** Channels of the pictures that go in and of those that come out. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  /** Channels of each level, the largest map first; each level after the first halves height and width. */
  readonly levelChannels: readonly number[];
  /** Residual blocks of a level of the encoder; the decoder's levels have one more. */
  readonly resBlocks: number;
  readonly normGroups: number;
  /** Whether the middle has attention between its two residual blocks. */
  readonly middleAttention: boolean;
  /** Whether a 1 x 1 convolution follows the encoder. */
  readonly quantConvolution: boolean;
  /** Whether a 1 x 1 convolution precedes the decoder. */
  readonly postQuantConvolution: boolean;
  /** The diffusion model sees `(latents − shiftFactor) · scalingFactor`. */
  readonly scalingFactor: number;
  readonly shiftFactor: number;
  /** Pixels on a side of a latent: 2 to the number of levels less one. */
  readonly downsampling: number;
}

const count = z
  .int()
  .min(1)
  .max(1 << 16);
const levels = 8;
const blockTypes = <Name extends string>(name: Name) => z.array(z.literal(name)).min(1).max(levels).default([name]);

// Statistics a channel are another way of scaling, which the published pipeline does not read.
const noStatistics = z.null().optional();

// Keys that change no number are not here: `sample_size` is for tiling, `force_upcast` asks for the float32 we always
// take.
const schema = z.object({
  _class_name: z.literal('AutoencoderKL').optional(),
  in_channels: count.default(3),
  out_channels: count.default(3),
  latent_channels: count.default(4),
  block_out_channels: z.array(count).min(1).max(levels).default([64]),
  down_block_types: blockTypes('DownEncoderBlock2D'),
  up_block_types: blockTypes('UpDecoderBlock2D'),
  layers_per_block: count.default(1),
  norm_num_groups: count.default(32),
  act_fn: z.enum(['silu', 'swish']).default('silu'),
  mid_block_add_attention: z.boolean().default(true),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  scaling_factor: z.number().positive().default(0.18215),
  shift_factor: z.number().nullish(),
  latents_mean: noStatistics,
  latents_std: noStatistics,
});

/**
 * The normal form of an autoencoder's `config.json`; absent keys take the defaults of diffusers, and no shift is a
 * shift of 0.
 * @param value the parsed JSON.
 * @param file only for messages.
 * @throws ConfigError naming the key at fault: ill-typed, contradictory or not supported (other blocks or activations
 *   than the published ones, latent statistics a channel).
 */
export function parseVaeConfig(value: unknown, file: string): VaeConfig {
  const config = parseConfig(schema, value, file);
  const levelChannels = config.block_out_channels;
  for (const key of ['down_block_types', 'up_block_types'] as const) {
    requireConfig(config[key].length === levelChannels.length, file, {
      path: key,
      expected: `one for each of block_out_channels, ${levelChannels.length}`,
      got: abbreviate(config[key]),
    });
  }
  requireConfig(
    levelChannels.every((channels) => channels % config.norm_num_groups === 0),
    file,
    {
      path: 'block_out_channels',
      expected: `multiples of norm_num_groups, ${config.norm_num_groups}`,
      got: abbreviate(levelChannels),
    },
  );
  return {
    inChannels: config.in_channels,
    outChannels: config.out_channels,
    latentChannels: config.latent_channels,
    levelChannels,
    resBlocks: config.layers_per_block,
    normGroups: config.norm_num_groups,
    middleAttention: config.mid_block_add_attention,
    quantConvolution: config.use_quant_conv,
    postQuantConvolution: config.use_post_quant_conv,
    scalingFactor: config.scaling_factor,
    shiftFactor: config.shift_factor ?? 0,
    downsampling: 2 ** (levelChannels.length - 1),
  };
}
