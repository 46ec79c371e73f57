/** What products, movements, pictures, attention and control flow refuse. */
import * as t from '../../../src/tensor/index.ts';
import {
  bool,
  double,
  floatingOnly,
  indices,
  kernel,
  type Misuse,
  named,
  oneAxis,
  open,
  picture,
  scalar,
  truth,
  vector,
  whole,
  x,
  y,
} from './fixtures.ts';

const cache = (heads: number) => t.input('cache', 'float32', [1, heads, 4, 8]);
const states = (width: number, tokens: t.Dim = 2) => t.input('states', 'float32', [1, tokens, width]);
const attend = (query: t.Tensor, key: t.Tensor, value: t.Tensor, past: t.Tensor, heads = 2, keyValueHeads = 1) =>
  t.groupedQueryAttention(query, key, value, { key: past, value: past }, { heads, keyValueHeads, scale: 1 });
const table = t.input('table', 'float32', [5, 4]);
const places = t.input('places', 'int64', [1, 2]);

const packedHeads = { heads: 2, keyValueHeads: 1, scale: 1 };
const wideCache = t.input('cache', 'float32', [1, 1, 4, 16]);
const wideTable = t.input('table', 'float32', [5, 8]);

export const structureMisuses = {
  matmul: [
    [
      'inner sizes',
      () => t.matmul(x, y),
      'matmul: inner size: expected 3, got 4; got x: float32[2, 3], y: float32[4, 3]',
    ],
    [
      'inner sizes, transposed',
      () => t.matmul(x, y, { transposeA: true, transposeB: true }),
      'matmul: inner size: expected 2, got 3',
    ],
    [
      'a vector',
      () => t.matmul(x, vector),
      'matmul: needs at least two axes on both sides; got x: float32[2, 3], vector: float32[3]',
    ],
    [
      'batches',
      () => t.matmul(t.full('float32', [2, 1, 1], 0), t.full('float32', [3, 1, 1], 0)),
      'matmul: shapes [2] and [3] do not broadcast',
    ],
    ['two element types', () => t.matmul(x, double, { transposeB: true }), 'matmul: needs tensors of one element type'],
  ],
  reshape: [
    [
      'another count',
      () => t.reshape(x, [4, 2]),
      'reshape: elements of [4, 2]: expected 6, got 8; got x: float32[2, 3]',
    ],
    ['another named count', () => t.reshape(named, ['batch', 4]), 'expected 3*batch, got 4*batch'],
    ['two open sizes', () => t.reshape(x, [-1, -1]), 'reshape: cannot fill −1 in [-1, -1] from x: float32[2, 3]'],
    ['an open size that does not divide', () => t.reshape(x, [4, -1]), 'reshape: cannot fill −1 in [4, -1]'],
    [
      'an open size beside 0',
      () => t.reshape(t.full('float32', [0, 5], 0), [0, -1]),
      'reshape: cannot fill −1 in [0, -1]',
    ],
    [
      'sizes below 0 that multiply to the count',
      () => t.reshape(x, [-2, -3]),
      'reshape: axis 0 of [-2, -3] has size -2',
    ],
    ['squeezing a size', () => t.squeeze(x, 1), 'squeeze: axis 1 of x: float32[2, 3] has not size 1'],
    ['a place for a new axis', () => t.unsqueeze(x, 4), 'unsqueeze: x: float32[2, 3] cannot get an axis 4'],
  ],
  transpose: [
    [
      'an axis twice',
      () => t.transpose(x, [1, 1]),
      'transpose: [1, 1] is not an order of the axes; got x: float32[2, 3]',
    ],
    ['too few axes', () => t.transpose(x, [0]), 'transpose: [0] is not an order of the axes'],
  ],
  slice: [
    [
      'beyond the end',
      () => t.slice(x, 1, 1, 5),
      'slice: axis 1 has 3 elements, asked for 4 from 1 by 1; got x: float32[2, 3]',
    ],
    ['a start beyond the end', () => t.slice(x, 1, 5, 5), 'slice: axis 1 has 3 elements, asked for 0 from 5'],
    ['an end before the start', () => t.slice(x, 1, 2, 1), 'slice: end 1 lies before start 2'],
    ['far before the start', () => t.slice(x, 1, -4), 'slice: start -1 is below 0'],
    ['an axis that is not there', () => t.slice(x, 2, 0), 'slice: axis 2 is not one of x: float32[2, 3]'],
    ['step 0', () => t.slice(x, 1, 0, 3, 0), 'slice: step must be a positive whole number, got 0'],
    [
      'a step over an odd named size',
      () => t.slice(named, 0, 0, undefined, 2),
      'slice: step 2 over a named size batch',
    ],
    [
      'parts that do not add up',
      () => t.split(x, 1, [1, 1]),
      'split: sizes [1, 1] add up to 2, axis 1 of x: float32[2, 3] does not',
    ],
  ],
  concat: [
    [
      'another shape',
      () => t.concat([x, t.full('float32', [2, 4], 0), vector], 1),
      'concat: shapes may differ only on axis 1; got x: float32[2, 3]',
    ],
    [
      'another size beside',
      () => t.concat([x, y], 1),
      'concat: shapes may differ only on axis 1; got x: float32[2, 3], y: float32[4, 3]',
    ],
    ['nothing', () => t.concat([], 0), 'concat: needs at least one tensor'],
    ['two element types', () => t.concat([x, double], 0), 'concat: needs tensors of one element type'],
    ['an axis that is not there', () => t.concat([x, x], 2), 'concat: axis 2: expected -2..1'],
  ],
  pad: [
    [
      'too few amounts',
      () => t.pad(x, [1], [0]),
      'pad: needs 2 amounts before and after, one an axis; got x: float32[2, 3]',
    ],
    ['too few amounts of 0', () => t.pad(x, [0], [0]), 'pad: needs 2 amounts before and after'],
    [
      'amounts below 0',
      () => t.pad(x, [0, -1], [0, 0]),
      'pad: amounts must be whole numbers of at least 0: 0,-1 and 0,0',
    ],
  ],
  expand: [
    ['another size', () => t.expand(x, [2, 4]), 'expand: shapes [2, 3] and [2, 4] do not broadcast: axis 1'],
    ['fewer axes', () => t.expand(x, [3]), 'expand: cannot repeat to [3]; got x: float32[2, 3]'],
    ['a size below 0', () => t.full('float32', [-1], 0), 'full: axis 0 of [-1] has size -1'],
  ],
  gather: [
    [
      'floating-point indices',
      () => t.gather(x, vector),
      'gather: needs int64 or int32 indices; got x: float32[2, 3], vector: float32[3]',
    ],
    ...oneAxis('gather', (a, axis) => t.gather(a, indices, axis)),
  ],
  gatherElements: [
    ['another rank', () => t.gatherElements(x, indices, 0), 'gatherElements: rank of indices: expected 2, got 1'],
    ['floating-point indices', () => t.gatherElements(x, x, 0), 'gatherElements: needs int64 or int32 indices'],
  ],
  scatterElements: [
    [
      'updates of another shape',
      () => t.scatterElements(x, whole, y, 0),
      'scatterElements: indices and updates differ in shape; got x',
    ],
    [
      'updates of another type',
      () => t.scatterElements(x, whole, double, 0),
      'scatterElements: needs tensors of one element type',
    ],
    [
      'another rank',
      () => t.scatterElements(x, indices, t.full('float32', [2], 0), 0),
      'scatterElements: rank of indices: expected 2, got 1',
    ],
  ],
  indexAdd: [
    [
      'indices of two axes',
      () => t.indexAdd(x, whole, x),
      'indexAdd: needs indices of one axis; got whole: int64[2, 3]',
    ],
    [
      'updates of another shape',
      () => t.indexAdd(x, indices, y),
      "indexAdd: updates must have base's shape with 2 on axis 0; got x",
    ],
  ],
  oneHot: [
    ['floating-point indices', () => t.oneHot(x, 3), 'oneHot: needs int64 or int32 indices; got x: float32[2, 3]'],
    ['no depth', () => t.oneHot(whole, 0), 'oneHot: depth must be 1, 2, …, got 0'],
  ],
  topK: [
    ['too many', () => t.topK(x, 4), 'topK: k must be in 1..3, got 4; got x: float32[2, 3]'],
    ['none', () => t.topK(x, 0), 'topK: k must be in 1..3, got 0'],
    ['none of a named size', () => t.topK(named, 0, { axis: 0 }), 'topK: k must be in 1..batch, got 0'],
    [
      'k of another type',
      () => t.topK(x, vector),
      'topK: k that is known at run time must be int64[1]; got x: float32[2, 3], vector: float32[3]',
    ],
  ],
  conv2d: [
    [
      'channels',
      () => t.conv2d(picture, t.full('float32', [5, 3, 3, 3], 0)),
      'conv2d: input channels: expected 3, got 2; got picture: float32[1, 2, 4, 4]',
    ],
    ['three axes', () => t.conv2d(x, kernel), 'conv2d: needs [batch, channels, height, width]; got x: float32[2, 3]'],
    [
      'a weight of two axes',
      () => t.conv2d(picture, x),
      'conv2d: needs a weight [outChannels, inChannels, kernelHeight, kernelWidth]; got x',
    ],
    ['bias', () => t.conv2d(picture, kernel, vector), 'conv2d: size of bias: expected 5, got 3'],
    ['a bias with two axes', () => t.conv2d(picture, kernel, x), 'conv2d: needs a bias [outChannels]; got x'],
    [
      'stride 0',
      () => t.conv2d(picture, kernel, undefined, { stride: 0 }),
      'conv2d: stride must be whole numbers of at least 1, got 0, 0',
    ],
    [
      'padding below 0',
      () => t.conv2d(picture, kernel, undefined, { padding: -1 }),
      'conv2d: padding must be whole numbers of at least 0',
    ],
    [
      'a kernel larger than the picture',
      () => t.conv2d(picture, kernel, undefined, { dilation: 2 }),
      'conv2d: a kernel of 3 by dilation 2 does not fit into 4 and padding 0',
    ],
    [
      'stride over an open size',
      () => t.conv2d(open, kernel, undefined, { stride: 2 }),
      'conv2d: stride 2 needs a fixed picture size, got height',
    ],
  ],
  convTranspose2d: [
    ['channels', () => t.convTranspose2d(picture, kernel), 'convTranspose2d: input channels: expected 5, got 2'],
    [
      'an open size',
      () => t.convTranspose2d(open, t.full('float32', [2, 1, 3, 3], 0)),
      'convTranspose2d: picture size must be a fixed size, got height',
    ],
    [
      'output padding',
      () => t.convTranspose2d(picture, t.full('float32', [2, 1, 3, 3], 0), { outputPadding: 1 }),
      'convTranspose2d: outputPadding 1, 1 must be below stride 1, 1',
    ],
    [
      'too much padding',
      () => t.convTranspose2d(picture, t.full('float32', [2, 1, 1, 1], 0), { padding: 2 }),
      'convTranspose2d: padding 2, 2, 2, 2 leaves nothing of 4',
    ],
  ],
  groupNorm: [
    [
      'groups',
      () => t.groupNorm(picture, indices, indices, 3, 1e-6),
      'groupNorm: 2 channels do not divide into 3 groups; got picture',
    ],
    [
      'scale',
      () => t.groupNorm(picture, vector, vector, 2, 1e-6),
      'groupNorm: size of scale and bias: expected 2, got 3',
    ],
  ],
  layerNorm: [
    [
      'scale',
      () => t.layerNorm(t.full('float32', [2, 4], 0), vector, undefined, 1e-6),
      'layerNorm: size of scale and bias: expected 4, got 3',
    ],
    [
      'no axes',
      () => t.layerNorm(scalar, vector, undefined, 1e-6),
      'layerNorm: needs at least one axis; got scalar: float32[]',
    ],
  ],
  rmsNorm: [
    [
      'a scale of two axes',
      () => t.rmsNorm(x, x, 1e-6),
      'rmsNorm: needs scale and bias of one axis; got x: float32[2, 3]',
    ],
    ...floatingOnly('rmsNorm', (a) => t.rmsNorm(a, a, 1e-6)).map(
      ([what, build]) => [what, build, 'rmsNorm: needs floating-point tensors'] as const,
    ),
  ],
  resizeNearest: [
    ['a fraction', () => t.resizeNearest(picture, 1.5), 'resizeNearest: scale must be 1, 2, …, got 1.5'],
    ['an open size', () => t.resizeNearest(open, 2), 'resizeNearest: height must be a fixed size, got height'],
  ],
  resizeBilinear: [
    [
      'no height',
      () => t.resizeBilinear(picture, 0, 4),
      'resizeBilinear: height and width must be whole numbers of at least 1, got 0, 4',
    ],
    ['an open size', () => t.resizeBilinear(open, 2, 2), 'resizeBilinear: height must be a fixed size, got height'],
  ],
  rotaryEmbedding: [
    [
      'width',
      () => t.rotaryEmbedding(states(12), table, table, places, 2),
      'rotaryEmbedding: heads * headDim: expected 16, got 12',
    ],
    [
      'positions',
      () => t.rotaryEmbedding(states(16, 3), table, table, places, 2),
      'rotaryEmbedding: positions must be [1, 3]; got',
    ],
    [
      'tables',
      () => t.rotaryEmbedding(states(16), table, x, places, 2),
      'rotaryEmbedding: cosine and sine tables differ in shape',
    ],
    [
      'element types',
      () => t.rotaryEmbedding(t.cast(states(16), 'float64'), table, table, places, 2),
      'rotaryEmbedding: needs tensors of one element type',
    ],
  ],
  groupedQueryAttention: [
    [
      'heads of the cache',
      () => attend(states(16), states(8), states(8), cache(2)),
      'groupedQueryAttention: heads of the cache: expected 1, got 2',
    ],
    [
      'query',
      () => attend(states(12), states(8), states(8), cache(1)),
      'groupedQueryAttention: heads * headDim of query: expected 16, got 12',
    ],
    [
      'value',
      () => attend(states(16), states(8), states(12), cache(1)),
      'keyValueHeads * headDim of value: expected 8, got 12',
    ],
    [
      'new tokens',
      () => attend(states(16), states(8, 3), states(8, 3), cache(1)),
      'groupedQueryAttention: new tokens: expected 2, got 3',
    ],
    [
      'heads that do not share evenly',
      () => attend(states(24), states(16), states(16), cache(2), 3, 2),
      'groupedQueryAttention: 3 heads over 2 key-value heads',
    ],
  ],
  packedAttention: [
    [
      'heads that are no multiple of 16',
      () => t.packedAttention(states(32), table, table, { key: cache(1), value: cache(1) }, packedHeads),
      'packedAttention: headDim must be a multiple of 16, got 8',
    ],
    [
      'a width without keys and values',
      () => t.packedAttention(states(32), wideTable, wideTable, { key: wideCache, value: wideCache }, packedHeads),
      'packedAttention: width of packed: expected 64, got 32',
    ],
    [
      'tables of another head',
      () => t.packedAttention(states(64), table, table, { key: wideCache, value: wideCache }, packedHeads),
      'packedAttention: half of headDim: expected 8, got 4',
    ],
    [
      'two tables',
      () => t.packedAttention(states(64), wideTable, table, { key: wideCache, value: wideCache }, packedHeads),
      'packedAttention: cosine and sine tables differ in shape',
    ],
    [
      'caches of another number of heads',
      () => t.packedAttention(states(64), wideTable, wideTable, { key: cache(2), value: cache(2) }, packedHeads),
      'packedAttention: heads of the cache: expected 1, got 2',
    ],
    [
      'caches of two lengths',
      () => t.packedAttention(states(64), wideTable, wideTable, { key: wideCache, value: cache(1) }, packedHeads),
      'packedAttention: the caches differ in shape',
    ],
  ],
  loop: [
    [
      'turns of another type',
      () => t.loop({ turns: scalar, states: [] }, () => ({ states: [] })),
      'loop: turns must be an int64 scalar, got scalar: float32[]',
    ],
    [
      'too few states',
      () => t.loop({ turns: 2, states: [{ name: 's', initial: x }] }, () => ({ states: [] })),
      'loop: the body gives 0 states, expected 1',
    ],
    [
      'a state of another type',
      () => t.loop({ turns: 2, states: [{ name: 's', initial: x }] }, () => ({ states: [whole] })),
      'loop: state s is s: float32[2, 3] before a turn and whole: int64[2, 3] after it',
    ],
    [
      'a size that changes without a name',
      () => t.loop({ turns: 2, states: [{ name: 's', initial: x }] }, (_, s) => ({ states: [t.concat([s!, s!], 0)] })),
      'loop: axis 0 of state s is 2 before a turn, 4 after',
    ],
    [
      'another number inside',
      () => t.loop({ turns: 2, states: [{ name: 's', initial: x, shape: [4, 3] }] }, (_, s) => ({ states: [s!] })),
      'loop: state s is [4, 3] inside but starts as x: float32[2, 3]',
    ],
    [
      'stacks of an unknown number',
      () => t.loop({ turns: t.dimension('n'), states: [] }, () => ({ states: [], stacked: [x] })),
      'loop: stackedSize is needed where the number of turns is not fixed',
    ],
    [
      'proceed as a number',
      () => t.loop({ turns: 2, states: [] }, () => ({ states: [], proceed: scalar })),
      'loop: proceed must be a bool scalar, got scalar: float32[]',
    ],
  ],
  cond: [
    [
      'a condition with axes',
      () => t.cond(bool, { whenTrue: () => [], whenFalse: () => [] }),
      'cond: needs a bool scalar, got bool: bool[2, 3]',
    ],
    [
      'another number of tensors',
      () => t.cond(truth, { whenTrue: () => [x], whenFalse: () => [] }),
      'cond: one branch gives 1 tensors, the other 0',
    ],
    [
      'other shapes',
      () => t.cond(truth, { whenTrue: () => [x], whenFalse: () => [y] }),
      'cond: the branches give x: float32[2, 3] and y: float32[4, 3]: name the differing sizes in shapes',
    ],
    [
      'other types',
      () => t.cond(truth, { whenTrue: () => [x], whenFalse: () => [whole] }),
      'cond: the branches give x: float32[2, 3] and whole: int64[2, 3]',
    ],
    [
      'a number for sizes that differ',
      () => t.cond(truth, { whenTrue: () => [x], whenFalse: () => [y] }, [[2, 3]]),
      'which is not [2, 3]',
    ],
  ],
} satisfies Record<string, readonly Misuse[]>;
