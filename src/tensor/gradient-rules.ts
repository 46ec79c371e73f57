/**
 * The reverse rule of every operator: given `g`, the gradient of a scalar by the operator's output `y`, what is the
 * gradient by each input? A rule gives one function an input, called only if that gradient is wanted, or none where an
 * input has no gradient. `y` is the output, `x`, `a`, `b` are inputs. Operators without derivatives say why.
 */
import { addDims, type Dim, multiplyDims } from './dimension.ts';
import { TensorError } from './error.ts';
import { convolutionWeightGradient, interpolationMatrix } from './gradient-kernels.ts';
import { rotaryEmbedding } from './language/attention.ts';
import {
  add,
  and,
  cast,
  cosine,
  divide,
  equal,
  errorFunction,
  exponential,
  greaterOrEqual,
  hyperbolicTangent,
  less,
  lessOrEqual,
  logarithm,
  multiply,
  negate,
  power,
  reciprocal,
  sigmoid,
  sign,
  sine,
  square,
  squareRoot,
  subtract,
  where,
} from './language/elementwise.ts';
import { gather, gatherElements, indexAdd, scatterElements } from './language/indexing.ts';
import { expand, pad, reshape, slice, split, transpose } from './language/layout.ts';
import { dimension, full } from './language/leaves.ts';
import { conv2d, convTranspose2d, matmul } from './language/linear.ts';
import { cumulativeSum, reduceMean, reduceSum, sumToShape } from './language/reduction.ts';
import type { OperatorAttributes, OperatorName, ReduceOperator } from './operators.ts';
import type { Tensor } from './tensor.ts';

/** What a rule may use. */
interface Reverse<K extends OperatorName> {
  readonly attributes: OperatorAttributes<Tensor>[K];
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Gradient by the first output; zeros where only other outputs have one. */
  readonly g: Tensor;
}

type InputGradient = (() => Tensor) | undefined;
export type GradientRule<K extends OperatorName> = (reverse: Reverse<K>) => readonly InputGradient[];

/** The result moves in steps, or is no number: its gradient is zero or has no meaning. */
const zero = (): readonly InputGradient[] => [];

const refused = (operator: string, advice: string) => (): never => {
  throw new TensorError(operator, `has no gradient: ${advice}`);
};

/** `y = f(x)`: the gradient is `g · f′(x)`. */
const unary =
  (derivative: (x: Tensor, y: Tensor, g: Tensor) => Tensor) =>
  ({ inputs: [x], outputs: [y], g }: Reverse<OperatorName>): readonly InputGradient[] => [() => derivative(x!, y!, g)];

/** `y = f(a, b)` with broadcasting. */
const binary =
  (byA: (g: Tensor, a: Tensor, b: Tensor, y: Tensor) => Tensor, byB: typeof byA) =>
  ({ inputs: [a, b], outputs: [y], g }: Reverse<OperatorName>): readonly InputGradient[] => [
    () => sumToShape(byA(g, a!, b!, y!), a!.shape),
    () => sumToShape(byB(g, a!, b!, y!), b!.shape),
  ];

/** Repeats a reduced tensor along the axes that were folded. */
function unreduce(g: Tensor, x: Tensor, axes: readonly number[]): Tensor {
  const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  return expand(reshape(g, kept), x.shape);
}

function count(x: Tensor, axes: readonly number[]): Tensor {
  return axes.map((axis) => cast(dimension(x.shape[axis]!), x.dtype)).reduce((a, b) => multiply(a, b));
}

/** Largest or smallest: the gradient goes to the elements that reached it, in equal parts where there are several. */
const extreme = ({
  attributes: { axes },
  inputs: [x],
  outputs: [y],
  g,
}: Reverse<ReduceOperator>): readonly InputGradient[] => [
  () => {
    const chosen = cast(equal(x!, unreduce(y!, x!, axes)), x!.dtype);
    const ties = reduceSum(chosen, { axes, keepDims: true });
    return divide(multiply(unreduce(g, x!, axes), chosen), ties);
  },
];

function zerosLike(x: Tensor): Tensor {
  return full(x.dtype, x.shape, 0);
}

/** `Σ g·x̂` parts shared by the norms: gradient through `x̂ = (x − mean) · inverse` over the given axes. */
function throughNormalization(
  g: Tensor,
  normalized: Tensor,
  inverse: Tensor,
  axes: readonly number[],
  centred: boolean,
) {
  const along = reduceMean(multiply(g, normalized), { axes, keepDims: true });
  const inner = subtract(g, multiply(normalized, along));
  return multiply(centred ? subtract(inner, reduceMean(g, { axes, keepDims: true })) : inner, inverse);
}

function standardize(x: Tensor, axes: readonly number[], epsilon: number, centred: boolean) {
  const centre = centred ? subtract(x, reduceMean(x, { axes, keepDims: true })) : x;
  const variance = reduceMean(square(centre), { axes, keepDims: true });
  const inverse = reciprocal(squareRoot(add(variance, epsilon)));
  return { normalized: multiply(centre, inverse), inverse };
}

/** `y = x̂ · scale (+ bias)` where x̂ is normalized over the last axis. */
function lastAxisNorm(
  x: Tensor,
  scale: Tensor,
  g: Tensor,
  epsilon: number,
  centred: boolean,
): readonly InputGradient[] {
  const { normalized, inverse } = standardize(x, [x.rank - 1], epsilon, centred);
  return [
    () => throughNormalization(multiply(g, scale), normalized, inverse, [x.rank - 1], centred),
    () => sumToShape(multiply(g, normalized), scale.shape),
    () => sumToShape(g, scale.shape),
  ];
}

export const gradientRules: { readonly [K in OperatorName]: GradientRule<K> } = {
  input: zero,
  weight: zero,
  constant: zero,
  dimension: zero,
  stopGradient: zero,

  negate: unary((_x, _y, g) => negate(g)),
  // |x|′ = sign(x), 0 at 0
  absolute: unary((x, _y, g) => multiply(g, sign(x))),
  // (eˣ)′ = eˣ
  exponential: unary((_x, y, g) => multiply(g, y)),
  // (ln x)′ = 1/x
  logarithm: unary((x, _y, g) => divide(g, x)),
  // (√x)′ = 1/(2√x)
  squareRoot: unary((_x, y, g) => divide(g, multiply(y, 2))),
  // (1/x)′ = −1/x²
  reciprocal: unary((_x, y, g) => negate(multiply(g, square(y)))),
  sine: unary((x, _y, g) => multiply(g, cosine(x))),
  cosine: unary((x, _y, g) => negate(multiply(g, sine(x)))),
  // tanh′ = 1 − tanh²
  hyperbolicTangent: unary((_x, y, g) => multiply(g, subtract(1, square(y)))),
  // σ′ = σ(1 − σ)
  sigmoid: unary((_x, y, g) => multiply(g, multiply(y, subtract(1, y)))),
  // (xσ)′ = σ + y(1 − σ)
  silu: unary((x, y, g) => {
    const s = sigmoid(x);
    return multiply(g, add(s, multiply(y, subtract(1, s))));
  }),
  // erf′ = 2/√π · exp(−x²)
  errorFunction: unary((x, _y, g) => multiply(g, multiply(exponential(negate(square(x))), 2 / Math.sqrt(Math.PI)))),
  floor: zero,
  ceiling: zero,
  round: zero,
  sign: zero,

  add: binary(
    (g) => g,
    (g) => g,
  ),
  subtract: binary(
    (g) => g,
    (g) => negate(g),
  ),
  multiply: binary(
    (g, _a, b) => multiply(g, b),
    (g, a) => multiply(g, a),
  ),
  divide: binary(
    (g, _a, b) => divide(g, b),
    (g, _a, b, y) => negate(multiply(g, divide(y, b))),
  ),
  // ∂aᵇ/∂a = b·aᵇ⁻¹, 0 for b = 0 also at a = 0; ∂aᵇ/∂b = aᵇ·ln a, 0 for a = 0 (b ≥ 0)
  power: binary(
    (g, a, b) => multiply(g, where(equal(b, 0), 0, multiply(b, power(a, subtract(b, 1))))),
    (g, a, b, y) => multiply(g, where(and(equal(a, 0), greaterOrEqual(b, 0)), 0, multiply(y, logarithm(a)))),
  ),
  // Where both are equal the first one gets the gradient.
  minimum: binary(
    (g, a, b) => where(lessOrEqual(a, b), g, 0),
    (g, a, b) => where(lessOrEqual(a, b), 0, g),
  ),
  maximum: binary(
    (g, a, b) => where(less(a, b), 0, g),
    (g, a, b) => where(less(a, b), g, 0),
  ),
  equal: zero,
  less: zero,
  lessOrEqual: zero,
  greater: zero,
  greaterOrEqual: zero,
  and: zero,
  or: zero,
  not: zero,

  where: ({ inputs: [condition, a, b], g }) => [
    undefined,
    () => sumToShape(where(condition!, g, 0), a!.shape),
    () => sumToShape(where(condition!, 0, g), b!.shape),
  ],
  cast: ({ inputs: [x], g }) => [() => cast(g, x!.dtype)],
  gelu: ({ attributes: { approximate }, inputs: [x], g }) => [
    () => {
      if (approximate === 'none') {
        // (xΦ(x))′ = Φ + x·φ
        const cdf = multiply(add(errorFunction(multiply(x!, Math.SQRT1_2)), 1), 0.5);
        const pdf = multiply(exponential(multiply(square(x!), -0.5)), 1 / Math.sqrt(2 * Math.PI));
        return multiply(g, add(cdf, multiply(x!, pdf)));
      }
      // y = x/2·(1 + tanh u), u = c(x + 0.044715x³): y′ = (1 + t)/2 + x/2·(1 − t²)·u′
      const c = Math.sqrt(2 / Math.PI);
      const t = hyperbolicTangent(multiply(multiply(x!, c), add(multiply(square(x!), 0.044715), 1)));
      const slope = multiply(add(multiply(square(x!), 3 * 0.044715), 1), c);
      const bend = multiply(multiply(x!, 0.5), multiply(subtract(1, square(t)), slope));
      return multiply(g, add(multiply(add(t, 1), 0.5), bend));
    },
  ],

  // y = A·B: ∂A = g·Bᵀ, ∂B = Aᵀ·g; a transposed operand gets the transposed product.
  matmul: ({ attributes: { transposeA, transposeB }, inputs: [a, b], g }) => [
    () =>
      sumToShape(
        transposeA
          ? matmul(b!, g, { transposeA: transposeB, transposeB: true })
          : matmul(g, b!, { transposeB: !transposeB }),
        a!.shape,
      ),
    () => {
      // A matrix shared by a batch: fold the batch into the product instead of summing products.
      if (b!.rank === 2 && a!.rank > 2 && !transposeA) {
        const folded = multiplyDims(...a!.shape.slice(0, -1));
        const rows = reshape(a!, [folded, a!.shape.at(-1)!]);
        const columns = reshape(g, [folded, g.shape.at(-1)!]);
        return transposeB ? matmul(columns, rows, { transposeA: true }) : matmul(rows, columns, { transposeA: true });
      }
      return sumToShape(
        transposeB
          ? matmul(g, a!, { transposeA: true, transposeB: transposeA })
          : matmul(a!, g, { transposeA: !transposeA }),
        b!.shape,
      );
    },
  ],
  // ∂x = y·(g − Σ g·y)
  softmax: ({ attributes: { axis }, outputs: [y], g }) => [
    () => multiply(y!, subtract(g, reduceSum(multiply(g, y!), { axes: [axis], keepDims: true }))),
  ],
  // ∂x = g − eʸ·Σg
  logSoftmax: ({ attributes: { axis }, outputs: [y], g }) => [
    () => subtract(g, multiply(exponential(y!), reduceSum(g, { axes: [axis], keepDims: true }))),
  ],
  reduceSum: ({ attributes: { axes }, inputs: [x], g }) => [() => unreduce(g, x!, axes)],
  reduceMean: ({ attributes: { axes }, inputs: [x], g }) => [() => unreduce(divide(g, count(x!, axes)), x!, axes)],
  reduceMax: extreme,
  reduceMin: extreme,
  argMax: zero,
  argMin: zero,
  // The transpose of a running sum is the running sum from the other end.
  cumulativeSum: ({ attributes: { axis, exclusive, reverse }, g }) => [
    () => cumulativeSum(g, axis, { exclusive, reverse: !reverse }),
  ],

  reshape: ({ inputs: [x], g }) => [() => reshape(g, x!.shape)],
  transpose: ({ attributes: { permutation }, g }) => [
    () =>
      transpose(
        g,
        permutation.map((_, axis) => permutation.indexOf(axis)),
      ),
  ],
  slice: ({ attributes: { axis, start, length, step }, inputs: [x], g }) => [
    () => {
      const size = x!.shape[axis]!;
      if (step === 1 && typeof size === 'number' && typeof start === 'number' && typeof length === 'number') {
        const around = (amount: number) => x!.shape.map((_, index) => (index === axis ? amount : 0));
        return pad(g, around(start), around(size - start - length));
      }
      return indexAdd(zerosLike(x!), slicePositions(start, length, step), g, axis);
    },
  ],
  concat: ({ attributes: { axis }, inputs, g }) => {
    const sizes = inputs.map((part) => part.shape[axis]!);
    return inputs.map((_, index) => () => split(g, axis, sizes)[index]!);
  },
  pad: ({ attributes: { before }, inputs: [x], g }) => [
    () =>
      x!.shape.reduce((inner: Tensor, dim, axis) => slice(inner, axis, before[axis]!, addDims(before[axis]!, dim)), g),
  ],
  expand: ({ inputs: [x], g }) => [() => sumToShape(g, x!.shape)],
  gather: ({ attributes: { axis }, inputs: [x, indices], g }) => [
    () => {
      const flat = reshape(indices!, [-1]);
      const updates = reshape(g, [...x!.shape.slice(0, axis), flat.shape[0]!, ...x!.shape.slice(axis + 1)]);
      return indexAdd(zerosLike(x!), flat, updates, axis);
    },
    undefined,
  ],
  gatherElements: ({ attributes: { axis }, inputs: [x, indices], g }) => [
    () => scatterElements(zerosLike(x!), indices!, g, axis, 'add'),
    undefined,
  ],
  scatterElements: ({ attributes: { axis, reduction }, inputs: [, indices, updates], g }) => [
    () => (reduction === 'add' ? g : scatterElements(g, indices!, zerosLike(updates!), axis)),
    undefined,
    () => gatherElements(g, indices!, axis),
  ],
  indexAdd: ({ attributes: { axis }, inputs: [, indices], g }) => [() => g, undefined, () => gather(g, indices!, axis)],
  oneHot: zero,
  topK: ({ attributes: { axis }, inputs: [x], outputs: [, indices], g }) => [
    () => scatterElements(zerosLike(x!), indices!, g, axis, 'add'),
  ],

  conv2d: ({ attributes, inputs: [x, weight], g }) => [
    () => {
      const { stride, padding, dilation } = attributes;
      // Rows and columns that the strided windows never reached still belong to x.
      const outputPadding = [0, 1].map((side) => {
        const [size, kernel, out] = [x!.shape[2 + side]!, weight!.shape[2 + side] as number, g.shape[2 + side]!];
        if (typeof size !== 'number' || typeof out !== 'number') {
          throw new TensorError('conv2d', `its gradient needs a fixed picture size, got ${x}`);
        }
        const reached = (out - 1) * stride[side]! + dilation[side]! * (kernel - 1) + 1;
        return size + padding[side]! + padding[side + 2]! - reached;
      }) as [number, number];
      return convTranspose2d(g, weight!, { stride, padding, dilation, outputPadding });
    },
    () => convolutionWeightGradient(x!, g, weight!.shape as readonly number[], attributes),
    () => reduceSum(g, { axes: [0, 2, 3] }),
  ],
  convTranspose2d: ({ attributes, inputs: [x, weight], g }) => [
    () => conv2d(g, weight!, undefined, attributes),
    () => convolutionWeightGradient(g, x!, weight!.shape as readonly number[], attributes),
  ],
  layerNorm: ({ attributes: { epsilon }, inputs: [x, scale], g }) => lastAxisNorm(x!, scale!, g, epsilon, true),
  rmsNorm: ({ attributes: { epsilon }, inputs: [x, scale], g }) => lastAxisNorm(x!, scale!, g, epsilon, false),
  groupNorm: ({ attributes: { groups, epsilon }, inputs: [x, scale], g }) => {
    const grouped = (tensor: Tensor) => reshape(tensor, [x!.shape[0]!, groups, -1]);
    const channelwise = (vector: Tensor) => reshape(vector, [1, -1, 1, 1]);
    const { normalized, inverse } = standardize(grouped(x!), [2], epsilon, true);
    const ungrouped = reshape(normalized, x!.shape);
    return [
      () => {
        const inner = grouped(multiply(g, channelwise(scale!)));
        return reshape(throughNormalization(inner, normalized, inverse, [2], true), x!.shape);
      },
      () => reduceSum(multiply(g, ungrouped), { axes: [0, 2, 3] }),
      () => reduceSum(g, { axes: [0, 2, 3] }),
    ];
  },
  resizeNearest: ({ attributes: { scale }, inputs: [x], g }) => [
    () => {
      const [batch, channels, height, width] = x!.shape as [Dim, Dim, Dim, Dim];
      const blocks = reshape(g, [batch, channels, height, scale, width, scale]);
      return reduceSum(blocks, { axes: [3, 5] });
    },
  ],
  // y = R·x·Cᵀ with interpolation matrices R and C: ∂x = Rᵀ·g·C
  resizeBilinear: ({ attributes: { height, width }, inputs: [x], g }) => [
    () => {
      const rows = interpolationMatrix(x!.dtype, x!.shape[2] as number, height);
      const columns = interpolationMatrix(x!.dtype, x!.shape[3] as number, width);
      return matmul(matmul(rows, g, { transposeA: true }), columns);
    },
  ],
  // A rotation's transpose is the rotation back.
  rotaryEmbedding: ({ attributes: { heads }, inputs: [, cosines, sines, positions], g }) => [
    () => rotaryEmbedding(g, cosines!, negate(sines!), positions!, heads),
    refused('rotaryEmbedding', 'its tables are not learned; rotate with multiply and add'),
    refused('rotaryEmbedding', 'its tables are not learned; rotate with multiply and add'),
    undefined,
  ],
  groupedQueryAttention: refused('groupedQueryAttention', 'it is the inference form; train with attention in nn/'),
  packedAttention: refused('packedAttention', 'it is the inference form; train with attention in nn/'),
  loop: refused('loop', 'unroll the turns that need gradients'),
  cond: refused('cond', 'compute both sides and choose with where'),
};

/** `start, start + step, …` as int64 of shape `[length]`. */
function slicePositions(start: Dim, length: Dim, step: number): Tensor {
  const steps = cumulativeSum(full('int64', [length], step), 0, { exclusive: true });
  return add(steps, reshape(dimension(start), [1]));
}
