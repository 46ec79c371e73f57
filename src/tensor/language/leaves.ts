/** Where values come from: inputs, weights, constants and the sizes of axes. */
import { canonicalDim, canonicalShape, type Dim, elementCount, type Shape } from '../dimension.ts';
import { type DType, dtypes, type TypedArray } from '../dtype.ts';
import { TensorError } from '../error.ts';
import type { WeightLocation } from '../operators.ts';
import { apply, type Tensor } from '../tensor.ts';

/** A tensor or a number; a number takes the element type of the tensor beside it. */
export type Operand = Tensor | number;

/** A value fed when the program runs. Names are unique within a program. */
export function input(name: string, dtype: DType, shape: Shape): Tensor {
  return apply('input', { name, type: { dtype, shape: canonicalShape('input', shape) } });
}

/** A weight that stays in its file; `dtype` is the file's. */
export function weight(name: string, dtype: DType, shape: readonly number[], location: WeightLocation): Tensor {
  const expected = (elementCount(canonicalShape('weight', shape)) as number) * dtypes[dtype].bytes;
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
  const count = elementCount(canonicalShape('constant', shape)) as number;
  if (data.length !== count) {
    throw new TensorError('constant', `[${shape}] needs ${count} elements, got ${data.length}`);
  }
  return apply('constant', { type: { dtype, shape }, data: toArray(dtype, data) });
}

/** One number as a tensor without axes. */
export function scalar(dtype: DType, value: number): Tensor {
  return constant(dtype, [], [value]);
}

/** The size of an axis as an int64 scalar, known when the program runs. */
export function dimension(dim: Dim): Tensor {
  const size = canonicalDim(dim);
  return typeof size === 'number' ? scalar('int64', size) : apply('dimension', { dim: size });
}

/** A tensor of one repeated value. */
export function full(dtype: DType, shape: Shape, value: number): Tensor {
  const target = canonicalShape('full', shape);
  return apply('expand', { shape: target }, constant(dtype, new Array(shape.length).fill(1), [value]));
}

/** Gives a number the element type of its neighbour. */
export function operandLike(operand: Operand, neighbour: Tensor): Tensor {
  return typeof operand === 'number' ? scalar(neighbour.dtype, operand) : operand;
}

/** What an element of a whole-number type may be; int64 is limited to what a JavaScript number tells apart. */
const wholeRanges: { readonly [K in DType]?: readonly [low: number, high: number] } = {
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  int8: [-128, 127],
  uint8: [0, 255],
  bool: [0, 1],
};

function toArray(dtype: DType, data: TypedArray | readonly number[]): TypedArray {
  const ArrayType = dtypes[dtype].array;
  if (data instanceof ArrayType) return data as TypedArray;
  if (dtype === 'float16' || dtype === 'bfloat16') {
    throw new TensorError('constant', `${dtype} constants are given as a Uint16Array of bits`);
  }
  const [low, high] = wholeRanges[dtype] ?? [-Infinity, Infinity];
  for (const value of data) {
    // A fraction would be cut off and a large number would wrap, both in silence.
    if (dtype in wholeRanges && !(Number.isInteger(Number(value)) && value >= low && value <= high)) {
      throw new TensorError('constant', `${value} is not ${dtype}: expected a whole number in ${low}..${high}`, {
        value,
      });
    }
  }
  if (dtype === 'int64') return BigInt64Array.from(data as readonly number[], (value) => BigInt(value));
  return (ArrayType as Float64ArrayConstructor).from(data as readonly number[]) as unknown as TypedArray;
}
