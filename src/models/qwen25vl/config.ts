/**
 * The configuration of a Qwen2.5-VL model folder in one normal form.
 *
 * `config.json` comes in two forms: flat, as published (transformers 4), and nested, as transformers 5 saves it
 * (`text_config`, `rope_parameters`, `dtype`, `in_channels`). Where both stand in one file the nested one counts, as in
 * transformers. Keys that do not change the computation are not read.
 */
import { z } from 'zod';
import { abbreviate, parseConfig, requireConfig } from '../config-error.ts';

export interface Qwen25VLConfig {
  readonly text: Qwen25VLTextConfig;
  readonly vision: Qwen25VLVisionConfig;
  readonly tokens: Qwen25VLTokens;
  /** How the weights are stored; undefined when the file does not say. */
  readonly dtype: 'float32' | 'float16' | 'bfloat16' | undefined;
}

export interface Qwen25VLTextConfig {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Divides `heads`. */
  readonly keyValueHeads: number;
  /** `hiddenSize / heads`, even. */
  readonly headDim: number;
  readonly vocabSize: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  /** How many of the `headDim / 2` frequencies turn with time, height and width. */
  readonly mropeSection: readonly [number, number, number];
  readonly tieWordEmbeddings: boolean;
  readonly maxPositionEmbeddings: number;
}

export interface Qwen25VLVisionConfig {
  readonly depth: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** `hiddenSize / heads`, a multiple of 4: a half for the row, a half for the column, each in pairs. */
  readonly headDim: number;
  readonly inChannels: number;
  /** The text model's hidden size. */
  readonly outHiddenSize: number;
  /** Pixels on a side of a patch. */
  readonly patchSize: number;
  /** Patches on a side of the block that becomes one token. */
  readonly spatialMergeSize: number;
  readonly temporalPatchSize: number;
  /** Pixels on a side of an attention window. */
  readonly windowSize: number;
  /** Blocks that attend to the whole image, ascending. */
  readonly fullAttentionBlocks: readonly number[];
  readonly hiddenAct: 'silu';
  readonly ropeTheta: number;
}

export interface Qwen25VLTokens {
  readonly imageToken: number;
  readonly videoToken: number;
  readonly visionStart: number;
  readonly visionEnd: number;
}

const count = z
  .int()
  .min(1)
  .max(1 << 24);
const tokenId = z
  .int()
  .min(0)
  .max(1 << 24);
const dtype = z.enum(['float32', 'float16', 'bfloat16']);
const positive = z.number().positive();
// Other activations (gelu, quick_gelu) would need other kernels; refusing beats computing something else.
const hiddenAct = z.literal('silu');

const ropeSchema = z.object({
  type: z.enum(['mrope', 'default']).optional(),
  rope_type: z.enum(['mrope', 'default']).optional(),
  mrope_section: z.tuple([count, count, count]),
  rope_theta: positive.optional(),
});

const textSchema = z.object({
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  vocab_size: count,
  hidden_act: hiddenAct.default('silu'),
  rms_norm_eps: positive.default(1e-5),
  max_position_embeddings: count,
  rope_theta: positive.optional(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  use_sliding_window: z
    .boolean()
    .nullish()
    .refine((used) => !used, {
      error: 'false: sliding-window attention is not supported, every layer attends to all tokens',
    }),
  tie_word_embeddings: z.boolean().optional(),
  dtype: dtype.nullish(),
  torch_dtype: dtype.nullish(),
});

const visionSchema = z.object({
  depth: count,
  hidden_size: count,
  intermediate_size: count,
  num_heads: count,
  in_chans: count.optional(),
  in_channels: count.optional(),
  out_hidden_size: count,
  patch_size: count.default(14),
  spatial_merge_size: count.default(2),
  temporal_patch_size: count.default(2),
  window_size: count.default(112),
  fullatt_block_indexes: z.array(z.int().min(0)).max(1024).default([7, 15, 23, 31]),
  hidden_act: hiddenAct.default('silu'),
  rope_parameters: z.object({ rope_type: z.literal('axial').optional(), rope_theta: positive.optional() }).nullish(),
});

const rootSchema = z.object({
  model_type: z.literal('qwen2_5_vl'),
  text_config: textSchema.optional(),
  vision_config: visionSchema,
  image_token_id: tokenId.default(151655),
  video_token_id: tokenId.default(151656),
  vision_start_token_id: tokenId.default(151652),
  vision_end_token_id: tokenId.default(151653),
  tie_word_embeddings: z.boolean().default(false),
  dtype: dtype.nullish(),
  torch_dtype: dtype.nullish(),
});

/**
 * The normal form of a Hugging Face Qwen2.5-VL `config.json`.
 * @param value the parsed JSON.
 * @param file only for messages.
 * @throws ConfigError for a missing or ill-typed key, sizes that contradict each other, and what is not supported
 *   (another activation than silu, sliding windows, rope scaling such as yarn).
 */
export function parseQwen25VLConfig(value: unknown, file: string): Qwen25VLConfig {
  const root = parseConfig(rootSchema, value, file);
  const nested = root.text_config !== undefined;
  const text = root.text_config ?? parseConfig(textSchema, value, file);
  const config: Qwen25VLConfig = {
    text: normalText(text, root.tie_word_embeddings, file, nested ? 'text_config.' : ''),
    vision: normalVision(root.vision_config, file),
    tokens: {
      imageToken: root.image_token_id,
      videoToken: root.video_token_id,
      visionStart: root.vision_start_token_id,
      visionEnd: root.vision_end_token_id,
    },
    dtype: root.dtype ?? root.torch_dtype ?? text.dtype ?? text.torch_dtype ?? undefined,
  };
  requireConfig(config.vision.outHiddenSize === config.text.hiddenSize, file, {
    path: 'vision_config.out_hidden_size',
    expected: `the text model's hidden size ${config.text.hiddenSize}`,
    got: `${config.vision.outHiddenSize}`,
  });
  const ids = Object.values(config.tokens);
  requireConfig(ids.every((id) => id < config.text.vocabSize) && new Set(ids).size === ids.length, file, {
    path: 'image_token_id, video_token_id, vision_start_token_id, vision_end_token_id',
    expected: `four different ids below vocab_size ${config.text.vocabSize}`,
    got: ids.join(', '),
  });
  return config;
}

function normalText(
  text: z.output<typeof textSchema>,
  tieAtRoot: boolean,
  file: string,
  prefix: string,
): Qwen25VLTextConfig {
  const heads = text.num_attention_heads;
  const keyValueHeads = text.num_key_value_heads ?? heads;
  const headDim = text.hidden_size / heads;
  requireConfig(Number.isInteger(headDim) && headDim % 2 === 0, file, {
    path: `${prefix}num_attention_heads`,
    expected: `a divisor of hidden_size ${text.hidden_size} that leaves an even head size`,
    got: `${heads}`,
  });
  // The attention of transformers takes hidden_size / heads and only its rotary tables would take head_dim.
  requireConfig((text.head_dim ?? headDim) === headDim, file, {
    path: `${prefix}head_dim`,
    expected: `hidden_size / num_attention_heads = ${headDim}`,
    got: `${text.head_dim}`,
  });
  requireConfig(heads % keyValueHeads === 0, file, {
    path: `${prefix}num_key_value_heads`,
    expected: `a divisor of num_attention_heads ${heads}`,
    got: `${keyValueHeads}`,
  });
  const ropeKey = text.rope_scaling ? 'rope_scaling' : 'rope_parameters';
  const rope = text.rope_scaling ?? text.rope_parameters;
  requireConfig(rope !== null && rope !== undefined, file, {
    path: `${prefix}rope_scaling`,
    expected: 'rope_scaling or rope_parameters with mrope_section',
    got: 'nothing',
  });
  const [time, height, width] = rope.mrope_section;
  requireConfig(time + height + width === headDim / 2, file, {
    path: `${prefix}${ropeKey}.mrope_section`,
    expected: `three numbers whose sum is half the head size, ${headDim / 2}`,
    got: abbreviate(rope.mrope_section),
  });
  return {
    hiddenSize: text.hidden_size,
    intermediateSize: text.intermediate_size,
    layers: text.num_hidden_layers,
    heads,
    keyValueHeads,
    headDim,
    vocabSize: text.vocab_size,
    rmsNormEps: text.rms_norm_eps,
    ropeTheta: rope.rope_theta ?? text.rope_theta ?? 1e6,
    mropeSection: [time, height, width],
    tieWordEmbeddings: tieAtRoot || text.tie_word_embeddings === true,
    maxPositionEmbeddings: text.max_position_embeddings,
  };
}

function normalVision(vision: z.output<typeof visionSchema>, file: string): Qwen25VLVisionConfig {
  const headDim = vision.hidden_size / vision.num_heads;
  requireConfig(Number.isInteger(headDim) && headDim % 4 === 0, file, {
    path: 'vision_config.num_heads',
    expected: `a divisor of hidden_size ${vision.hidden_size} that leaves a head size divisible by 4`,
    got: `${vision.num_heads}`,
  });
  const mergedPatch = vision.patch_size * vision.spatial_merge_size;
  requireConfig(vision.window_size >= mergedPatch, file, {
    path: 'vision_config.window_size',
    expected: `at least patch_size x spatial_merge_size = ${mergedPatch} pixels`,
    got: `${vision.window_size}`,
  });
  const fullAttentionBlocks = [...new Set(vision.fullatt_block_indexes)].sort((a, b) => a - b);
  requireConfig(
    fullAttentionBlocks.every((block) => block < vision.depth),
    file,
    {
      path: 'vision_config.fullatt_block_indexes',
      expected: `block numbers below depth ${vision.depth}`,
      got: abbreviate(vision.fullatt_block_indexes),
    },
  );
  const inChannels = vision.in_channels ?? vision.in_chans ?? 3;
  requireConfig(inChannels === (vision.in_chans ?? inChannels), file, {
    path: 'vision_config.in_chans',
    expected: `the same as in_channels, ${inChannels}`,
    got: `${vision.in_chans}`,
  });
  return {
    depth: vision.depth,
    hiddenSize: vision.hidden_size,
    intermediateSize: vision.intermediate_size,
    heads: vision.num_heads,
    headDim,
    inChannels,
    outHiddenSize: vision.out_hidden_size,
    patchSize: vision.patch_size,
    spatialMergeSize: vision.spatial_merge_size,
    temporalPatchSize: vision.temporal_patch_size,
    windowSize: vision.window_size,
    fullAttentionBlocks,
    hiddenAct: vision.hidden_act,
    ropeTheta: vision.rope_parameters?.rope_theta ?? 10_000,
  };
}
