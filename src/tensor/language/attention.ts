/** Position and attention operators that ONNX Runtime has in one piece. */
import { apply, applyAll, type Tensor } from '../tensor.ts';

/**
 * Rotates pairs of channels `(i, i + headDim/2)` of every head by the angle at the token's position.
 * `x [batch, seq, heads * headDim]`, `cosine` and `sine [positions, headDim / 2]`, `positions [batch, seq]` int64: rows
 * of the tables. Source: Su et al. 2021, in the half-split form of Llama and Qwen.
 */
export function rotaryEmbedding(x: Tensor, cosine: Tensor, sine: Tensor, positions: Tensor, heads: number): Tensor {
  return apply('rotaryEmbedding', { heads }, x, cosine, sine, positions);
}

/** Keys and values of the tokens seen so far, `[batch, keyValueHeads, past, headDim]` each. */
export interface KeyValueCache {
  readonly key: Tensor;
  readonly value: Tensor;
}

/**
 * Causal attention of new tokens over a cache and themselves; the cache grows by them.
 * `query [batch, seq, heads * headDim]`, `key` and `value [batch, seq, keyValueHeads * headDim]`.
 * For inference only; `attention` in `nn/` is the same computation with gradients.
 */
export function groupedQueryAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  cache: KeyValueCache,
  attributes: { readonly heads: number; readonly keyValueHeads: number; readonly scale: number },
): { output: Tensor; cache: KeyValueCache } {
  const inputs = [query, key, value, cache.key, cache.value];
  const [output, presentKey, presentValue] = applyAll('groupedQueryAttention', attributes, inputs);
  return { output: output!, cache: { key: presentKey!, value: presentValue! } };
}
