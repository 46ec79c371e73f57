import type { DType, TypedArray } from './dtype.ts';

/** A concrete tensor in memory: what goes into a program and what comes out. Elements in row-major order. */
export interface TensorValue {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}
