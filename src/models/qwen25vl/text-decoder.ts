/**
 * The text decoder of Qwen2.5-VL (Bai et al. 2025): RMS norms, grouped-query attention with biases on query, key and value,
 * multimodal rotary positions, gated feed-forward. The stacked AR of STAR is made of the same layers.
 */
import { type AttentionShape, attention, type Visibility } from '../../nn/attention.ts';
import { declareLinear, joinLinear, type Linear, linear } from '../../nn/linear.ts';
import { declareGatedMlp, type GatedMlp, gatedMlp } from '../../nn/mlp.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import {
  add,
  arange,
  canPackHeads,
  constant,
  type Dim,
  expand,
  type KeyValueCache,
  packedAttention,
  rmsNorm,
  rotaryEmbedding,
  type Tensor,
  unsqueeze,
} from '../../tensor/index.ts';
import type { Qwen25VLTextConfig } from './config.ts';
import { rotaryTables } from './positions.ts';

export interface DecoderLayer {
  readonly inputNorm: Tensor;
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  readonly postAttentionNorm: Tensor;
  readonly mlp: GatedMlp;
}

/** Decoder layers and the norm after the last. */
export interface Decoder {
  readonly layers: readonly DecoderLayer[];
  readonly norm: Tensor;
}

/** What a decoder's layers are like; how many there are is the decoder's own. */
export type DecoderShape = AttentionShape & Pick<Qwen25VLTextConfig, 'hiddenSize' | 'intermediateSize' | 'rmsNormEps'>;

export function declareDecoder(declare: Declare, config: DecoderShape, layers: number): Decoder {
  return {
    layers: Array.from({ length: layers }, (_, index) => declareLayer(within(declare, `layers.${index}`), config)),
    norm: declare('norm.weight', [config.hiddenSize]),
  };
}

function declareLayer(declare: Declare, config: DecoderShape): DecoderLayer {
  const { hiddenSize, heads, keyValueHeads, headDim } = config;
  const self = within(declare, 'self_attn');
  return {
    query: declareLinear(within(self, 'q_proj'), hiddenSize, heads * headDim),
    key: declareLinear(within(self, 'k_proj'), hiddenSize, keyValueHeads * headDim),
    value: declareLinear(within(self, 'v_proj'), hiddenSize, keyValueHeads * headDim),
    output: declareLinear(within(self, 'o_proj'), heads * headDim, hiddenSize, false),
    mlp: declareGatedMlp(within(declare, 'mlp'), hiddenSize, config.intermediateSize, false),
    inputNorm: declare('input_layernorm.weight', [hiddenSize]),
    postAttentionNorm: declare('post_attention_layernorm.weight', [hiddenSize]),
  };
}

/**
 * Rotary tables `[positions, headDim / 2]` and, for every token `[batch, seq]`, its row in them. With caches a token's row
 * is its place in the cache.
 */
export interface Rotary {
  readonly cosine: Tensor;
  readonly sine: Tensor;
  readonly positions: Tensor;
}

/**
 * Of texts alone, whose tokens count from 0, padding included: the same place on all three axes.
 * @param maximumTokens rows of the tables, at least the size of the axis of tokens
 */
export function textRotary(
  batch: Dim,
  tokens: Dim,
  { headDim, ropeTheta }: Pick<Qwen25VLTextConfig, 'headDim' | 'ropeTheta'>,
  maximumTokens: number,
): Rotary {
  const half = headDim / 2;
  const places = Int32Array.from({ length: 3 * maximumTokens }, (_, index) => index % maximumTokens);
  const { cos, sin } = rotaryTables(places, headDim, ropeTheta, [half, 0, 0]);
  return {
    cosine: constant('float32', [maximumTokens, half], cos),
    sine: constant('float32', [maximumTokens, half], sin),
    positions: expand(unsqueeze(arange(tokens), 0), [batch, tokens]),
  };
}

/** What each layer's queries see. */
export type DecoderVisibility =
  | { readonly caches: readonly KeyValueCache[] }
  /** Additive, broadcasts to `[batch, heads, seq, seq]`. */
  | { readonly mask: Tensor };

/** `x [batch, seq, hiddenSize]` to hidden states of the same shape, after the final norm, and the grown caches. */
export function decoder(
  x: Tensor,
  { layers, norm }: Decoder,
  config: DecoderShape,
  rotary: Rotary,
  visibility: DecoderVisibility,
): { hidden: Tensor; caches: readonly KeyValueCache[] } {
  const { hidden, caches } = decoderLayers(x, layers, config, rotary, visibility);
  return { hidden: rmsNorm(hidden, norm, config.rmsNormEps), caches };
}

/** The same without the final norm: the states after the last of these layers, as they are handed on. */
export function decoderLayers(
  x: Tensor,
  layers: readonly DecoderLayer[],
  config: DecoderShape,
  rotary: Rotary,
  visibility: DecoderVisibility,
): { hidden: Tensor; caches: readonly KeyValueCache[] } {
  const caches: KeyValueCache[] = [];
  let hidden = x;
  layers.forEach((layer, index) => {
    const seen: Visibility = 'caches' in visibility ? { cache: visibility.caches[index]! } : visibility;
    const result = decoderLayer(hidden, layer, config, rotary, seen);
    hidden = result.hidden;
    if (result.cache) caches.push(result.cache);
  });
  return { hidden, caches };
}

function decoderLayer(x: Tensor, layer: DecoderLayer, config: DecoderShape, rotary: Rotary, seen: Visibility) {
  const inner = rmsNorm(x, layer.inputNorm, config.rmsNormEps);
  const { output, cache } = selfAttention(inner, layer, config, rotary, seen);
  const attended = add(x, linear(output, layer.output));
  const hidden = add(attended, gatedMlp(rmsNorm(attended, layer.postAttentionNorm, config.rmsNormEps), layer.mlp));
  return { hidden, cache };
}

function selfAttention(
  x: Tensor,
  { query, key, value }: DecoderLayer,
  config: DecoderShape,
  { cosine, sine, positions }: Rotary,
  seen: Visibility,
): { output: Tensor; cache?: KeyValueCache } {
  const { heads, keyValueHeads, headDim } = config;
  if ('cache' in seen && canPackHeads(headDim)) {
    const packed = linear(x, joinLinear([query, key, value]));
    return packedAttention(packed, cosine, sine, seen.cache, { heads, keyValueHeads, scale: 1 / Math.sqrt(headDim) });
  }
  const rotate = (states: Tensor, count: number) => rotaryEmbedding(states, cosine, sine, positions, count);
  const queries = rotate(linear(x, query), heads);
  const keys = rotate(linear(x, key), keyValueHeads);
  return attention(queries, keys, linear(x, value), config, seen);
}
