/**
 * The text encoder's configuration: `text_encoder/config.json` of a diffusers folder, class `Gemma2Model` of transformers.
 *
 * As transformers 4 saves it (`rope_theta` and `torch_dtype` at the top, no `layer_types`) and as transformers 5 does. Keys
 * that do not change the second-to-last hidden state are not read.
 */
import { z } from 'zod';
import { abbreviate, parseConfig, requireConfig } from '../config-error.ts';

/** Lumina-Image-2.0 has Gemma 2 2B: hidden 2304, 26 layers, 8 heads of 256, 4 key-value heads, MLP 9216, vocabulary 256000. */
export interface Gemma2Config {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** Divides `heads`. */
  readonly keyValueHeads: number;
  /** Even; `heads * headDim` need not be `hiddenSize`. */
  readonly headDim: number;
  readonly vocabSize: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  /** What products of queries and keys are multiplied by: 1 / √`query_pre_attn_scalar`. */
  readonly scoreScale: number;
  /** Bounds scores softly; undefined for none. */
  readonly scoreSoftCap: number | undefined;
  /** One for each layer: how many keys a query sees, itself included; undefined for all up to itself. */
  readonly windows: readonly (number | undefined)[];
  /** How the weights are stored; undefined when the file does not say. */
  readonly dtype: 'float32' | 'float16' | 'bfloat16' | undefined;
}

const count = z
  .int()
  .min(1)
  .max(1 << 24);
const maximumLayers = 1024;
const positive = z.number().positive();
const off = z.literal(false).nullish();
const dtype = z.enum(['float32', 'float16', 'bfloat16']);
const layerType = z.enum(['sliding_attention', 'full_attention']);

const schema = z.object({
  model_type: z.literal('gemma2'),
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: z.int().min(1).max(maximumLayers),
  num_attention_heads: count,
  num_key_value_heads: count,
  head_dim: count.default(256),
  vocab_size: count,
  // Other activations would need other kernels; refusing beats computing something else. The same for what follows.
  hidden_activation: z.literal('gelu_pytorch_tanh').nullish(),
  attention_bias: off,
  use_bidirectional_attention: off,
  rms_norm_eps: positive.default(1e-6),
  query_pre_attn_scalar: positive.default(256),
  attn_logit_softcapping: positive.nullable().default(50),
  sliding_window: count.nullable().default(4096),
  layer_types: z.array(layerType).max(maximumLayers).nullish(),
  rope_theta: positive.optional(),
  rope_scaling: z.null().optional(),
  rope_parameters: z.object({ rope_type: z.literal('default').optional(), rope_theta: positive.optional() }).nullish(),
  dtype: dtype.nullish(),
  torch_dtype: dtype.nullish(),
});

/**
 * The normal form of a text encoder's `config.json`.
 * @param value the parsed JSON.
 * @param file only for messages.
 * @throws ConfigError for a missing or ill-typed key, sizes that contradict each other, and what is not supported (another
 *   activation, biases in attention, attention in both directions, scaled rotary positions).
 */
export function parseGemma2Config(value: unknown, file: string): Gemma2Config {
  const json = parseConfig(schema, value, file);
  const { num_attention_heads: heads, num_key_value_heads: keyValueHeads, head_dim: headDim } = json;
  requireConfig(heads % keyValueHeads === 0, file, {
    path: 'num_key_value_heads',
    expected: `a divisor of num_attention_heads ${heads}`,
    got: `${keyValueHeads}`,
  });
  requireConfig(headDim % 2 === 0, file, { path: 'head_dim', expected: 'an even number', got: `${headDim}` });
  return {
    hiddenSize: json.hidden_size,
    intermediateSize: json.intermediate_size,
    heads,
    keyValueHeads,
    headDim,
    vocabSize: json.vocab_size,
    rmsNormEps: json.rms_norm_eps,
    ropeTheta: json.rope_parameters?.rope_theta ?? json.rope_theta ?? 10_000,
    scoreScale: 1 / Math.sqrt(json.query_pre_attn_scalar),
    scoreSoftCap: json.attn_logit_softcapping ?? undefined,
    windows: layerWindows(json, file),
    dtype: json.dtype ?? json.torch_dtype ?? undefined,
  };
}

/** Without `layer_types`, every other layer slides, the first among them. */
function layerWindows(json: z.output<typeof schema>, file: string): (number | undefined)[] {
  const { num_hidden_layers: layers, layer_types: types, sliding_window: window } = json;
  requireConfig((types ?? []).length === (types ? layers : 0), file, {
    path: 'layer_types',
    expected: `a type for each of ${layers} layers`,
    got: `${types?.length}: ${abbreviate(types)}`,
  });
  const slides = Array.from({ length: layers }, (_, index) =>
    types ? types[index] === 'sliding_attention' : index % 2 === 0,
  );
  requireConfig(window !== null || !slides.includes(true), file, {
    path: 'sliding_window',
    expected: 'a number of tokens, since there are layers of sliding attention',
    got: 'null',
  });
  return slides.map((sliding) => (sliding && window !== null ? window : undefined));
}
