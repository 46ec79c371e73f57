import { type DType, dtypes } from '../tensor/dtype.ts';

/** The highest rank that is read; ONNX Runtime and PyTorch stay well below. */
export const maximumRank = 16;

/** One tensor of a checkpoint: what it is and where its bytes lie. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Path of the file that holds the bytes, as it was opened. */
  readonly file: string;
  /** Byte offset of the first element in `file`. */
  readonly offset: number;
  /** Bytes from the first element to the end of the last; with `strides`, the bytes that the elements span. */
  readonly byteLength: number;
  /** Elements from one index to the next along each axis; only where the tensor is not contiguous in row-major order. */
  readonly strides?: readonly number[];
}

/** The number of elements, or undefined where it is no safe integer. An empty shape has one element. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1n;
  for (const dimension of shape) count *= BigInt(dimension);
  return count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : undefined;
}

/** Bytes of a contiguous tensor, or undefined where that is no safe integer. */
export function byteCount(shape: readonly number[], dtype: DType): number | undefined {
  const count = elementCount(shape);
  if (count === undefined) return undefined;
  const bytes = count * dtypes[dtype].bytes;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** True if the elements lie one after another in row-major order; axes of one element may have any stride. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** Elements from the first to the last, both counted; undefined where that is no safe integer. Zero for empty tensors. */
export function spannedElements(shape: readonly number[], strides: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  let last = 0n;
  for (const [axis, dimension] of shape.entries()) last += BigInt(dimension - 1) * BigInt(strides[axis]!);
  return last < BigInt(Number.MAX_SAFE_INTEGER) ? Number(last) + 1 : undefined;
}
