/**
 * The shape rule of every operator: checks the inputs' element types and shapes and gives the outputs'. Errors name the
 * operator, the tensors and the axis, what was expected and what was got.
 */
import { attentionShapeRules } from './attention-shape-rules.ts';
import {
  addDims,
  broadcastShapes,
  type Dim,
  divideDims,
  elementCount,
  formatShape,
  sameShape,
  subtractDims,
} from './dimension.ts';
import type {
  ArgumentOperator,
  BinaryOperator,
  CompareOperator,
  ConvolutionAttributes,
  LogicOperator,
  OperatorAttributes,
  OperatorName,
  ReduceOperator,
  TensorType,
  UnaryOperator,
} from './operators.ts';
import {
  fail,
  fixed,
  type Inputs,
  replaceDim,
  requireAxis,
  requireCount,
  requireDim,
  requireExtents,
  requireFloating,
  requireInteger,
  requireRank,
  requireSameDType,
  requireWindows,
} from './shape-checks.ts';

export type ShapeRule<K extends OperatorName> = (
  attributes: OperatorAttributes[K],
  inputs: Inputs,
) => readonly TensorType[];

const unary =
  <K extends UnaryOperator>(operator: K): ShapeRule<K> =>
  (_, inputs) => {
    requireCount(operator, inputs, 1);
    const integersToo = operator === 'negate' || operator === 'absolute' || operator === 'sign';
    if (!integersToo) requireFloating(operator, inputs);
    return [{ dtype: inputs[0]!.dtype, shape: inputs[0]!.shape }];
  };

const binary =
  <K extends BinaryOperator>(operator: K): ShapeRule<K> =>
  (_, inputs) => {
    requireCount(operator, inputs, 2);
    const dtype = requireSameDType(operator, inputs);
    if (dtype === 'bool') fail(operator, 'needs numbers', inputs);
    return [{ dtype, shape: broadcastShapes(operator, ...inputs.map((input) => input.shape)) }];
  };

const compare =
  <K extends CompareOperator>(operator: K): ShapeRule<K> =>
  (_, inputs) => {
    requireCount(operator, inputs, 2);
    const dtype = requireSameDType(operator, inputs);
    if (dtype === 'bool' && operator !== 'equal') fail(operator, 'needs numbers', inputs);
    return [{ dtype: 'bool', shape: broadcastShapes(operator, ...inputs.map((input) => input.shape)) }];
  };

const logic =
  <K extends LogicOperator>(operator: K): ShapeRule<K> =>
  (_, inputs) => {
    requireCount(operator, inputs, 2);
    if (inputs.some((input) => input.dtype !== 'bool')) fail(operator, 'needs bool tensors', inputs);
    return [{ dtype: 'bool', shape: broadcastShapes(operator, ...inputs.map((input) => input.shape)) }];
  };

const reduce =
  <K extends ReduceOperator>(operator: K): ShapeRule<K> =>
  ({ axes, keepDims }, inputs) => {
    requireCount(operator, inputs, 1);
    const [x] = inputs as [TensorType];
    for (const axis of axes) requireAxis(operator, axis, x);
    if (new Set(axes).size !== axes.length) fail(operator, `axes ${axes.join(', ')} repeat`, inputs);
    const shape = keepDims
      ? x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim))
      : x.shape.filter((_dim, axis) => !axes.includes(axis));
    return [{ dtype: x.dtype, shape }];
  };

const argument =
  <K extends ArgumentOperator>(operator: K): ShapeRule<K> =>
  ({ axis }, inputs) => {
    requireCount(operator, inputs, 1);
    requireAxis(operator, axis, inputs[0]!);
    return [{ dtype: 'int64', shape: inputs[0]!.shape.filter((_dim, index) => index !== axis) }];
  };

function alongAxis(operator: string, axis: number, inputs: Inputs): readonly TensorType[] {
  requireCount(operator, inputs, 1);
  requireFloating(operator, inputs);
  requireAxis(operator, axis, inputs[0]!);
  return [{ dtype: inputs[0]!.dtype, shape: inputs[0]!.shape }];
}

/** A loop's body or a branch states its result types when it is traced; there is nothing left to infer. */
function stated(types: readonly TensorType[]): readonly TensorType[] {
  return types;
}

function scaleAndBias(operator: string, inputs: Inputs, counts: number[], size: Dim): readonly TensorType[] {
  requireCount(operator, inputs, ...counts);
  requireFloating(operator, inputs);
  requireSameDType(operator, inputs);
  for (const parameter of inputs.slice(1)) {
    requireRank(operator, parameter, 1, 'scale and bias of one axis');
    requireDim(operator, 'size of scale and bias', size, parameter.shape[0]!, inputs);
  }
  return [{ dtype: inputs[0]!.dtype, shape: inputs[0]!.shape }];
}

function lastDim(operator: string, inputs: Inputs): Dim {
  return inputs[0]!.shape.at(-1) ?? fail(operator, 'needs at least one axis', inputs);
}

/** `floor((size + padding - dilation * (kernel - 1) - 1) / stride) + 1`, as in ONNX Conv. */
function convolvedSize(size: Dim, kernel: number, padding: number, stride: number, dilation: number): Dim {
  const reach = addDims(size, padding - dilation * (kernel - 1) - 1);
  if (typeof reach === 'number') {
    if (reach < 0) {
      fail('conv2d', `a kernel of ${kernel} by dilation ${dilation} does not fit into ${size} and padding ${padding}`);
    }
    return Math.floor(reach / stride) + 1;
  }
  const exact = divideDims(reach, stride);
  if (exact === undefined) fail('conv2d', `stride ${stride} needs a fixed picture size, got ${size}`);
  return addDims(exact, 1);
}

function convolution(attributes: ConvolutionAttributes, inputs: Inputs): readonly TensorType[] {
  const operator = 'conv2d';
  requireCount(operator, inputs, 2, 3);
  requireFloating(operator, inputs);
  const dtype = requireSameDType(operator, inputs);
  const [x, weight, bias] = inputs as [TensorType, TensorType, TensorType?];
  requireRank(operator, x, 4, '[batch, channels, height, width]');
  requireRank(operator, weight, 4, 'a weight [outChannels, inChannels, kernelHeight, kernelWidth]');
  requireDim(operator, 'input channels', weight.shape[1]!, x.shape[1]!, inputs);
  if (bias) requireRank(operator, bias, 1, 'a bias [outChannels]');
  if (bias) requireDim(operator, 'size of bias', weight.shape[0]!, bias.shape[0]!, inputs);
  requireWindows(operator, attributes);
  const { padding, stride, dilation } = attributes;
  const spatial = [0, 1].map((side) => {
    const kernel = fixed(operator, 'kernel', weight.shape[2 + side]!, inputs);
    return convolvedSize(
      x.shape[2 + side]!,
      kernel,
      padding[side]! + padding[side + 2]!,
      stride[side]!,
      dilation[side]!,
    );
  });
  return [{ dtype, shape: [x.shape[0]!, weight.shape[0]!, ...spatial] }];
}

export const shapeRules: { readonly [K in OperatorName]: ShapeRule<K> } = {
  input: ({ type }) => [type],
  weight: ({ type }) => [type],
  constant: ({ type }) => [type],
  dimension: () => [{ dtype: 'int64', shape: [] }],
  negate: unary('negate'),
  absolute: unary('absolute'),
  exponential: unary('exponential'),
  logarithm: unary('logarithm'),
  squareRoot: unary('squareRoot'),
  reciprocal: unary('reciprocal'),
  sine: unary('sine'),
  cosine: unary('cosine'),
  hyperbolicTangent: unary('hyperbolicTangent'),
  sigmoid: unary('sigmoid'),
  silu: unary('silu'),
  errorFunction: unary('errorFunction'),
  floor: unary('floor'),
  ceiling: unary('ceiling'),
  round: unary('round'),
  sign: unary('sign'),
  add: binary('add'),
  subtract: binary('subtract'),
  multiply: binary('multiply'),
  divide: binary('divide'),
  power: binary('power'),
  minimum: binary('minimum'),
  maximum: binary('maximum'),
  equal: compare('equal'),
  less: compare('less'),
  lessOrEqual: compare('lessOrEqual'),
  greater: compare('greater'),
  greaterOrEqual: compare('greaterOrEqual'),
  and: logic('and'),
  or: logic('or'),
  reduceSum: reduce('reduceSum'),
  reduceMean: reduce('reduceMean'),
  reduceMax: reduce('reduceMax'),
  reduceMin: reduce('reduceMin'),
  argMax: argument('argMax'),
  argMin: argument('argMin'),
  softmax: ({ axis }, inputs) => alongAxis('softmax', axis, inputs),
  logSoftmax: ({ axis }, inputs) => alongAxis('logSoftmax', axis, inputs),

  cast: ({ to }, inputs) => {
    requireCount('cast', inputs, 1);
    return [{ dtype: to, shape: inputs[0]!.shape }];
  },
  not: (_, inputs) => {
    requireCount('not', inputs, 1);
    if (inputs[0]!.dtype !== 'bool') fail('not', 'needs a bool tensor', inputs);
    return [{ dtype: 'bool', shape: inputs[0]!.shape }];
  },
  where: (_, inputs) => {
    requireCount('where', inputs, 3);
    if (inputs[0]!.dtype !== 'bool') fail('where', 'needs a bool condition', inputs);
    const dtype = requireSameDType('where', inputs.slice(1));
    return [{ dtype, shape: broadcastShapes('where', ...inputs.map((input) => input.shape)) }];
  },
  gelu: (_, inputs) => {
    requireCount('gelu', inputs, 1);
    requireFloating('gelu', inputs);
    return [{ dtype: inputs[0]!.dtype, shape: inputs[0]!.shape }];
  },
  matmul: ({ transposeA, transposeB }, inputs) => {
    requireCount('matmul', inputs, 2);
    const dtype = requireSameDType('matmul', inputs);
    if (dtype === 'bool') fail('matmul', 'needs numbers', inputs);
    const [a, b] = inputs as [TensorType, TensorType];
    if (a.shape.length < 2 || b.shape.length < 2) fail('matmul', 'needs at least two axes on both sides', inputs);
    const [rows, inner] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
    const [inner2, columns] = transposeB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
    requireDim('matmul', 'inner size', inner, inner2, inputs);
    const batch = broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
    return [{ dtype, shape: [...batch, rows, columns] }];
  },
  reshape: ({ shape }, inputs) => {
    requireCount('reshape', inputs, 1);
    const [x] = inputs as [TensorType];
    requireDim('reshape', `elements of ${formatShape(shape)}`, elementCount(x.shape), elementCount(shape), inputs);
    return [{ dtype: x.dtype, shape }];
  },
  transpose: ({ permutation }, inputs) => {
    requireCount('transpose', inputs, 1);
    const [x] = inputs as [TensorType];
    if ([...permutation].sort((a, b) => a - b).join() !== x.shape.map((_, axis) => axis).join()) {
      fail('transpose', `[${permutation.join(', ')}] is not an order of the axes`, inputs);
    }
    return [{ dtype: x.dtype, shape: permutation.map((axis) => x.shape[axis]!) }];
  },
  slice: ({ axis, start, length, step }, inputs) => {
    requireCount('slice', inputs, 1);
    const [x] = inputs as [TensorType];
    requireAxis('slice', axis, x);
    if (!Number.isInteger(step) || step < 1) fail('slice', `step must be a positive whole number, got ${step}`, inputs);
    const size = x.shape[axis]!;
    if (typeof start === 'number' && start < 0) fail('slice', `start ${start} is below 0`, inputs);
    if (typeof size === 'number' && typeof start === 'number' && typeof length === 'number') {
      const last = start + (length - 1) * step;
      if (length < 0 || start > size || (length > 0 && last >= size)) {
        fail('slice', `axis ${axis} has ${size} elements, asked for ${length} from ${start} by ${step}`, inputs);
      }
    }
    return [{ dtype: x.dtype, shape: replaceDim(x.shape, axis, length) }];
  },
  concat: ({ axis }, inputs) => {
    if (inputs.length === 0) fail('concat', 'needs at least one tensor');
    const dtype = requireSameDType('concat', inputs);
    const [first] = inputs as [TensorType];
    requireAxis('concat', axis, first);
    for (const input of inputs) {
      if (!sameShape(replaceDim(input.shape, axis, 0), replaceDim(first.shape, axis, 0))) {
        fail('concat', `shapes may differ only on axis ${axis}`, inputs);
      }
    }
    return [{ dtype, shape: replaceDim(first.shape, axis, addDims(...inputs.map((input) => input.shape[axis]!))) }];
  },
  pad: ({ before, after }, inputs) => {
    requireCount('pad', inputs, 1);
    const [x] = inputs as [TensorType];
    if (before.length !== x.shape.length || after.length !== x.shape.length) {
      fail('pad', `needs ${x.shape.length} amounts before and after, one an axis`, inputs);
    }
    if ([...before, ...after].some((amount) => !Number.isInteger(amount) || amount < 0)) {
      fail('pad', `amounts must be whole numbers of at least 0: ${before} and ${after}`, inputs);
    }
    return [{ dtype: x.dtype, shape: x.shape.map((dim, axis) => addDims(dim, before[axis]!, after[axis]!)) }];
  },
  expand: ({ shape }, inputs) => {
    requireCount('expand', inputs, 1);
    const [x] = inputs as [TensorType];
    if (!sameShape(broadcastShapes('expand', x.shape, shape), shape)) {
      fail('expand', `cannot repeat to ${formatShape(shape)}`, inputs);
    }
    return [{ dtype: x.dtype, shape }];
  },
  gather: ({ axis }, inputs) => {
    requireCount('gather', inputs, 2);
    const [x, indices] = inputs as [TensorType, TensorType];
    requireAxis('gather', axis, x);
    requireInteger('gather', indices, inputs);
    return [{ dtype: x.dtype, shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)] }];
  },
  gatherElements: ({ axis }, inputs) => {
    requireCount('gatherElements', inputs, 2);
    const [x, indices] = inputs as [TensorType, TensorType];
    requireAxis('gatherElements', axis, x);
    requireInteger('gatherElements', indices, inputs);
    requireDim('gatherElements', 'rank of indices', x.shape.length, indices.shape.length, inputs);
    return [{ dtype: x.dtype, shape: indices.shape }];
  },
  scatterElements: ({ axis }, inputs) => {
    requireCount('scatterElements', inputs, 3);
    const [base, indices, updates] = inputs as [TensorType, TensorType, TensorType];
    requireAxis('scatterElements', axis, base);
    requireInteger('scatterElements', indices, inputs);
    requireSameDType('scatterElements', [base, updates]);
    if (!sameShape(indices.shape, updates.shape)) {
      fail('scatterElements', 'indices and updates differ in shape', inputs);
    }
    requireDim('scatterElements', 'rank of indices', base.shape.length, indices.shape.length, inputs);
    return [{ dtype: base.dtype, shape: base.shape }];
  },
  indexAdd: ({ axis }, inputs) => {
    requireCount('indexAdd', inputs, 3);
    const [base, indices, updates] = inputs as [TensorType, TensorType, TensorType];
    requireAxis('indexAdd', axis, base);
    requireInteger('indexAdd', indices, inputs);
    requireSameDType('indexAdd', [base, updates]);
    requireRank('indexAdd', indices, 1, 'indices of one axis');
    if (!sameShape(updates.shape, replaceDim(base.shape, axis, indices.shape[0]!))) {
      fail('indexAdd', `updates must have base's shape with ${indices.shape[0]} on axis ${axis}`, inputs);
    }
    return [{ dtype: base.dtype, shape: base.shape }];
  },
  oneHot: ({ depth, dtype }, inputs) => {
    requireCount('oneHot', inputs, 1);
    if (!Number.isInteger(depth) || depth < 1) fail('oneHot', `depth must be 1, 2, …, got ${depth}`, inputs);
    requireInteger('oneHot', inputs[0]!, inputs);
    return [{ dtype, shape: [...inputs[0]!.shape, depth] }];
  },
  topK: ({ axis, k }, inputs) => {
    requireCount('topK', inputs, 1, 2);
    const [x] = inputs as [TensorType];
    requireAxis('topK', axis, x);
    const size = x.shape[axis]!;
    if (typeof k === 'number' && (!Number.isInteger(k) || k < 1 || (typeof size === 'number' && k > size))) {
      fail('topK', `k must be in 1..${size}, got ${k}`, inputs);
    }
    const count = inputs[1];
    if (count ? count.dtype !== 'int64' || !sameShape(count.shape, [1]) : typeof k !== 'number') {
      fail('topK', `k that is known at run time must be int64[1]`, inputs);
    }
    const shape = replaceDim(x.shape, axis, k);
    return [
      { dtype: x.dtype, shape },
      { dtype: 'int64', shape },
    ];
  },
  cumulativeSum: ({ axis }, inputs) => {
    requireCount('cumulativeSum', inputs, 1);
    if (inputs[0]!.dtype === 'bool') fail('cumulativeSum', 'needs numbers', inputs);
    requireAxis('cumulativeSum', axis, inputs[0]!);
    return [{ dtype: inputs[0]!.dtype, shape: inputs[0]!.shape }];
  },
  conv2d: convolution,
  convTranspose2d: (attributes, inputs) => {
    const { stride, padding, dilation, outputPadding } = attributes;
    const operator = 'convTranspose2d';
    requireWindows(operator, attributes);
    requireExtents(operator, 'outputPadding', outputPadding, 0);
    if (outputPadding.some((extent, side) => extent >= stride[side]!)) {
      fail(operator, `outputPadding ${outputPadding.join(', ')} must be below stride ${stride.join(', ')}`, inputs);
    }
    requireCount(operator, inputs, 2);
    requireFloating(operator, inputs);
    const dtype = requireSameDType(operator, inputs);
    const [x, weight] = inputs as [TensorType, TensorType];
    requireRank(operator, x, 4, '[batch, channels, height, width]');
    requireRank(operator, weight, 4, 'a weight [inChannels, outChannels, kernelHeight, kernelWidth]');
    requireDim(operator, 'input channels', weight.shape[0]!, x.shape[1]!, inputs);
    const spatial = [0, 1].map((side) => {
      const kernel = fixed(operator, 'kernel', weight.shape[2 + side]!, inputs);
      const size = fixed(operator, 'picture size', x.shape[2 + side]!, inputs);
      const grown = (size - 1) * stride[side]! + dilation[side]! * (kernel - 1) + 1 + outputPadding[side]!;
      const left = grown - padding[side]! - padding[side + 2]!;
      if (left < 1) fail(operator, `padding ${padding.join(', ')} leaves nothing of ${grown}`, inputs);
      return left;
    });
    return [{ dtype, shape: [x.shape[0]!, weight.shape[1]!, ...spatial] }];
  },
  groupNorm: ({ groups }, inputs) => {
    requireCount('groupNorm', inputs, 3);
    requireRank('groupNorm', inputs[0]!, 4, '[batch, channels, height, width]');
    const channels = fixed('groupNorm', 'channels', inputs[0]!.shape[1]!, inputs);
    if (channels % groups !== 0) fail('groupNorm', `${channels} channels do not divide into ${groups} groups`, inputs);
    return scaleAndBias('groupNorm', inputs, [3], channels);
  },
  layerNorm: (_, inputs) => scaleAndBias('layerNorm', inputs, [2, 3], lastDim('layerNorm', inputs)),
  rmsNorm: (_, inputs) => scaleAndBias('rmsNorm', inputs, [2], lastDim('rmsNorm', inputs)),
  resizeNearest: ({ scale }, inputs) => {
    requireCount('resizeNearest', inputs, 1);
    const [x] = inputs as [TensorType];
    requireRank('resizeNearest', x, 4, '[batch, channels, height, width]');
    if (!Number.isInteger(scale) || scale < 1) fail('resizeNearest', `scale must be 1, 2, …, got ${scale}`, inputs);
    const [batch, channels, height, width] = x.shape as [Dim, Dim, Dim, Dim];
    return [
      {
        dtype: x.dtype,
        shape: [
          batch,
          channels,
          fixed('resizeNearest', 'height', height, inputs) * scale,
          fixed('resizeNearest', 'width', width, inputs) * scale,
        ],
      },
    ];
  },
  resizeBilinear: ({ height, width }, inputs) => {
    requireCount('resizeBilinear', inputs, 1);
    const [x] = inputs as [TensorType];
    requireRank('resizeBilinear', x, 4, '[batch, channels, height, width]');
    requireExtents('resizeBilinear', 'height and width', [height, width], 1);
    fixed('resizeBilinear', 'height', x.shape[2]!, inputs);
    fixed('resizeBilinear', 'width', x.shape[3]!, inputs);
    return [{ dtype: x.dtype, shape: [x.shape[0]!, x.shape[1]!, height, width] }];
  },
  ...attentionShapeRules,
  stopGradient: (_, inputs) => {
    requireCount('stopGradient', inputs, 1);
    return [{ dtype: inputs[0]!.dtype, shape: inputs[0]!.shape }];
  },
  loop: ({ types }) => stated(types),
  cond: ({ types }) => stated(types),
};

/** Length of a slice `[start, end)` by `step`; named sizes need step 1 or an exact division. */
export function sliceLength(start: Dim, end: Dim, step: number): Dim {
  const span = subtractDims(end, start);
  if (!Number.isInteger(step) || step < 1) fail('slice', `step must be a positive whole number, got ${step}`);
  if (typeof span === 'number') {
    if (span < 0) fail('slice', `end ${end} lies before start ${start}`);
    return Math.ceil(span / step);
  }
  return step === 1 ? span : (divideDims(span, step) ?? fail('slice', `step ${step} over a named size ${span}`));
}
