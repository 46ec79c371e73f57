/**
 * The configuration of Lumina-Image-2.0's diffusion transformer in one normal form: `transformer/config.json` of a
 * diffusers folder (`Lumina2Transformer2DModel`). Keys that do not change the computation (`sample_size`,
 * `scaling_factor`) are not read.
 */
import { z } from 'zod';
import { abbreviate, parseConfig, requireConfig } from '../config-error.ts';

export interface LuminaTransformerConfig {
  /** Channels of a latent, which is what goes in and what comes out; STAR's code embeddings come on top. */
  readonly latentChannels: number;
  /** Latent pixels on a side of a patch. */
  readonly patchSize: number;
  readonly hiddenSize: number;
  /** Blocks over caption and picture together. */
  readonly layers: number;
  /** Blocks over the caption alone, and as many over the picture alone. */
  readonly refinerLayers: number;
  readonly heads: number;
  /** Divides `heads`. */
  readonly keyValueHeads: number;
  /** `hiddenSize / heads`, even. */
  readonly headDim: number;
  /** Inner size of the feed-forward layers. */
  readonly feedForwardSize: number;
  readonly normEps: number;
  /** Size of the text encoder's states. */
  readonly captionDim: number;
  /** Size of the embedding of time: `min(hiddenSize, 1024)`. */
  readonly timeSize: number;
  /** Channels of a head that turn with the place in the caption, the row and the column; each even, in sum `headDim`. */
  readonly ropeChannels: readonly [number, number, number];
  /** Positions that there are on each of these axes. */
  readonly ropePositions: readonly [number, number, number];
}

const count = z
  .int()
  .min(1)
  .max(1 << 24);
const layers = z.int().min(1).max(4096);
const positions = z
  .int()
  .min(1)
  .max(1 << 16);

const schema = z.object({
  _class_name: z.literal('Lumina2Transformer2DModel'),
  patch_size: z.int().min(1).max(64),
  in_channels: count,
  out_channels: count.nullish(),
  hidden_size: count,
  num_layers: layers,
  num_refiner_layers: layers,
  num_attention_heads: count,
  num_kv_heads: count.nullish(),
  multiple_of: count,
  ffn_dim_multiplier: z.number().positive().max(1024).nullish(),
  norm_eps: z.number().positive(),
  axes_dim_rope: z.tuple([count, count, count]),
  axes_lens: z.tuple([positions, positions, positions]),
  cap_feat_dim: count,
});

/**
 * The normal form of a `transformer/config.json`.
 * @param value the parsed JSON.
 * @param file only for messages.
 * @throws ConfigError for another class, a missing or ill-typed key, sizes that contradict each other, and more or fewer
 *   channels out than in.
 */
export function parseLuminaTransformerConfig(value: unknown, file: string): LuminaTransformerConfig {
  const raw = parseConfig(schema, value, file);
  const heads = raw.num_attention_heads;
  const keyValueHeads = raw.num_kv_heads ?? heads;
  const headDim = raw.hidden_size / heads;
  requireConfig(Number.isInteger(headDim) && headDim % 2 === 0, file, {
    path: 'num_attention_heads',
    expected: `a divisor of hidden_size ${raw.hidden_size} that leaves an even head size`,
    got: `${heads}`,
  });
  requireConfig(heads % keyValueHeads === 0, file, {
    path: 'num_kv_heads',
    expected: `a divisor of num_attention_heads ${heads}`,
    got: `${keyValueHeads}`,
  });
  const channels = raw.axes_dim_rope;
  const even = channels.every((axis) => axis % 2 === 0);
  requireConfig(even && channels.reduce((a, b) => a + b) === headDim, file, {
    path: 'axes_dim_rope',
    expected: `three even numbers whose sum is the head size, ${headDim}`,
    got: abbreviate(channels),
  });
  // What is predicted is a direction in the space of latents.
  requireConfig((raw.out_channels ?? raw.in_channels) === raw.in_channels, file, {
    path: 'out_channels',
    expected: `null or in_channels, ${raw.in_channels}`,
    got: `${raw.out_channels}`,
  });
  return {
    latentChannels: raw.in_channels,
    patchSize: raw.patch_size,
    hiddenSize: raw.hidden_size,
    layers: raw.num_layers,
    refinerLayers: raw.num_refiner_layers,
    heads,
    keyValueHeads,
    headDim,
    feedForwardSize: feedForwardSize(raw),
    normEps: raw.norm_eps,
    captionDim: raw.cap_feat_dim,
    timeSize: Math.min(raw.hidden_size, 1024),
    ropeChannels: channels,
    ropePositions: raw.axes_lens,
  };
}

/** Four times the hidden size, scaled where the file says so, up to the next multiple (`LuminaFeedForward`). */
function feedForwardSize({ hidden_size, multiple_of, ffn_dim_multiplier }: z.output<typeof schema>): number {
  const wanted = Math.trunc((ffn_dim_multiplier ?? 1) * 4 * hidden_size);
  return multiple_of * Math.ceil(wanted / multiple_of);
}
