/** Cases of operators that treat every element alone, and of leaves. */
import {
  absolute,
  add,
  and,
  cast,
  ceiling,
  constant,
  cosine,
  dimension,
  divide,
  equal,
  errorFunction,
  exponential,
  floor,
  gelu,
  greater,
  greaterOrEqual,
  hyperbolicTangent,
  less,
  lessOrEqual,
  logarithm,
  maximum,
  minimum,
  multiply,
  negate,
  not,
  or,
  power,
  reciprocal,
  round,
  sigmoid,
  sign,
  silu,
  sine,
  squareRoot,
  stopGradient,
  subtract,
  type Tensor,
  weight,
  where,
} from '../../../src/tensor/index.ts';
import type { BinaryOperator, CompareOperator, LogicOperator, UnaryOperator } from '../../../src/tensor/operators.ts';
import {
  bools,
  distinct,
  exactly,
  type Feed,
  float,
  type GradientClaim,
  integers,
  nonzero,
  type OperatorCase,
  type OperatorCases,
  operatorCase,
  pairsFor,
  positive,
  shapesFor,
} from './case.ts';

function unary(
  build: (x: Tensor) => Tensor,
  feed: (shape: OperatorCase['expected'][0]) => Feed = float,
  gradient: GradientClaim = 'checked',
  more: readonly OperatorCase[] = [],
): OperatorCases {
  const cases = shapesFor(1).map(({ shape, sizes }) =>
    operatorCase(`[${shape}]`, [feed(shape)], build, [shape], { sizes }),
  );
  return { gradient, cases: [...cases, ...more] };
}

/** Whole multiples of a quarter, halves among them. */
function quarters(shape: OperatorCase['expected'][0]): Feed {
  const values = (random: () => number, count: number) =>
    Array.from({ length: count }, () => Math.floor(24 * random() - 12) / 4);
  return { dtype: 'float32', shape, values };
}

const steps: GradientClaim = { absent: 'moves in steps' };
const extremes = (dtype: 'float32' | 'int64' | 'int32') => exactly(dtype, [3], [-3, 0, 7]);

function binary(
  build: (a: Tensor, b: Tensor) => Tensor,
  left: (shape: OperatorCase['expected'][0]) => Feed = float,
  right = left,
  gradient: GradientClaim = 'checked',
  more: readonly OperatorCase[] = [],
): OperatorCases {
  const cases = pairsFor(2).map((pair) =>
    operatorCase(`[${pair.left}] and [${pair.right}]`, [left(pair.left), right(pair.right)], build, [pair.result], {
      sizes: { n: 3, m: 2 },
    }),
  );
  return { gradient, cases: [...cases, ...more] };
}

const wholeNumbers = (build: (a: Tensor, b: Tensor) => Tensor): OperatorCase[] =>
  (['int64', 'int32'] as const).map((dtype) =>
    operatorCase(dtype, [exactly(dtype, [4], [-7, 7, 6, 0]), exactly(dtype, [4], [2, -2, 3, 5])], build, [4]),
  );

/** Few different numbers, so that some are equal. */
const coarse = (shape: OperatorCase['expected'][0]): Feed => ({ ...integers(shape, -1, 1), dtype: 'float32' });
const compareCases = (build: (a: Tensor, b: Tensor) => Tensor) =>
  binary(build, coarse, coarse, steps, wholeNumbers(build));

/** A truth value from a fed number. */
const truth = (x: Tensor) => greater(x, 0);

export const unaryCases: { readonly [K in UnaryOperator]: OperatorCases } = {
  negate: unary(negate, float, 'checked', [operatorCase('int64', [extremes('int64')], negate, [3])]),
  absolute: unary(absolute, nonzero, 'checked', [
    operatorCase('int64', [extremes('int64')], absolute, [3]),
    operatorCase('at 0', [exactly('float32', [2], [0, -1])], absolute, [2], { kinks: [0] }),
  ]),
  exponential: unary(exponential),
  logarithm: unary(logarithm, positive),
  squareRoot: unary(squareRoot, positive),
  reciprocal: unary(reciprocal, nonzero),
  sine: unary(sine, (shape) => float(shape, -7, 7)),
  cosine: unary(cosine, (shape) => float(shape, -7, 7)),
  hyperbolicTangent: unary(hyperbolicTangent),
  sigmoid: unary(sigmoid, (shape) => float(shape, -20, 20)),
  silu: unary(silu, (shape) => float(shape, -12, 12)),
  errorFunction: unary(errorFunction, (shape) => float(shape, -4, 4)),
  floor: unary(floor, quarters, steps),
  ceiling: unary(ceiling, quarters, steps),
  round: unary(round, quarters, steps),
  sign: unary(sign, quarters, steps, [operatorCase('int64', [extremes('int64')], sign, [3])]),
};

export const binaryCases: { readonly [K in BinaryOperator]: OperatorCases } = {
  add: binary(add, float, float, 'checked', [
    ...wholeNumbers(add),
    operatorCase('a number', [float([3])], (x) => add(2.5, x), [3]),
    operatorCase('twice the same', [float([3])], (x) => add(x, x), [3]),
  ]),
  subtract: binary(subtract, float, float, 'checked', [
    ...wholeNumbers(subtract),
    operatorCase('from a number', [float([3])], (x) => subtract(1, x), [3]),
  ]),
  multiply: binary(multiply, float, float, 'checked', [
    ...wholeNumbers(multiply),
    operatorCase('by itself', [float([3])], (x) => multiply(x, x), [3]),
  ]),
  divide: binary(divide, float, nonzero, 'checked', wholeNumbers(divide)),
  power: binary(power, positive, float, 'checked', [
    operatorCase('to a number', [float(['n', 2])], (x) => power(x, 3), ['n', 2], { sizes: { n: 3 } }),
    operatorCase('of a number', [float([4])], (x) => power(1.5, x), [4]),
    operatorCase('base 0', [exactly('float32', [3], [0, 0, 0])], (x) => power(x, 2), [3]),
  ]),
  minimum: binary(minimum, float, float, 'checked', wholeNumbers(minimum)),
  maximum: binary(maximum, float, float, 'checked', wholeNumbers(maximum)),
};

export const compareAndLogicCases: { readonly [K in CompareOperator | LogicOperator | 'not']: OperatorCases } = {
  equal: {
    ...compareCases(equal),
    cases: [...compareCases(equal).cases, operatorCase('bool', [bools([2, 3]), bools([3])], equal, [2, 3])],
  },
  less: compareCases(less),
  lessOrEqual: compareCases(lessOrEqual),
  greater: compareCases(greater),
  greaterOrEqual: compareCases(greaterOrEqual),
  and: binary((a, b) => and(truth(a), truth(b)), float, float, steps),
  or: binary((a, b) => or(truth(a), truth(b)), float, float, steps),
  not: unary((x) => not(truth(x)), float, steps),
};

const stored = Float32Array.of(9, 9, 1, -2, 3, 0.5, 8);

export const leafCases = {
  input: {
    gradient: 'checked',
    cases: [operatorCase('read as it is', [float(['n', 2])], (x) => x, ['n', 2], { sizes: { n: 3 } })],
  },
  weight: {
    gradient: 'checked',
    cases: [
      operatorCase(
        'bytes 8..24 of a file',
        [float([2, 2])],
        (x) => multiply(x, weight('w', 'float32', [2, 2], { file: 'part/weights.bin', offset: 8, byteLength: 16 })),
        [2, 2],
        { files: { 'part/weights.bin': new Uint8Array(stored.buffer) } },
      ),
    ],
  },
  constant: {
    gradient: 'checked',
    cases: [
      operatorCase('float32', [float([2, 2])], (x) => add(x, constant(x.dtype, [2], [1.5, -0.25])), [2, 2]),
      operatorCase('no elements', [float([0, 2])], (x) => add(x, constant(x.dtype, [0, 1], [])), [0, 2]),
      operatorCase(
        'int64',
        [float([2])],
        (x) => multiply(x, cast(constant('int64', [2], [-3, 2 ** 40]), x.dtype)),
        [2],
      ),
      operatorCase(
        '0 beside −0',
        [positive([2])],
        (x) => [divide(x, constant(x.dtype, [1], [-0])), divide(x, constant(x.dtype, [1], [0]))],
        [[2], [2]],
        { kinks: [0] },
      ),
    ],
  },
  dimension: {
    gradient: 'checked',
    cases: [
      operatorCase(
        'a named size and a polynomial',
        [float(['n', 2, 'm'])],
        (x) => [multiply(x, cast(dimension('n'), x.dtype)), multiply(x, cast(dimension('m*n+2*n+-1'), x.dtype))],
        [
          ['n', 2, 'm'],
          ['n', 2, 'm'],
        ],
        { sizes: { n: 3, m: 2 } },
      ),
      operatorCase(
        'written in another order',
        [float(['n', 'm'])],
        (x) => multiply(x, cast(dimension('n*m+n'), x.dtype)),
        ['n', 'm'],
        { sizes: { n: 3, m: 2 } },
      ),
    ],
  },
} satisfies Record<string, OperatorCases>;

const selected = pairsFor(99).map(({ left, right, result }) =>
  operatorCase(
    `condition [${right}], [${left}] and [${right}]`,
    [bools(right), float(left), float(right)],
    where,
    [result],
    { sizes: { n: 3, m: 2 } },
  ),
);

export const mixedCases = {
  where: {
    gradient: 'checked',
    cases: [
      ...selected,
      operatorCase('every operand broadcast', [bools([2, 1, 1]), float([3, 1]), float([4])], where, [2, 3, 4]),
      operatorCase('a number on one side', [bools([3]), float([2, 3])], (c, x) => where(c!, x!, -1), [2, 3]),
      operatorCase('int64', [bools([4]), integers([4], -5, 5), integers([4], -5, 5)], where, [4]),
      operatorCase('bool', [bools([4]), bools([4]), bools([4])], where, [4]),
    ],
  },
  cast: {
    gradient: 'checked',
    cases: [
      operatorCase('to float64', [float(['n', 3])], (x) => cast(x, 'float64'), ['n', 3], { sizes: { n: 2 } }),
      operatorCase('through float64', [float([3])], (x) => cast(multiply(cast(x, 'float64'), 3), 'float32'), [3]),
      operatorCase(
        'fractions are cut off',
        [float([9], -4, 4)],
        (x) => [cast(x, 'int64'), cast(x, 'int32'), multiply(x, 1)],
        [[9], [9], [9]],
      ),
      operatorCase('to bool', [exactly('float32', [4], [0, -0.5, 3, -0])], (x) => [cast(x, 'bool'), multiply(x, 1)], [
        [4],
        [4],
      ]),
      operatorCase('from bool', [bools([4])], (x) => cast(x, 'float32'), [4]),
      operatorCase('from int32', [integers([4], -9, 9, 'int32')], (x) => cast(x, 'float32'), [4]),
    ],
  },
  gelu: {
    gradient: 'checked',
    cases: [
      ...unary(gelu, (shape) => float(shape, -4, 4)).cases,
      operatorCase('tanh', [float(['n', 7], -4, 4)], (x) => gelu(x, 'tanh'), ['n', 7], { sizes: { n: 3 } }),
    ],
  },
  stopGradient: unary(stopGradient, distinct, { absent: 'that is what it is for' }),
} satisfies Record<string, OperatorCases>;
