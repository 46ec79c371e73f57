/** Where values come from: inputs, weights, constants and the sizes of axes. */
import { canonicalDim, type Dim, elementCount, type Shape } from '../dimension.ts';
import { type DType, dtypes, type TypedArray } from '../dtype.ts';
import { TensorError } from '../error.ts';
import type { WeightLocation } from '../operators.ts';
import { apply, type Tensor } from '../tensor.ts';

/** A tensor or a number; a number takes the element type of the tensor beside it. */
export type Operand = Tensor | number;

/** A value fed when the program runs. Names are unique within a program. */
export function input(name: string, dtype: DType, shape: Shape): Tensor {
  return apply('input', { name, type: { dtype, shape: shape.map(canonicalDim) } });
}

/** A weight that stays in its file; `dtype` is the file's. */
export function weight(name: string, dtype: DType, shape: readonly number[], location: WeightLocation): Tensor {
  const expected = (elementCount(shape) as number) * dtypes[dtype].bytes;
  if (location.byteLength !== expected) {
    throw new TensorError(
      'weight',
      `${name} of ${dtype}[${shape}] takes ${expected} bytes, got ${location.byteLength}`,
    );
  }
  return apply('weight', { name, type: { dtype, shape }, location });
}

/** A value written into the program. `data` has one element for each of `shape`, row-major. */
export function constant(dtype: DType, shape: readonly number[], data: TypedArray | readonly number[]): Tensor {
  const count = elementCount(shape) as number;
  if (data.length !== count)
    throw new TensorError('constant', `[${shape}] needs ${count} elements, got ${data.length}`);
  return apply('constant', { type: { dtype, shape }, data: toArray(dtype, data) });
}

/** One number as a tensor without axes. */
export function scalar(dtype: DType, value: number): Tensor {
  return constant(dtype, [], [value]);
}

/** The size of an axis as an int64 scalar, known when the program runs. */
export function dimension(dim: Dim): Tensor {
  return typeof dim === 'number' ? scalar('int64', dim) : apply('dimension', { dim });
}

/** A tensor of one repeated value. */
export function full(dtype: DType, shape: Shape, value: number): Tensor {
  return apply('expand', { shape }, constant(dtype, new Array(shape.length).fill(1), [value]));
}

/** Gives a number the element type of its neighbour. */
export function operandLike(operand: Operand, neighbour: Tensor): Tensor {
  return typeof operand === 'number' ? scalar(neighbour.dtype, operand) : operand;
}

function toArray(dtype: DType, data: TypedArray | readonly number[]): TypedArray {
  const ArrayType = dtypes[dtype].array;
  if (data instanceof ArrayType) return data as TypedArray;
  if (dtype === 'float16' || dtype === 'bfloat16') {
    throw new TensorError('constant', `${dtype} constants are given as a Uint16Array of bits`);
  }
  if (dtype === 'int64') return BigInt64Array.from(data as readonly number[], (value) => BigInt(value));
  return (ArrayType as Float64ArrayConstructor).from(data as readonly number[]) as unknown as TypedArray;
}
