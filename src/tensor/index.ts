/** The tensor language: symbolic tensors, operators with gradients, and compilation to ONNX. */
export type { CompiledProgram, PortType } from './compiled.ts';
export * from './dimension.ts';
export { type DType, dtypes, isFloating, type TypedArray } from './dtype.ts';
export { TensorError } from './error.ts';
export { gradients } from './gradient.ts';
export * from './language/attention.ts';
export * from './language/control.ts';
export * from './language/elementwise.ts';
export * from './language/indexing.ts';
export * from './language/layout.ts';
export * from './language/leaves.ts';
export * from './language/linear.ts';
export * from './language/normalization.ts';
export * from './language/reduction.ts';
export { type CompileOptions, compile } from './onnx/compile.ts';
export type { TensorType, WeightLocation } from './operators.ts';
export { Tensor } from './tensor.ts';
export type { TensorValue } from './value.ts';
