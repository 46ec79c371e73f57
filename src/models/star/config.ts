/**
 * The configuration of a STAR model (`STAR_*.json`) in one normal form.
 *
 * The published file leaves some sizes of the pixel encoder to the code: `VQ_Model` of
 * star/models/pixel_encoder/vq_model.py fixes ch 256, multipliers 1,2,2,4,8, z 512, and its `ModelArgs` two residual
 * blocks and an unnormalised codebook. Here they are defaults, and the optional keys `ch`, `ch_mult`, `z_channels`,
 * `num_res_blocks` and `norm_groups` (32) of `pixel_encoder` override them for smaller models.
 * `pixel_output_head.image_token_embed` is accepted and not kept: the published code never uses it.
 */
import { z } from 'zod';
import { abbreviate, parseConfig, requireConfig } from '../config-error.ts';
import type { Qwen25VLConfig } from '../qwen25vl/config.ts';

export interface StarConfig {
  readonly modelName: string;
  readonly languageModel: { readonly path: string };
  readonly pixelEncoder: PixelEncoderConfig;
  readonly pixelAdapter: PixelAdapterConfig;
  /** One stack in the published models; the list leaves room for several, run one after the other. */
  readonly stackedAr: readonly StackConfig[];
  readonly outputHead: { readonly codes: number; readonly hiddenSize: number };
  /** The diffusion decoder; undefined where the VQ decoder is the only one. */
  readonly pixelDecoder: PixelDecoderConfig | undefined;
  /** How the model is best drawn with, where nothing else is asked for; the key `sampling` is an addition of ours. */
  readonly sampling: Readonly<Record<StackTask, PictureSampling>>;
  /** What is appended to the answer of implicit reasoning; the key `reasoning_suffix` is an addition of ours. */
  readonly reasoningSuffix: string;
}

/** Of what is undefined, the published defaults hold. */
export interface PictureSampling {
  readonly guidance?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly temperature?: number | undefined;
  /** Whether the base thinks first. */
  readonly reasoning?: boolean | undefined;
  /** Of the thought. */
  readonly reasoningTemperature?: number | undefined;
}

/** What the published code appends to the answer of implicit reasoning. */
export const publishedReasoningSuffix = ' Ultra HD, 4K, cinematic composition';

export const sourcePlaces = ['below', 'beside', 'reference'] as const;

/** What the diffusion transformer is told, and how. The keys are additions of ours; the defaults are the published way. */
export interface DecoderInputs {
  /** Whether the VQ decoder's picture of the codes is told beside their embeddings. */
  readonly draft: boolean;
  /**
   * Where an edit's source stands: patches below the picture's, as many again, or further channels of the picture's own. As a
   * reference it stands there too, and the transformer tells where it stays and what the draft lacks elsewhere.
   */
  readonly source: (typeof sourcePlaces)[number];
}

export const publishedInputs: DecoderInputs = { draft: false, source: 'below' };

export interface PixelDecoderConfig {
  readonly path: string;
  /**
   * What reads captions: the base itself, so that the decoder's folder has no text encoder and no tokenizer. Undefined: the
   * text encoder of the decoder's folder, as published; the key `text_encoder` is an addition of ours.
   */
  readonly textEncoder: 'base' | undefined;
  readonly inputs: DecoderInputs;
  /** Denoising steps where nothing else is asked for; the key `steps` is an addition of ours. */
  readonly steps: number | undefined;
}

/** STAR-VQ, the convolutional tokenizer of pixels. */
export interface PixelEncoderConfig {
  /** Weights of the tokenizer alone; undefined when they only stand in the STAR checkpoint. */
  readonly path: string | undefined;
  readonly codebookSize: number;
  readonly codebookDim: number;
  /** Codes of an image, a square number. */
  readonly numTokens: number;
  /** Codes on a side: the square root of `numTokens`. */
  readonly gridSize: number;
  /** Pixels on a side of a code: 2 to the number of levels less one. */
  readonly downsampling: number;
  /** Pixels on a side of an image: `gridSize * downsampling`. */
  readonly imageSize: number;
  /** Attention heads at the lowest level and in the middle. */
  readonly heads: number;
  /** Channels of the first level, multiplied by `chMult` at each. */
  readonly ch: number;
  readonly chMult: readonly number[];
  readonly zChannels: number;
  readonly resBlocks: number;
  /** Groups of the norms; the published code's 32. */
  readonly normGroups: number;
  /** Whether codes are compared and returned normalised; false in all published models. */
  readonly l2Norm: boolean;
  /** Weight of the commitment loss in training; the published code's default 0.25. */
  readonly commitLossBeta: number;
}

/** A perceptron with GELU between its layers, from a code's embedding to the base's hidden size. */
export interface PixelAdapterConfig {
  /** Number of linear layers. */
  readonly depth: number;
  readonly inputDim: number;
  readonly hiddenSize: number;
}

/** What a stack may be for. */
export const stackTasks = ['generate', 'edit'] as const;
export type StackTask = (typeof stackTasks)[number];

export interface StackConfig {
  /** 0 leaves the norm alone: for measuring what the layers are worth. */
  readonly numLayers: number;
  /**
   * Tasks that run through the stack; others pass it by, and compute what they would without it. All in published models,
   * which have one stack; the key `tasks` is an addition of ours.
   */
  readonly tasks: readonly StackTask[];
}

const count = z
  .int()
  .min(1)
  .max(1 << 24);
const path = z.string().min(1).max(1024);
const stack = z.object({
  num_layers: z
    .int()
    .min(0)
    .max(1 << 24),
  tasks: z
    .array(z.enum(stackTasks))
    .min(1)
    .default([...stackTasks]),
});

const sampling = z
  .strictObject({
    guidance: z.number().min(0).max(1000),
    top_k: z.int().min(0),
    top_p: z.number().gt(0).max(1),
    temperature: z.number().min(0).max(100),
    reasoning: z.boolean(),
    reasoning_temperature: z.number().min(0).max(100),
  })
  .partial()
  .default({});

const schema = z.object({
  model_name: z.string().min(1).max(256),
  language_model: z.object({ model_name: z.literal('Qwen2.5-VL'), model_path: path }),
  pixel_encoder: z.object({
    model_name: z.literal('VQ_Model'),
    model_path: z.string().max(1024).nullish(),
    image_token_size: count,
    n_embed: count,
    num_tokens: count,
    num_heads: count,
    ch: count.default(256),
    ch_mult: z.array(count).min(1).max(8).default([1, 2, 2, 4, 8]),
    z_channels: count.default(512),
    num_res_blocks: count.default(2),
    norm_groups: count.default(32),
  }),
  pixel_adapter: z.object({
    model_name: z.literal('MLP_GELU'),
    depth: count.default(1),
    input_dim: count,
    n_embed: count,
  }),
  stacked_ar: z.union([stack, z.array(stack).min(1).max(16)]),
  pixel_output_head: z.object({ image_token_size: count, n_embed: count }),
  pixel_decoder: z
    .object({
      model_name: z.literal('LUMINA2'),
      model_path: path,
      text_encoder: z.literal('base').nullish(),
      draft: z.boolean().default(false),
      source: z.enum(sourcePlaces).default('below'),
      steps: z.int().min(1).max(1000).optional(),
    })
    .nullish(),
  sampling: z.strictObject({ generate: sampling, edit: sampling }).default({ generate: {}, edit: {} }),
  reasoning_suffix: z.string().max(1024).default(publishedReasoningSuffix),
});

/**
 * The normal form of a `STAR_*.json`.
 * @param value the parsed JSON.
 * @param file only for messages.
 * @throws ConfigError for a missing or ill-typed key and for sizes that contradict each other.
 */
export function parseStarConfig(value: unknown, file: string): StarConfig {
  const raw = parseConfig(schema, value, file);
  const pixelEncoder = normalPixelEncoder(raw.pixel_encoder, file);
  const same = (key: string, got: number, expected: number, of: string) =>
    requireConfig(got === expected, file, { path: key, expected: `${of}, ${expected}`, got: `${got}` });
  same('pixel_adapter.input_dim', raw.pixel_adapter.input_dim, pixelEncoder.codebookDim, 'pixel_encoder.n_embed');
  same(
    'pixel_output_head.image_token_size',
    raw.pixel_output_head.image_token_size,
    pixelEncoder.codebookSize,
    'pixel_encoder.image_token_size',
  );
  requireConfig([raw.stacked_ar].flat()[0]!.tasks.length === stackTasks.length, file, {
    path: 'stacked_ar.0.tasks',
    expected: `all tasks, ${stackTasks.join(' and ')}: the first stack makes pictures of the base's states`,
    got: [raw.stacked_ar].flat()[0]!.tasks.join(),
  });
  requireConfig(raw.pixel_decoder?.source !== 'reference' || raw.pixel_decoder.draft, file, {
    path: 'pixel_decoder.draft',
    expected: 'true, since source is reference, and what is not the source’s is the draft’s',
    got: 'false',
  });
  same('pixel_output_head.n_embed', raw.pixel_output_head.n_embed, raw.pixel_adapter.n_embed, 'pixel_adapter.n_embed');
  return {
    modelName: raw.model_name,
    languageModel: { path: raw.language_model.model_path },
    pixelEncoder,
    pixelAdapter: {
      depth: raw.pixel_adapter.depth,
      inputDim: raw.pixel_adapter.input_dim,
      hiddenSize: raw.pixel_adapter.n_embed,
    },
    stackedAr: [raw.stacked_ar].flat().map((each) => ({ numLayers: each.num_layers, tasks: each.tasks })),
    outputHead: { codes: raw.pixel_output_head.image_token_size, hiddenSize: raw.pixel_output_head.n_embed },
    pixelDecoder: raw.pixel_decoder
      ? {
          path: raw.pixel_decoder.model_path,
          textEncoder: raw.pixel_decoder.text_encoder ?? undefined,
          inputs: { draft: raw.pixel_decoder.draft, source: raw.pixel_decoder.source },
          steps: raw.pixel_decoder.steps,
        }
      : undefined,
    sampling: { generate: normalSampling(raw.sampling.generate), edit: normalSampling(raw.sampling.edit) },
    reasoningSuffix: raw.reasoning_suffix,
  };
}

function normalSampling(raw: z.output<typeof sampling>): PictureSampling {
  const { guidance, temperature, reasoning } = raw;
  const names = { topK: raw.top_k, topP: raw.top_p, reasoningTemperature: raw.reasoning_temperature };
  return { guidance, temperature, reasoning, ...names };
}

function normalPixelEncoder(raw: z.output<typeof schema>['pixel_encoder'], file: string): PixelEncoderConfig {
  const gridSize = Math.sqrt(raw.num_tokens);
  requireConfig(Number.isInteger(gridSize), file, {
    path: 'pixel_encoder.num_tokens',
    expected: 'a square number',
    got: `${raw.num_tokens}`,
  });
  const channels = raw.ch_mult.map((multiplier) => raw.ch * multiplier);
  requireConfig(raw.ch % raw.norm_groups === 0, file, {
    path: 'pixel_encoder.ch',
    expected: `a multiple of ${raw.norm_groups}, the groups of its norms`,
    got: `${raw.ch}`,
  });
  requireConfig(channels.at(-1)! % raw.num_heads === 0, file, {
    path: 'pixel_encoder.num_heads',
    expected: `a divisor of the lowest level's channels, ${channels.at(-1)}`,
    got: abbreviate(raw.num_heads),
  });
  const downsampling = 2 ** (raw.ch_mult.length - 1);
  return {
    path: raw.model_path || undefined,
    codebookSize: raw.image_token_size,
    codebookDim: raw.n_embed,
    numTokens: raw.num_tokens,
    gridSize,
    downsampling,
    imageSize: gridSize * downsampling,
    heads: raw.num_heads,
    ch: raw.ch,
    chMult: raw.ch_mult,
    zChannels: raw.z_channels,
    resBlocks: raw.num_res_blocks,
    normGroups: raw.norm_groups,
    l2Norm: false,
    commitLossBeta: 0.25,
  };
}

/**
 * Checks that a STAR configuration fits its base model.
 * @throws ConfigError when the adapter and the head do not have the base's hidden size.
 */
export function requireMatchingBase(star: StarConfig, base: Qwen25VLConfig, starFile: string): void {
  requireConfig(star.pixelAdapter.hiddenSize === base.text.hiddenSize, starFile, {
    path: 'pixel_adapter.n_embed',
    expected: `the hidden size of the language model, ${base.text.hiddenSize}`,
    got: `${star.pixelAdapter.hiddenSize}`,
  });
}
