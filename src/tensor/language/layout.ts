/** Operators that move elements and change none. A negative axis counts from the end. */
import {
  addDims,
  canonicalDim,
  type Dim,
  divideDims,
  elementCount,
  formatShape,
  multiplyDims,
  type Shape,
  sameShape,
} from '../dimension.ts';
import { TensorError } from '../error.ts';
import { sliceLength } from '../shape-rules.ts';
import { apply, type Tensor } from '../tensor.ts';

/** Turns an axis counted from the end into one counted from the start. */
export function normalizeAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** The same elements in another shape; one size may be −1 and is then what is left. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const open = shape.indexOf(-1);
  let target = shape.map((dim) => (dim === -1 ? dim : canonicalDim(dim)));
  if (open >= 0) {
    const others = multiplyDims(1, ...target.filter((_, axis) => axis !== open));
    const left = divideDims(elementCount(x.shape), others);
    if (left === undefined || target.lastIndexOf(-1) !== open) {
      throw new TensorError('reshape', `cannot fill −1 in ${formatShape(shape)} from ${x}`);
    }
    target = target.map((dim, axis) => (axis === open ? left : dim));
  }
  return sameShape(target, x.shape) ? x : apply('reshape', { shape: target }, x);
}

/** Adds an axis of size 1 in front of `axis` of the result. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis(axis, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Removes an axis of size 1. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis(axis, x.rank);
  if (x.shape[at] !== 1) throw new TensorError('squeeze', `axis ${axis} of ${x} has not size 1`);
  return reshape(
    x,
    x.shape.filter((_, index) => index !== at),
  );
}

/** Reorders the axes: axis i of the result is axis `permutation[i]` of `x`. */
export function transpose(x: Tensor, permutation: readonly number[]): Tensor {
  return permutation.every((from, to) => from === to) ? x : apply('transpose', { permutation }, x);
}

/** Elements `start`, `start + step`, … before `end` on one axis. `end` defaults to the axis' size. */
export function slice(x: Tensor, axis: number, start: Dim, end?: Dim, step = 1): Tensor {
  const at = normalizeAxis(axis, x.rank);
  const size = x.shape[at]!;
  const fromEnd = (dim: Dim): Dim => (typeof dim === 'number' && dim < 0 ? addDims(size, dim) : canonicalDim(dim));
  const first = fromEnd(start);
  const length = sliceLength(first, end === undefined ? size : fromEnd(end), step);
  if (first === 0 && length === size && step === 1) return x;
  return apply('slice', { axis: at, start: first, length, step }, x);
}

/** Cuts one axis into parts of the given sizes. */
export function split(x: Tensor, axis: number, sizes: readonly Dim[]): Tensor[] {
  let start: Dim = 0;
  return sizes.map((size) => {
    const end = addDims(start, size);
    const part = slice(x, axis, start, end);
    start = end;
    return part;
  });
}

/** Joins tensors along one axis. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  if (parts.length === 1) return parts[0]!;
  return apply('concat', { axis: normalizeAxis(axis, parts[0]?.rank ?? 0) }, ...parts);
}

/** Adds `before[axis]` and `after[axis]` elements of `value` around every axis. */
export function pad(x: Tensor, before: readonly number[], after: readonly number[], value = 0): Tensor {
  return [...before, ...after].every((amount) => amount === 0) ? x : apply('pad', { before, after, value }, x);
}

/** Repeats axes of size 1 up to `shape`. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const target = shape.map(canonicalDim);
  return sameShape(target, x.shape) ? x : apply('expand', { shape: target }, x);
}
