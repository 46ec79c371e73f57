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
 * `groupedQueryAttention` of queries, keys and values that lie behind one another, with rotary positions inside the kernel:
 * fewer and larger operators for the same numbers. `packed [batch, seq, (heads + 2 * keyValueHeads) * headDim]`; a token's
 * position is its place in the cache, a row of the tables `[positions, headDim / 2]`. `headDim` is a multiple of 16, and
 * several rows may go on with one token at a time only: so says the kernel (ONNX Runtime 1.30).
 */
export function packedAttention(
  packed: Tensor,
  cosine: Tensor,
  sine: Tensor,
  cache: KeyValueCache,
  attributes: { readonly heads: number; readonly keyValueHeads: number; readonly scale: number },
): { output: Tensor; cache: KeyValueCache } {
  const inputs = [packed, cosine, sine, cache.key, cache.value];
  const [output, presentKey, presentValue] = applyAll('packedAttention', attributes, inputs);
  return { output: output!, cache: { key: presentKey!, value: presentValue! } };
}

/** Whether `packedAttention` takes heads of this size. */
export function canPackHeads(headDim: number): boolean {
  return headDim % 16 === 0;
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
