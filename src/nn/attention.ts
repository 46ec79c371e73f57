/**
 * Scaled dot-product attention with grouped key-value heads (Ainslie et al. 2023). One function serves training, encoders
 * and cached decoding: with a cache it becomes ONNX Runtime's single kernel, without one it is written out and has gradients.
 */
import {
  add,
  and,
  arange,
  type Dim,
  divide,
  greater,
  groupedQueryAttention,
  hyperbolicTangent,
  type KeyValueCache,
  lessOrEqual,
  matmul,
  multiply,
  reshape,
  scalar,
  softmax,
  subtract,
  type Tensor,
  transpose,
  unsqueeze,
  where,
} from '../tensor/index.ts';

export interface AttentionShape {
  readonly heads: number;
  /** Divides `heads`. */
  readonly keyValueHeads: number;
  readonly headDim: number;
}

/** How scores are made of queries and keys. */
export interface ScoreOptions {
  /** What their products are multiplied by. Default: 1 / √headDim. */
  readonly scale?: number;
  /** Scores become `softCap · tanh(score / softCap)`, before the mask (Gemma Team 2024). Default: they stay as they are. */
  readonly softCap?: number | undefined;
}

/** Which keys a query sees: those of the cache and those up to itself, or what an additive mask leaves. */
export type Visibility =
  | { readonly cache: KeyValueCache }
  /** Broadcasts to `[batch, heads, seq, keys]`: 0 where a key is seen, `maskedScore` where not. */
  | ({ readonly mask: Tensor | undefined } & ScoreOptions);

/**
 * `query [batch, seq, heads * headDim]`, `key` and `value [batch, keys, keyValueHeads * headDim]`; the output has
 * query's shape. With a cache, attention is causal and the grown cache is returned.
 */
export function attention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  { heads, keyValueHeads, headDim }: AttentionShape,
  visibility: Visibility,
): { output: Tensor; cache?: KeyValueCache } {
  const usualScale = 1 / Math.sqrt(headDim);
  if ('cache' in visibility) {
    return groupedQueryAttention(query, key, value, visibility.cache, { heads, keyValueHeads, scale: usualScale });
  }
  const { mask, scale = usualScale, softCap } = visibility;
  const [batch, seq] = query.shape as [Dim, Dim];
  const keys = key.shape[1]!;
  const group = heads / keyValueHeads;
  // Queries that share a key head stand in one matrix, so that keys and values need not be repeated.
  const split = reshape(multiply(query, scale), [batch, seq, keyValueHeads, group, headDim]);
  const rows = reshape(transpose(split, [0, 2, 3, 1, 4]), [batch, keyValueHeads, -1, headDim]);
  const columns = transpose(reshape(key, [batch, keys, keyValueHeads, headDim]), [0, 2, 1, 3]);
  const values = transpose(reshape(value, [batch, keys, keyValueHeads, headDim]), [0, 2, 1, 3]);
  const scores = reshape(matmul(rows, columns, { transposeB: true }), [batch, heads, seq, keys]);
  const capped = softCap === undefined ? scores : multiply(hyperbolicTangent(divide(scores, softCap)), softCap);
  const weights = softmax(mask ? add(capped, mask) : capped);
  const mixed = matmul(reshape(weights, [batch, keyValueHeads, rows.shape[2]!, keys]), values);
  const separated = transpose(reshape(mixed, [batch, keyValueHeads, group, seq, headDim]), [0, 3, 1, 2, 4]);
  return { output: reshape(separated, query.shape) };
}

/** Low enough to vanish in a softmax, high enough that sums of two stay finite. */
export const maskedScore = -1e30;

export interface CausalMaskOptions {
  /** A query sees at most so many keys, itself and those right before it. Default: all up to itself. */
  readonly window?: number | undefined;
  /** `[batch, seq]` bool: the keys that may be seen, where some are padding. Default: all. */
  readonly present?: Tensor | undefined;
}

/**
 * 0 where key ≤ query and the options let it be seen, else `maskedScore`: `[seq, seq]`, with `present`
 * `[batch, 1, seq, seq]`. A query that sees nothing weighs all keys alike, since `maskedScore` swallows their scores.
 */
export function causalMask(seq: Dim, { window, present }: CausalMaskOptions = {}): Tensor {
  const positions = arange(seq);
  const [keys, queries] = [unsqueeze(positions, 0), unsqueeze(positions, 1)];
  const causal = lessOrEqual(keys, queries);
  const near = window === undefined ? causal : and(causal, greater(keys, subtract(queries, window)));
  const visible = present ? and(near, unsqueeze(unsqueeze(present, 1), 1)) : near;
  return where(visible, scalar('float32', 0), maskedScore);
}
