/**
 * The vocabulary of the tensor language: every operator and what it carries besides its input tensors. Three tables are
 * keyed by it, and a missing rule is a compile error: `shape-rules.ts`, `gradient-rules.ts`, `onnx/emission-rules.ts`.
 */
import type { Dim, Shape } from './dimension.ts';
import type { DType, TypedArray } from './dtype.ts';

/** Element type and shape of a tensor. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Bytes of a weight inside a file, in the file's own element type, row-major. */
export interface WeightLocation {
  /** Path of the file relative to the folder that is named when the program is loaded; `/` between parts. */
  readonly file: string;
  /** Position of the first byte. */
  readonly offset: number;
  readonly byteLength: number;
}

/** Marks where a tensor lives: a loop's body or a branch. The program itself has no scope. */
export interface Scope {
  readonly kind: 'loop' | 'branch';
}

/** A part of a program that runs inside a `loop` or a `cond`. `Value` is the tensor that the tracer uses. */
export interface Subgraph<Value> {
  readonly scope: Scope;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

type Nothing = Record<never, never>;

export type UnaryOperator =
  | 'negate'
  | 'absolute'
  | 'exponential'
  | 'logarithm'
  | 'squareRoot'
  | 'reciprocal'
  | 'sine'
  | 'cosine'
  | 'hyperbolicTangent'
  | 'sigmoid'
  | 'silu'
  | 'errorFunction'
  | 'floor'
  | 'ceiling'
  | 'round'
  | 'sign';
export type BinaryOperator = 'add' | 'subtract' | 'multiply' | 'divide' | 'power' | 'minimum' | 'maximum';
export type CompareOperator = 'equal' | 'less' | 'lessOrEqual' | 'greater' | 'greaterOrEqual';
export type LogicOperator = 'and' | 'or';
export type ReduceOperator = 'reduceSum' | 'reduceMean' | 'reduceMax' | 'reduceMin';
export type ArgumentOperator = 'argMax' | 'argMin';

/** What each operator carries. `Value` is the tensor that the tracer uses. */
export type OperatorAttributes<Value = unknown> = {
  /** Fed when the program runs; inside a subgraph, a loop's state. */
  input: { readonly name: string; readonly type: TensorType; readonly scope?: Scope };
  /** A weight that lies in a file. */
  weight: { readonly name: string; readonly type: TensorType; readonly location: WeightLocation };
  /** A value written into the program. */
  constant: { readonly type: TensorType; readonly data: TypedArray };
  /** The run-time value of a size, int64 scalar. */
  dimension: { readonly dim: Dim };
  cast: { readonly to: DType };
  not: Nothing;
  where: Nothing;
  gelu: { readonly approximate: 'none' | 'tanh' };
  matmul: { readonly transposeA: boolean; readonly transposeB: boolean };
  softmax: { readonly axis: number };
  logSoftmax: { readonly axis: number };
  reshape: { readonly shape: Shape };
  transpose: { readonly permutation: readonly number[] };
  /** Sizes may be named; starts and steps are numbers. `length` is the result's size on that axis. */
  slice: {
    readonly axis: number;
    readonly start: Dim;
    readonly length: Dim;
    readonly step: number;
  };
  concat: { readonly axis: number };
  pad: { readonly before: readonly number[]; readonly after: readonly number[]; readonly value: number };
  expand: { readonly shape: Shape };
  gather: { readonly axis: number };
  gatherElements: { readonly axis: number };
  scatterElements: { readonly axis: number; readonly reduction: 'none' | 'add' };
  /** `base` with `updates[i]` added to its slice `indices[i]` on `axis`. */
  indexAdd: { readonly axis: number };
  oneHot: { readonly depth: number; readonly dtype: DType };
  /** Input 1, where there is one, is k as int64 of shape [1]. */
  topK: { readonly axis: number; readonly k: Dim; readonly largest: boolean };
  cumulativeSum: { readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean };
  conv2d: ConvolutionAttributes;
  convTranspose2d: ConvolutionAttributes & { readonly outputPadding: readonly [number, number] };
  groupNorm: { readonly groups: number; readonly epsilon: number };
  layerNorm: { readonly epsilon: number };
  rmsNorm: { readonly epsilon: number };
  resizeNearest: { readonly scale: number };
  resizeBilinear: { readonly height: number; readonly width: number };
  rotaryEmbedding: { readonly heads: number };
  groupedQueryAttention: { readonly heads: number; readonly keyValueHeads: number; readonly scale: number };
  packedAttention: { readonly heads: number; readonly keyValueHeads: number; readonly scale: number };
  stopGradient: Nothing;
  loop: {
    readonly body: Subgraph<Value>;
    /** How many of the body's outputs, after the condition, are loop state; the others are stacked, one per turn. */
    readonly states: number;
    readonly types: readonly TensorType[];
  };
  cond: {
    readonly whenTrue: Subgraph<Value>;
    readonly whenFalse: Subgraph<Value>;
    readonly types: readonly TensorType[];
  };
} & { [K in UnaryOperator | BinaryOperator | CompareOperator | LogicOperator]: Nothing } & {
  [K in ReduceOperator]: { readonly axes: readonly number[]; readonly keepDims: boolean };
} & { [K in ArgumentOperator]: { readonly axis: number } };

export interface ConvolutionAttributes {
  readonly stride: readonly [number, number];
  /** Rows above and below, columns left and right. */
  readonly padding: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation: readonly [number, number];
}

export type OperatorName = keyof OperatorAttributes;
