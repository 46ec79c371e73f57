/** Cases of convolutions, resizing, rotation, attention and control flow. */
import {
  add,
  cond,
  conv2d,
  convTranspose2d,
  greater,
  groupedQueryAttention,
  loop,
  multiply,
  packedAttention,
  reduceSum,
  resizeBilinear,
  resizeNearest,
  rotaryEmbedding,
} from '../../../src/tensor/index.ts';
import {
  type Feed,
  float,
  type GradientClaim,
  integers,
  type OperatorCase,
  type OperatorCases,
  operatorCase,
} from './case.ts';

const sizes = { n: 3, m: 2, past: 4 };
const checked: GradientClaim = 'checked';

/** A table of cosines and sines holds any numbers here: the rotation does not ask where they come from. */
function rotation(
  name: string,
  heads: number,
  headDim: number,
  tokens: number | string,
  positions: number,
  more: Partial<OperatorCase> = {},
) {
  const table: Feed = float([positions, headDim / 2], -1, 1);
  return operatorCase(
    `${name}: ${heads} heads of ${headDim}`,
    [float([2, tokens, heads * headDim]), table, table, integers([2, tokens], 0, positions - 1)],
    (x, cosine, sine, places) => rotaryEmbedding(x!, cosine!, sine!, places!, heads),
    [2, tokens, heads * headDim],
    // Feeds 1 and 2 are tables; they have no gradient.
    { kinks: [1, 2], ...more },
  );
}

function attention(
  name: string,
  batch: number,
  heads: number,
  keyValueHeads: number,
  headDim: number,
  past: number,
  tokens: number,
) {
  const cache = float([batch, keyValueHeads, past, headDim]);
  const grown = [batch, keyValueHeads, past + tokens, headDim];
  const fresh = float([batch, tokens, keyValueHeads * headDim]);
  return operatorCase(
    `${name}: batch ${batch}, heads ${heads}/${keyValueHeads} of ${headDim}, past ${past}, new ${tokens}`,
    [float([batch, tokens, heads * headDim]), fresh, fresh, cache, cache],
    (query, key, value, pastKey, pastValue) => {
      const scale = 1 / Math.sqrt(headDim);
      const result = groupedQueryAttention(
        query!,
        key!,
        value!,
        { key: pastKey!, value: pastValue! },
        { heads, keyValueHeads, scale },
      );
      return [result.output, result.cache.key, result.cache.value];
    },
    [[batch, tokens, heads * headDim], grown, grown],
  );
}

function packed(
  name: string,
  batch: number,
  heads: number,
  keyValueHeads: number,
  headDim: number,
  past: number,
  tokens: number,
) {
  const cache = float([batch, keyValueHeads, past, headDim]);
  const grown = [batch, keyValueHeads, past + tokens, headDim];
  const table = float([past + tokens + 2, headDim / 2]);
  return operatorCase(
    `${name}: batch ${batch}, heads ${heads}/${keyValueHeads} of ${headDim}, past ${past}, new ${tokens}`,
    [float([batch, tokens, (heads + 2 * keyValueHeads) * headDim]), table, table, cache, cache],
    (states, cosine, sine, pastKey, pastValue) => {
      const attributes = { heads, keyValueHeads, scale: 1 / Math.sqrt(headDim) };
      const result = packedAttention(states!, cosine!, sine!, { key: pastKey!, value: pastValue! }, attributes);
      return [result.output, result.cache.key, result.cache.value];
    },
    [[batch, tokens, heads * headDim], grown, grown],
  );
}

export const spatialCases = {
  conv2d: {
    gradient: checked,
    cases: [
      operatorCase(
        '3 × 3 with bias',
        [float([2, 2, 4, 5]), float([3, 2, 3, 3]), float([3])],
        (x, w, b) => conv2d(x!, w!, b!, { padding: 1 }),
        [2, 3, 4, 5],
      ),
      operatorCase(
        'stride 2, padding 0, 0, 1, 1',
        [float([1, 2, 4, 6]), float([2, 2, 3, 3])],
        (x, w) => conv2d(x!, w!, undefined, { stride: 2, padding: [0, 0, 1, 1] }),
        [1, 2, 2, 3],
      ),
      operatorCase(
        'stride 2 that leaves rows out',
        [float([1, 1, 6, 5]), float([2, 1, 3, 2])],
        (x, w) => conv2d(x!, w!, undefined, { stride: [2, 3] }),
        [1, 2, 2, 2],
      ),
      operatorCase(
        'dilation',
        [float([1, 2, 6, 5]), float([1, 2, 2, 2])],
        (x, w) => conv2d(x!, w!, undefined, { dilation: [3, 2], padding: [1, 0] }),
        [1, 1, 5, 3],
      ),
      operatorCase(
        'stride, dilation and uneven padding',
        [float([2, 1, 5, 6]), float([2, 1, 2, 3])],
        (x, w) => conv2d(x!, w!, undefined, { stride: [2, 1], dilation: [1, 2], padding: [1, 2, 0, 1] }),
        [2, 2, 3, 5],
      ),
      operatorCase(
        '1 × 1',
        [float([2, 3, 2, 2]), float([4, 3, 1, 1]), float([4])],
        (x, w, b) => conv2d(x!, w!, b!),
        [2, 4, 2, 2],
      ),
      operatorCase(
        'patches',
        [float([1, 3, 4, 4]), float([2, 3, 2, 2])],
        (x, w) => conv2d(x!, w!, undefined, { stride: 2 }),
        [1, 2, 2, 2],
      ),
      operatorCase(
        'named batch',
        [float(['n', 1, 3, 3]), float([2, 1, 2, 2]), float([2])],
        (x, w, b) => conv2d(x!, w!, b!),
        ['n', 2, 2, 2],
        { sizes },
      ),
      operatorCase(
        'named picture',
        [float([1, 1, 'n', 'm']), float([1, 1, 3, 3])],
        (x, w) => conv2d(x!, w!, undefined, { padding: 1 }),
        [1, 1, 'n', 'm'],
        { sizes, kinks: [0, 1] },
      ),
    ],
  },
  convTranspose2d: {
    gradient: checked,
    cases: [
      operatorCase(
        'plain',
        [float([2, 2, 3, 2]), float([2, 3, 2, 3])],
        (x, w) => convTranspose2d(x!, w!),
        [2, 3, 4, 4],
      ),
      operatorCase(
        'stride 2, output padding',
        [float([1, 2, 2, 3]), float([2, 1, 3, 3])],
        (x, w) => convTranspose2d(x!, w!, { stride: 2, padding: 1, outputPadding: 1 }),
        [1, 1, 4, 6],
      ),
      operatorCase(
        'uneven padding and stride',
        [float([1, 1, 3, 2]), float([1, 2, 3, 2])],
        (x, w) => convTranspose2d(x!, w!, { stride: [2, 3], padding: [0, 1, 2, 0], outputPadding: [1, 2] }),
        [1, 2, 6, 6],
      ),
      operatorCase(
        'dilation, named batch',
        [float(['n', 1, 2, 2]), float([1, 2, 2, 2])],
        (x, w) => convTranspose2d(x!, w!, { dilation: [2, 3], padding: 1 }),
        ['n', 2, 2, 3],
        { sizes },
      ),
    ],
  },
  resizeNearest: {
    gradient: checked,
    cases: [
      operatorCase('twice', [float([2, 2, 3, 2])], (x) => resizeNearest(x, 2), [2, 2, 6, 4]),
      operatorCase('three times, named batch', [float(['n', 1, 1, 2])], (x) => resizeNearest(x, 3), ['n', 1, 3, 6], {
        sizes,
      }),
    ],
  },
  resizeBilinear: {
    gradient: checked,
    cases: [
      operatorCase('larger', [float([1, 2, 3, 4])], (x) => resizeBilinear(x, 5, 7), [1, 2, 5, 7]),
      operatorCase('smaller', [float([2, 1, 6, 5])], (x) => resizeBilinear(x, 2, 3), [2, 1, 2, 3]),
      operatorCase('from one pixel', [float([1, 1, 1, 1])], (x) => resizeBilinear(x, 3, 2), [1, 1, 3, 2]),
      operatorCase('the same size', [float([1, 1, 3, 4])], (x) => resizeBilinear(x, 3, 4), [1, 1, 3, 4]),
      operatorCase(
        'named batch and channels',
        [float(['n', 'm', 4, 4])],
        (x) => resizeBilinear(x, 8, 3),
        ['n', 'm', 8, 3],
        { sizes },
      ),
    ],
  },
  rotaryEmbedding: {
    gradient: checked,
    cases: [
      rotation('even', 2, 8, 3, 5),
      rotation('odd heads', 3, 6, 4, 6),
      rotation('a small head', 1, 2, 3, 4),
      rotation('odd pairs', 2, 20, 2, 3),
      rotation('named', 2, 4, 'n', 5, { sizes }),
      rotation('fewer rows than tokens', 1, 4, 5, 2),
    ],
  },
  groupedQueryAttention: {
    gradient: { refused: /groupedQueryAttention: has no gradient: .*attention in nn/ },
    cases: [
      attention('first prompt', 1, 2, 2, 8, 0, 3),
      attention('first prompt', 2, 4, 2, 16, 0, 5),
      attention('first prompt, one key head', 2, 3, 1, 8, 0, 2),
      attention('one token', 2, 4, 2, 8, 3, 1),
      attention('one token on an empty cache', 2, 4, 2, 8, 0, 1),
      attention('more prompt', 1, 2, 1, 8, 3, 4),
      attention('more prompt', 2, 2, 1, 8, 3, 4),
      attention('a head of 6', 2, 4, 2, 6, 0, 3),
      attention('a head of 6, one token', 2, 4, 2, 6, 3, 1),
      attention('a head of 20', 1, 6, 2, 20, 0, 4),
      attention('a head of 20, one token', 2, 6, 2, 20, 5, 1),
      attention('a head of 3', 1, 1, 1, 3, 2, 2),
      attention('a head of 6, more prompt', 3, 2, 1, 6, 2, 3),
    ],
  },
  packedAttention: {
    gradient: { refused: /packedAttention: has no gradient: .*attention in nn/ },
    cases: [
      packed('first prompt', 2, 4, 2, 16, 0, 5),
      packed('one token', 2, 4, 2, 32, 3, 1),
      packed('one key head', 1, 3, 1, 16, 2, 3),
    ],
  },
  loop: {
    gradient: { refused: /loop: has no gradient: unroll/ },
    cases: [
      operatorCase(
        'sums and stacks',
        [float(['n', 2])],
        (x) => {
          const { states, stacked } = loop({ turns: 3, states: [{ name: 'sum', initial: x }] }, (_turn, sum) => {
            const next = multiply(add(sum!, x), 0.5);
            return { states: [next], stacked: [reduceSum(next, { axes: [0] })] };
          });
          return [states[0]!, stacked[0]!];
        },
        [
          ['n', 2],
          [3, 2],
        ],
        { sizes },
      ),
    ],
  },
  cond: {
    gradient: { refused: /cond: has no gradient: .*where/ },
    cases: [
      operatorCase(
        'one of two',
        [float(['n', 2])],
        (x) => cond(greater(reduceSum(x), 0), { whenTrue: () => [multiply(x, 2)], whenFalse: () => [add(x, 1)] }),
        ['n', 2],
        { sizes },
      ),
    ],
  },
} satisfies Record<string, OperatorCases>;
