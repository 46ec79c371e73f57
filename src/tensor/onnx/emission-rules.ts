/**
 * How each operator is written in ONNX (opset 21, and ONNX Runtime's own operators where they pay). A rule returns the
 * name of the first output. The element types that ONNX Runtime's CPU kernels lack are spelled out by simpler operators.
 */
import { dtypes } from '../dtype.ts';
import { TensorError } from '../error.ts';
import type { BinaryOperator, CompareOperator, OperatorName, ReduceOperator, UnaryOperator } from '../operators.ts';
import type { Node, Tensor } from '../tensor.ts';
import { emitGroupedQueryAttention, emitPackedAttention } from './attention-emission.ts';
import type { AttributeValue, Emitter } from './emitter.ts';

export type EmissionRule<K extends OperatorName> = (emit: Emitter, node: Node<K>, inputs: readonly string[]) => string;

const microsoft = { domain: 'com.microsoft' };

const plain =
  (type: string, attributes: Readonly<Record<string, AttributeValue>> = {}) =>
  (
    emit: Emitter,
    _node: Node<UnaryOperator | BinaryOperator | CompareOperator | OperatorName>,
    inputs: readonly string[],
  ) =>
    emit.node(type, inputs, attributes);

const reduce =
  (type: string): EmissionRule<ReduceOperator> =>
  (emit, { attributes: { axes, keepDims } }, [x]) =>
    emit.node(type, [x!, emit.int64(axes)], { keepdims: keepDims ? 1n : 0n });

const bigints = (values: readonly number[]): readonly bigint[] => values.map(BigInt);

/** Leaves and nodes with subgraphs are written by the compiler itself. */
const byCompiler = (): never => {
  throw new Error('internal: this operator is written by the compiler');
};

function float32(...tensors: readonly Tensor[]): boolean {
  return tensors.every((tensor) => tensor.dtype === 'float32');
}

/** Swaps the last two axes. */
function transposed(emit: Emitter, tensor: Tensor, name: string): string {
  const axes = [...Array(tensor.rank).keys()];
  [axes[tensor.rank - 2], axes[tensor.rank - 1]] = [tensor.rank - 1, tensor.rank - 2];
  return emit.node('Transpose', [name], { perm: bigints(axes) });
}

/** Zeros, or nothing, in the shape of a node's output. */
function zeros(emit: Emitter, node: Node): string {
  const { dtype, shape } = node.outputs[0]!;
  const filled = emit.node('ConstantOfShape', [emit.shape(shape, node)]);
  return dtype === 'float32' ? filled : emit.node('Cast', [filled], { to: BigInt(dtypes[dtype].onnx) });
}

export const emissionRules: { readonly [K in OperatorName]: EmissionRule<K> } = {
  input: byCompiler,
  weight: byCompiler,
  constant: byCompiler,
  loop: byCompiler,
  cond: byCompiler,
  dimension: (emit, node) => emit.node('Squeeze', [emit.size(node.attributes.dim, node as unknown as Node)]),

  negate: plain('Neg'),
  absolute: plain('Abs'),
  exponential: plain('Exp'),
  logarithm: plain('Log'),
  squareRoot: plain('Sqrt'),
  reciprocal: plain('Reciprocal'),
  sine: plain('Sin'),
  cosine: plain('Cos'),
  hyperbolicTangent: plain('Tanh'),
  sigmoid: plain('Sigmoid'),
  silu: (emit, { inputs: [x] }, [name]) =>
    float32(x!)
      ? emit.node('QuickGelu', [name!], { alpha: 1 }, microsoft)
      : emit.node('Mul', [name!, emit.node('Sigmoid', [name!])]),
  errorFunction: plain('Erf'),
  floor: plain('Floor'),
  ceiling: plain('Ceil'),
  round: plain('Round'),
  sign: plain('Sign'),
  add: plain('Add'),
  subtract: plain('Sub'),
  multiply: plain('Mul'),
  divide: plain('Div'),
  power: plain('Pow'),
  minimum: plain('Min'),
  maximum: plain('Max'),
  equal: plain('Equal'),
  less: plain('Less'),
  lessOrEqual: plain('LessOrEqual'),
  greater: plain('Greater'),
  greaterOrEqual: plain('GreaterOrEqual'),
  and: plain('And'),
  or: plain('Or'),
  not: plain('Not'),
  where: (emit, { inputs: [, a] }, [condition, first, second]) => {
    if (a!.dtype !== 'bool') return emit.node('Where', [condition!, first!, second!]);
    // ONNX Runtime chooses between numbers only.
    const whenTrue = emit.node('And', [condition!, first!]);
    return emit.node('Or', [whenTrue, emit.node('And', [emit.node('Not', [condition!]), second!])]);
  },
  stopGradient: plain('Identity'),
  cast: (emit, { attributes: { to } }, [x]) => emit.node('Cast', [x!], { to: BigInt(dtypes[to].onnx) }),
  gelu: (emit, { attributes: { approximate } }, [x]) => emit.node('Gelu', [x!], { approximate }),

  matmul: (emit, node, [left, right]) => {
    const { transposeA, transposeB } = node.attributes;
    const [a, b] = node.inputs;
    if (a!.shape.at(transposeA ? -2 : -1) === 0) {
      // An empty sum. ONNX Runtime 1.30 clears only the first matrix of a batch.
      return zeros(emit, node as unknown as Node);
    }
    if (!transposeA && !transposeB) return emit.node('MatMul', [left!, right!]);
    if (float32(a!, b!)) {
      const attributes = { transA: transposeA ? 1n : 0n, transB: transposeB ? 1n : 0n };
      return emit.node('FusedMatMul', [left!, right!], attributes, microsoft);
    }
    const first = transposeA ? transposed(emit, a!, left!) : left!;
    return emit.node('MatMul', [first, transposeB ? transposed(emit, b!, right!) : right!]);
  },
  softmax: (emit, { attributes: { axis } }, [x]) => emit.node('Softmax', [x!], { axis: BigInt(axis) }),
  logSoftmax: (emit, { attributes: { axis } }, [x]) => emit.node('LogSoftmax', [x!], { axis: BigInt(axis) }),
  reduceSum: reduce('ReduceSum'),
  reduceMean: reduce('ReduceMean'),
  reduceMax: reduce('ReduceMax'),
  reduceMin: reduce('ReduceMin'),
  argMax: (emit, { attributes: { axis } }, [x]) => emit.node('ArgMax', [x!], { axis: BigInt(axis), keepdims: 0n }),
  argMin: (emit, { attributes: { axis } }, [x]) => emit.node('ArgMin', [x!], { axis: BigInt(axis), keepdims: 0n }),

  reshape: (emit, node, [x]) => {
    const { shape } = node.attributes;
    const named = shape.filter((dim) => typeof dim === 'string').length;
    // One unknown size is what is left; no arithmetic is needed for it.
    const known = shape.map((dim) => (typeof dim === 'string' ? -1 : dim));
    const usable = named <= 1 && !known.includes(0);
    return emit.node('Reshape', [x!, usable ? emit.int64(known) : emit.shape(shape, node as unknown as Node)], {
      allowzero: 1n,
    });
  },
  transpose: (emit, { attributes: { permutation } }, [x]) =>
    emit.node('Transpose', [x!], { perm: bigints(permutation) }),
  slice: (emit, node, [x]) => {
    const { axis, start, length, step } = node.attributes;
    const user = node as unknown as Node;
    const first = emit.size(start, user);
    const numbers = typeof start === 'number' && typeof length === 'number';
    const span = typeof length === 'number' ? emit.int64([length * step]) : emit.size(length, user);
    const strided = typeof length === 'string' && step !== 1 ? emit.node('Mul', [span, emit.int64([step])]) : span;
    const end = numbers ? emit.int64([start + length * step]) : emit.node('Add', [first, strided]);
    return emit.node('Slice', [x!, first, end, emit.int64([axis]), emit.int64([step])]);
  },
  concat: (emit, { attributes: { axis } }, inputs) => emit.node('Concat', inputs, { axis: BigInt(axis) }),
  pad: (emit, { attributes: { before, after, value }, inputs: [x] }, [name]) =>
    emit.node('Pad', [name!, emit.int64([...before, ...after]), emit.scalar(x!.dtype, value)]),
  expand: (emit, node, [x]) => {
    const { shape } = node.attributes;
    // ONNX Runtime 1.30 takes an Expand to size 0 for one that changes nothing, and drops it.
    if (shape.includes(0)) return zeros(emit, node as unknown as Node);
    return emit.node('Expand', [x!, emit.shape(shape, node as unknown as Node)]);
  },
  gather: (emit, { attributes: { axis } }, inputs) => emit.node('Gather', inputs, { axis: BigInt(axis) }),
  gatherElements: (emit, { attributes: { axis } }, inputs) =>
    emit.node('GatherElements', inputs, { axis: BigInt(axis) }),
  scatterElements: (emit, { attributes: { axis, reduction } }, inputs) =>
    emit.node('ScatterElements', inputs, { axis: BigInt(axis), reduction }),
  indexAdd: (emit, { attributes: { axis }, inputs: [base] }, [name, indices, updates]) => {
    // ScatterND would add whole slices, but ONNX Runtime 1.30 adds them on several threads at once: where an index repeats,
    // sums get lost. ScatterElements adds one after the other; every element of a slice gets its slice's index.
    const column = base!.shape.map((_, at) => (at === axis ? -1 : 1));
    const spread = [emit.node('Reshape', [indices!, emit.int64(column)]), emit.node('Shape', [updates!])];
    const inputs = [name!, emit.node('Expand', spread), updates!];
    return emit.node('ScatterElements', inputs, { axis: BigInt(axis), reduction: 'add' });
  },
  oneHot: (emit, { attributes: { depth, dtype }, inputs: [positions] }, [name]) => {
    // The kernel takes int64 indices with at least one axis and gives float32; the rest is brought there and back.
    const whole = positions!.dtype === 'int64' ? name! : emit.node('Cast', [name!], { to: 7n });
    const indices = positions!.rank > 0 ? whole : emit.node('Reshape', [whole, emit.int64([1])]);
    const offAndOn = emit.names.constant('float32', [2], Float32Array.of(0, 1));
    const hot = emit.node('OneHot', [indices, emit.scalar('int64', depth), offAndOn]);
    const shaped = positions!.rank > 0 ? hot : emit.node('Reshape', [hot, emit.int64([depth])]);
    return dtype === 'float32' ? shaped : emit.node('Cast', [shaped], { to: BigInt(dtypes[dtype].onnx) });
  },
  topK: (emit, { attributes: { axis, k, largest } }, [x, count]) =>
    emit.node(
      'TopK',
      [x!, count ?? emit.int64([k as number])],
      { axis: BigInt(axis), largest: largest ? 1n : 0n, sorted: 1n },
      { outputs: 2 },
    ),
  cumulativeSum: (emit, { attributes: { axis, exclusive, reverse } }, [x]) =>
    emit.node('CumSum', [x!, emit.scalar('int64', axis)], {
      exclusive: exclusive ? 1n : 0n,
      reverse: reverse ? 1n : 0n,
    }),

  conv2d: (emit, { attributes: { stride, padding, dilation } }, inputs) =>
    emit.node('Conv', inputs, { strides: bigints(stride), pads: bigints(padding), dilations: bigints(dilation) }),
  convTranspose2d: (emit, { attributes: { stride, padding, dilation, outputPadding } }, inputs) =>
    emit.node('ConvTranspose', inputs, {
      strides: bigints(stride),
      pads: bigints(padding),
      dilations: bigints(dilation),
      output_padding: bigints(outputPadding),
    }),
  groupNorm: (emit, { attributes: { groups, epsilon }, inputs: [x] }, [name, scale, bias]) => {
    const { dtype } = x!;
    if (dtype !== 'float32') throw new TensorError('groupNorm', `runs in float32 only, got ${x}`);
    // Instance normalization of [batch, groups, rest], then scale and bias by channel.
    const flat = emit.node('Reshape', [name!, emit.int64([0, groups, -1])]);
    const ones = emit.names.constant('float32', [groups], new Float32Array(groups).fill(1));
    const zeros = emit.names.constant('float32', [groups], new Float32Array(groups));
    const normal = emit.node('InstanceNormalization', [flat, ones, zeros], { epsilon });
    const back = emit.node('Reshape', [normal, emit.node('Shape', [name!])], { allowzero: 1n });
    const channelwise = emit.int64([-1, 1, 1]);
    const scaled = emit.node('Mul', [back, emit.node('Reshape', [scale!, channelwise])]);
    return emit.node('Add', [scaled, emit.node('Reshape', [bias!, channelwise])]);
  },
  layerNorm: (emit, { attributes: { epsilon } }, inputs) =>
    emit.node('LayerNormalization', inputs, { epsilon, axis: -1n }),
  rmsNorm: (emit, { attributes: { epsilon } }, inputs) =>
    emit.node('SimplifiedLayerNormalization', inputs, { epsilon, axis: -1n }),
  resizeNearest: (emit, { attributes: { scale } }, [x]) => {
    const scales = emit.names.constant('float32', [4], Float32Array.of(1, 1, scale, scale));
    return emit.node('Resize', [x!, '', scales], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    });
  },
  resizeBilinear: (emit, node, [x]) => {
    const { height, width } = node.attributes;
    const [batch, channels] = node.inputs[0]!.shape;
    const sizes = emit.shape([batch!, channels!, height, width], node as unknown as Node);
    return emit.node('Resize', [x!, '', '', sizes], { mode: 'linear', coordinate_transformation_mode: 'half_pixel' });
  },
  rotaryEmbedding: (emit, { attributes: { heads }, inputs: [states, table] }, [x, cosine, sine, positions]) => {
    const rotate = (...inputs: string[]) =>
      emit.node('RotaryEmbedding', inputs, { num_heads: BigInt(heads) }, microsoft);
    const [tokens, rows] = [states!.shape[1]!, table!.shape[0]!];
    if (!(typeof tokens === 'number' && typeof rows === 'number' && rows < tokens))
      return rotate(x!, positions!, cosine!, sine!);
    // The kernel refuses tables with fewer rows than tokens: each token gets a row of its own.
    const places = emit.node('Reshape', [positions!, emit.int64([-1])]);
    const [cosines, sines] = [emit.node('Gather', [cosine!, places]), emit.node('Gather', [sine!, places])];
    const count = emit.node('Squeeze', [emit.node('Shape', [places])]);
    const numbers = emit.node('Range', [emit.scalar('int64', 0), count, emit.scalar('int64', 1)]);
    const joined = emit.node('Reshape', [x!, emit.int64([1, -1, states!.shape[2] as number])]);
    const turned = rotate(joined, emit.node('Unsqueeze', [numbers, emit.int64([0])]), cosines, sines);
    return emit.node('Reshape', [turned, emit.node('Shape', [x!])]);
  },
  groupedQueryAttention: emitGroupedQueryAttention,
  packedAttention: emitPackedAttention,
};
