/** The shape rules of rotary positions and cached attention. */
import { addDims, type Dim, formatShape, sameShape } from './dimension.ts';
import type { OperatorAttributes, TensorType } from './operators.ts';
import {
  fail,
  fixed,
  type Inputs,
  replaceDim,
  requireCount,
  requireDim,
  requireFloating,
  requireRank,
  requireSameDType,
} from './shape-checks.ts';

type AttentionOperator = 'rotaryEmbedding' | 'groupedQueryAttention' | 'packedAttention';

/** Keys and values of earlier tokens are the last two inputs of either attention. */
function requireCaches(operator: string, keyValueHeads: number, inputs: Inputs): void {
  const [pastKey, pastValue] = inputs.slice(3) as [TensorType, TensorType];
  requireRank(operator, pastKey, 4, 'a cache [batch, keyValueHeads, past, headDim]');
  requireDim(operator, 'heads of the cache', keyValueHeads, pastKey.shape[1]!, inputs);
  if (!sameShape(pastKey.shape, pastValue.shape)) fail(operator, 'the caches differ in shape', inputs);
}

export const attentionShapeRules: {
  readonly [K in AttentionOperator]: (attributes: OperatorAttributes[K], inputs: Inputs) => readonly TensorType[];
} = {
  rotaryEmbedding: ({ heads }, inputs) => {
    const operator = 'rotaryEmbedding';
    requireCount(operator, inputs, 4);
    const [x, cosine, sine, positions] = inputs as [TensorType, TensorType, TensorType, TensorType];
    requireFloating(operator, [x]);
    requireSameDType(operator, [x, cosine, sine]);
    requireRank(operator, x, 3, '[batch, seq, heads * headDim]');
    requireRank(operator, cosine, 2, 'a cosine table [positions, headDim / 2]');
    if (!sameShape(cosine.shape, sine.shape)) fail(operator, 'cosine and sine tables differ in shape', inputs);
    if (positions.dtype !== 'int64') fail(operator, 'needs int64 positions', inputs);
    if (!sameShape(positions.shape, x.shape.slice(0, 2))) {
      fail(operator, `positions must be ${formatShape(x.shape.slice(0, 2))}`, inputs);
    }
    const half = fixed(operator, 'half of headDim', cosine.shape[1]!, inputs);
    requireDim(operator, 'heads * headDim', heads * half * 2, x.shape[2]!, inputs);
    return [{ dtype: x.dtype, shape: x.shape }];
  },
  groupedQueryAttention: ({ heads, keyValueHeads }, inputs) => {
    const operator = 'groupedQueryAttention';
    requireCount(operator, inputs, 5);
    const dtype = requireSameDType(operator, inputs);
    const [query, key, value, pastKey] = inputs as [TensorType, TensorType, TensorType, TensorType];
    for (const input of [query, key, value]) requireRank(operator, input, 3, '[batch, seq, heads * headDim]');
    requireCaches(operator, keyValueHeads, inputs);
    for (const input of inputs) requireDim(operator, 'batch', query.shape[0]!, input.shape[0]!, inputs);
    for (const input of [key, value]) requireDim(operator, 'new tokens', query.shape[1]!, input.shape[1]!, inputs);
    const headDim = fixed(operator, 'headDim', pastKey.shape[3]!, inputs);
    requireDim(operator, 'heads * headDim of query', heads * headDim, query.shape[2]!, inputs);
    requireDim(operator, 'keyValueHeads * headDim of key', keyValueHeads * headDim, key.shape[2]!, inputs);
    requireDim(operator, 'keyValueHeads * headDim of value', keyValueHeads * headDim, value.shape[2]!, inputs);
    if (heads % keyValueHeads !== 0) fail(operator, `${heads} heads over ${keyValueHeads} key-value heads`, inputs);
    const total = addDims(pastKey.shape[2]!, key.shape[1]!);
    const present = { dtype, shape: replaceDim(pastKey.shape, 2, total) };
    return [{ dtype, shape: query.shape }, present, present];
  },
  packedAttention: ({ heads, keyValueHeads }, inputs) => {
    const operator = 'packedAttention';
    requireCount(operator, inputs, 5);
    const dtype = requireSameDType(operator, inputs);
    const [packed, cosine, sine, pastKey] = inputs as [TensorType, TensorType, TensorType, TensorType];
    requireRank(operator, packed, 3, '[batch, seq, (heads + 2 * keyValueHeads) * headDim]');
    requireCaches(operator, keyValueHeads, inputs);
    requireDim(operator, 'batch', packed.shape[0]!, pastKey.shape[0]!, inputs);
    if (heads % keyValueHeads !== 0) fail(operator, `${heads} heads over ${keyValueHeads} key-value heads`, inputs);
    requireRank(operator, cosine, 2, 'a cosine table [positions, headDim / 2]');
    if (!sameShape(cosine.shape, sine.shape)) fail(operator, 'cosine and sine tables differ in shape', inputs);
    const headDim = fixed(operator, 'headDim', pastKey.shape[3]!, inputs);
    if (headDim % 16 !== 0) fail(operator, `headDim must be a multiple of 16, got ${headDim}`, inputs);
    requireDim(operator, 'width of packed', (heads + 2 * keyValueHeads) * headDim, packed.shape[2]!, inputs);
    requireDim(operator, 'half of headDim', headDim / 2, cosine.shape[1]!, inputs);
    const [batch, seq] = packed.shape as [Dim, Dim];
    const present = { dtype, shape: replaceDim(pastKey.shape, 2, addDims(pastKey.shape[2]!, seq)) };
    return [{ dtype, shape: [batch, seq, heads * headDim] }, present, present];
  },
};
