/** Operators that move elements and change none. A negative axis counts from the end. */
import {
  addDims,
  canonicalDim,
  canonicalShape,
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

/** Turns an axis counted from the end into one counted from the start. One that does not exist stays as it is, for the error. */
export function normalizeAxis(axis: number, rank: number): number {
  return axis < 0 && axis >= -rank ? axis + rank : axis;
}

/** The same elements in another shape; one size may be −1 and is then what is left. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const open = shape.indexOf(-1);
  let target: Shape = open < 0 ? canonicalShape('reshape', shape) : shape.map(canonicalDim);
  if (open >= 0) {
    const others = multiplyDims(1, ...target.filter((_, axis) => axis !== open));
    const left = divideDims(elementCount(x.shape), others);
    if (left === undefined || target.lastIndexOf(-1) !== open) {
      throw new TensorError('reshape', `cannot fill −1 in ${formatShape(shape)} from ${x}`);
    }
    target = canonicalShape(
      'reshape',
      target.map((dim, axis) => (axis === open ? left : dim)),
    );
  }
  return sameShape(target, x.shape) ? x : apply('reshape', { shape: target }, x);
}

/** Adds an axis of size 1 in front of `axis` of the result. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis(axis, x.rank + 1);
  if (!(at >= 0 && at <= x.rank)) throw new TensorError('unsqueeze', `${x} cannot get an axis ${axis}`);
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
  const unchanged = permutation.length === x.rank && permutation.every((from, to) => from === to);
  return unchanged ? x : apply('transpose', { permutation }, x);
}

/** Elements `start`, `start + step`, … before `end` on one axis. `end` defaults to the axis' size. */
export function slice(x: Tensor, axis: number, start: Dim, end?: Dim, step = 1): Tensor {
  const at = normalizeAxis(axis, x.rank);
  const size = x.shape[at];
  if (size === undefined) throw new TensorError('slice', `axis ${axis} is not one of ${x}`);
  const fromEnd = (dim: Dim): Dim => (typeof dim === 'number' && dim < 0 ? addDims(size, dim) : canonicalDim(dim));
  const first = fromEnd(start);
  const length = sliceLength(first, end === undefined ? size : fromEnd(end), step);
  if (first === 0 && length === size && step === 1) return x;
  return apply('slice', { axis: at, start: first, length, step }, x);
}

/** Cuts one axis into parts of the given sizes, which add up to the axis'. */
export function split(x: Tensor, axis: number, sizes: readonly Dim[]): Tensor[] {
  const whole = x.shape[normalizeAxis(axis, x.rank)];
  if (addDims(...sizes) !== whole) {
    throw new TensorError(
      'split',
      `sizes ${formatShape(sizes)} add up to ${addDims(...sizes)}, axis ${axis} of ${x} does not`,
    );
  }
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
  const complete = before.length === x.rank && after.length === x.rank;
  return complete && [...before, ...after].every((amount) => amount === 0)
    ? x
    : apply('pad', { before, after, value }, x);
}

/** Repeats axes of size 1 up to `shape`. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const target = canonicalShape('expand', shape);
  return sameShape(target, x.shape) ? x : apply('expand', { shape: target }, x);
}
