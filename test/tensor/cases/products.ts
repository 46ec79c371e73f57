/** Cases of reductions, matrix products and normalizations. */
import {
  argMax,
  argMin,
  cast,
  cumulativeSum,
  groupNorm,
  layerNorm,
  logSoftmax,
  logSumExp,
  matmul,
  type ReduceOptions,
  reduceMax,
  reduceMean,
  reduceMin,
  reduceSum,
  rmsNorm,
  type Shape,
  softmax,
  sumToShape,
  type Tensor,
} from '../../../src/tensor/index.ts';
import {
  distinct,
  exactly,
  type Feed,
  float,
  type GradientClaim,
  integers,
  type OperatorCase,
  type OperatorCases,
  operatorCase,
  positive,
} from './case.ts';

const sizes = { n: 3, m: 2 };

type Reduce = (x: Tensor, options?: ReduceOptions) => Tensor;

function reduction(reduce: Reduce, feed: (shape: Shape) => Feed, more: readonly OperatorCase[] = []): OperatorCases {
  return {
    gradient: 'checked',
    cases: [
      operatorCase('all axes', [feed([2, 3])], (x) => reduce(x), []),
      operatorCase('one', [feed([2, 3, 4])], (x) => reduce(x, { axes: [1] }), [2, 4]),
      operatorCase('several, negative, in any order', [feed([2, 3, 4])], (x) => reduce(x, { axes: [-1, 0] }), [3]),
      operatorCase('kept', [feed([2, 3, 4])], (x) => reduce(x, { axes: [-1, 1], keepDims: true }), [2, 1, 1]),
      operatorCase('size 1', [feed([2, 1])], (x) => reduce(x, { axes: [1] }), [2]),
      operatorCase(
        'named',
        [feed(['n', 2, 'm'])],
        (x) => [reduce(x, { axes: [0] }), reduce(x, { axes: [2], keepDims: true })],
        [
          [2, 'm'],
          ['n', 2, 1],
        ],
        { sizes },
      ),
      operatorCase('no elements in another axis', [feed([0, 3])], (x) => reduce(x, { axes: [1] }), [0]),
      ...more,
    ],
  };
}

const argument = (find: (x: Tensor, axis: number) => Tensor): OperatorCases => ({
  gradient: { absent: 'a position is no number' },
  cases: [
    operatorCase('axis 0', [distinct([5, 2])], (x) => find(x, 0), [2]),
    operatorCase('negative axis', [distinct([2, 1, 5])], (x) => find(x, -1), [2, 1]),
    operatorCase('named', [distinct(['n', 4])], (x) => find(x, 1), ['n'], { sizes }),
    operatorCase('one axis', [distinct([5])], (x) => find(x, 0), []),
    operatorCase(
      'equal elements: the first one',
      [exactly('float32', [2, 3], [2, 2, 2, 1, 3, 3])],
      (x) => find(x, 1),
      [2],
    ),
  ],
});

const alongAxis = (operator: (x: Tensor, axis?: number) => Tensor): OperatorCases => ({
  gradient: 'checked',
  cases: [
    operatorCase('the last axis', [float([2, 3, 4])], (x) => operator(x), [2, 3, 4]),
    operatorCase('the first axis', [float([4, 2])], (x) => operator(x, 0), [4, 2]),
    operatorCase('a middle axis', [float([2, 4, 3])], (x) => operator(x, -2), [2, 4, 3]),
    operatorCase('size 1', [float([3, 1])], (x) => operator(x), [3, 1]),
    operatorCase('named', [float(['n', 'm'])], (x) => operator(x, 1), ['n', 'm'], { sizes }),
    operatorCase(
      'large numbers',
      [exactly('float32', [2, 3], [300, 301, 299, -300, -302, -301])],
      (x) => operator(x),
      [2, 3],
    ),
  ],
});

const reductionCases = {
  reduceSum: reduction(reduceSum, float, [
    operatorCase('no elements: 0', [float([0, 3])], (x) => reduceSum(x, { axes: [0] }), [3]),
    operatorCase('int64', [integers([2, 3], -9, 9)], (x) => reduceSum(x, { axes: [1] }), [2]),
    operatorCase('int32', [integers([2, 3], -9, 9, 'int32')], (x) => reduceSum(x, { axes: [1] }), [2]),
    operatorCase(
      'to the shape before broadcasting',
      [float([2, 3, 4])],
      (x) => [sumToShape(x, [3, 1]), sumToShape(x, []), sumToShape(x, [2, 1, 4])],
      [[3, 1], [], [2, 1, 4]],
    ),
  ]),
  reduceMean: reduction(reduceMean, float),
  reduceMax: reduction(reduceMax, distinct, [
    operatorCase('int64', [integers([2, 3], -9, 9)], (x) => reduceMax(x, { axes: [1] }), [2]),
    operatorCase(
      'two equal elements',
      [exactly('float32', [2, 3], [1, 5, 5, -2, -2, -3])],
      (x) => reduceMax(x, { axes: [1] }),
      [2],
    ),
    operatorCase('in logSumExp', [float([2, 4])], (x) => [logSumExp(x), logSumExp(x, 0)], [[2], [4]]),
  ]),
  reduceMin: reduction(reduceMin, distinct, [
    operatorCase('int32', [integers([2, 3], -9, 9, 'int32')], (x) => reduceMin(x, { axes: [1] }), [2]),
    operatorCase(
      'two equal elements',
      [exactly('float32', [2, 3], [1, 1, 5, -2, -2, 3])],
      (x) => reduceMin(x, { axes: [1] }),
      [2],
    ),
  ]),
  argMax: argument(argMax),
  argMin: argument(argMin),
  softmax: alongAxis(softmax),
  logSoftmax: alongAxis(logSoftmax),
  cumulativeSum: {
    gradient: 'checked',
    cases: [
      operatorCase('plain', [float([2, 5])], (x) => cumulativeSum(x, 1), [2, 5]),
      operatorCase('exclusive on axis 0', [float([5, 2])], (x) => cumulativeSum(x, 0, { exclusive: true }), [5, 2]),
      operatorCase('reverse, negative axis', [float([2, 5])], (x) => cumulativeSum(x, -1, { reverse: true }), [2, 5]),
      operatorCase(
        'both',
        [float([2, 3, 2])],
        (x) => cumulativeSum(x, 1, { exclusive: true, reverse: true }),
        [2, 3, 2],
      ),
      operatorCase('named', [float(['n', 2])], (x) => cumulativeSum(x, 0), ['n', 2], { sizes }),
      operatorCase(
        'int64 and int32',
        [integers([6], -9, 9), integers([6], -9, 9, 'int32')],
        (x, y) => [cumulativeSum(x, 0), cumulativeSum(y!, 0)],
        [[6], [6]],
      ),
    ],
  },
} satisfies Record<string, OperatorCases>;

/** Left and right without transposes, and the result. */
const products: [string, Shape, Shape, Shape][] = [
  ['matrices', [2, 3], [3, 4], [2, 4]],
  ['a row', [1, 3], [3, 4], [1, 4]],
  ['a column', [4, 3], [3, 1], [4, 1]],
  ['a batch by one matrix', [2, 4, 3], [3, 2], [2, 4, 2]],
  ['one matrix by a batch', [4, 3], [2, 3, 2], [2, 4, 2]],
  ['two batches', [2, 2, 4, 3], [2, 2, 3, 2], [2, 2, 4, 2]],
  ['broadcast batches', [2, 1, 4, 3], [3, 3, 2], [2, 3, 4, 2]],
  ['broadcast on both sides', [2, 1, 2, 3], [1, 3, 3, 2], [2, 3, 2, 2]],
  ['named', ['n', 'm', 3], ['n', 3, 2], ['n', 'm', 2]],
  ['a named batch by one matrix', ['n', 'm', 3], [3, 2], ['n', 'm', 2]],
  ['no rows', [0, 3], [3, 2], [0, 2]],
  ['no inner elements', [2, 2, 0], [0, 3], [2, 2, 3]],
  ['no inner elements in two batches', ['n', 2, 0], ['n', 0, 3], ['n', 2, 3]],
];

const swapped = (shape: Shape): Shape => [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];

const matmulCases: OperatorCase[] = [];
for (const transposeA of [false, true]) {
  for (const transposeB of [false, true]) {
    for (const [name, left, right, result] of products) {
      const feeds = [float(transposeA ? swapped(left) : left), float(transposeB ? swapped(right) : right)];
      const build = (a: Tensor, b: Tensor) => matmul(a, b, { transposeA, transposeB });
      matmulCases.push(
        operatorCase(`${name}, ${transposeA ? 'Aᵀ' : 'A'}${transposeB ? 'Bᵀ' : 'B'}`, feeds, build, result, { sizes }),
      );
    }
  }
}
matmulCases.push(
  operatorCase(
    'float64, both transposed',
    [float([3, 2]), float([4, 3])],
    (a, b) => matmul(cast(a!, 'float64'), cast(b!, 'float64'), { transposeA: true, transposeB: true }),
    [2, 4],
  ),
);

const checked: GradientClaim = 'checked';

export const productCases = {
  ...reductionCases,
  matmul: { gradient: checked, cases: matmulCases },
  layerNorm: {
    gradient: checked,
    cases: [
      operatorCase(
        'with bias',
        [float([2, 3, 5]), positive([5]), float([5])],
        (x, s, b) => layerNorm(x!, s!, b!, 1e-5),
        [2, 3, 5],
      ),
      operatorCase(
        'without bias',
        [float(['n', 6]), float([6])],
        (x, s) => layerNorm(x!, s!, undefined, 1e-6),
        ['n', 6],
        { sizes },
      ),
      operatorCase('one axis', [float([5]), float([5])], (x, s) => layerNorm(x!, s!, undefined, 1e-3), [5]),
      operatorCase('large epsilon', [float([2, 4]), float([4])], (x, s) => layerNorm(x!, s!, undefined, 0.5), [2, 4]),
    ],
  },
  rmsNorm: {
    gradient: checked,
    cases: [
      operatorCase('three axes', [float([2, 3, 5]), positive([5])], (x, s) => rmsNorm(x!, s!, 1e-6), [2, 3, 5]),
      operatorCase('named', [float(['n', 'm', 4]), float([4])], (x, s) => rmsNorm(x!, s!, 1e-6), ['n', 'm', 4], {
        sizes,
      }),
      operatorCase(
        'four axes, large epsilon',
        [float([2, 2, 3, 4]), float([4])],
        (x, s) => rmsNorm(x!, s!, 0.5),
        [2, 2, 3, 4],
      ),
    ],
  },
  groupNorm: {
    gradient: checked,
    cases: [
      operatorCase(
        '2 groups of 2',
        [float([2, 4, 2, 3]), positive([4]), float([4])],
        (x, s, b) => groupNorm(x!, s!, b!, 2, 1e-6),
        [2, 4, 2, 3],
      ),
      operatorCase(
        'one group, named batch',
        [float(['n', 3, 2, 2]), float([3]), float([3])],
        (x, s, b) => groupNorm(x!, s!, b!, 1, 1e-5),
        ['n', 3, 2, 2],
        { sizes },
      ),
      operatorCase(
        'a group a channel, named picture',
        [float([1, 2, 'n', 'm']), float([2]), float([2])],
        (x, s, b) => groupNorm(x!, s!, b!, 2, 1e-2),
        [1, 2, 'n', 'm'],
        { sizes },
      ),
    ],
  },
} satisfies Record<string, OperatorCases>;
