/** Operators that fold axes. Without `axes` all are folded; a negative axis counts from the end. */
import { type Shape, sameShape } from '../dimension.ts';
import type { ReduceOperator } from '../operators.ts';
import { apply, type Tensor } from '../tensor.ts';
import { add, exponential, logarithm, subtract } from './elementwise.ts';
import { normalizeAxis, reshape } from './layout.ts';

export interface ReduceOptions {
  /** Default: all axes. */
  readonly axes?: readonly number[];
  /** Keep folded axes with size 1. Default false. */
  readonly keepDims?: boolean;
}

const reduce =
  (operator: ReduceOperator) =>
  (x: Tensor, { axes, keepDims = false }: ReduceOptions = {}): Tensor => {
    const folded = (axes ?? x.shape.map((_, axis) => axis)).map((axis) => normalizeAxis(axis, x.rank));
    if (folded.length === 0) return x;
    return apply(operator, { axes: folded.sort((a, b) => a - b), keepDims }, x);
  };

export const reduceSum = reduce('reduceSum');
export const reduceMean = reduce('reduceMean');
export const reduceMax = reduce('reduceMax');
export const reduceMin = reduce('reduceMin');

/** Position of the largest element on an axis, int64; the first one where several are equal. */
export function argMax(x: Tensor, axis: number): Tensor {
  return apply('argMax', { axis: normalizeAxis(axis, x.rank) }, x);
}

/** Position of the smallest element on an axis, int64; the first one where several are equal. */
export function argMin(x: Tensor, axis: number): Tensor {
  return apply('argMin', { axis: normalizeAxis(axis, x.rank) }, x);
}

export function softmax(x: Tensor, axis = -1): Tensor {
  return apply('softmax', { axis: normalizeAxis(axis, x.rank) }, x);
}

export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return apply('logSoftmax', { axis: normalizeAxis(axis, x.rank) }, x);
}

/** `log Σ exp(x)` along one axis, without overflow; the axis goes. */
export function logSumExp(x: Tensor, axis = -1): Tensor {
  const at = normalizeAxis(axis, x.rank);
  const largest = reduceMax(x, { axes: [at], keepDims: true });
  const sum = reduceSum(exponential(subtract(x, largest)), { axes: [at], keepDims: true });
  const kept = add(logarithm(sum), largest);
  return reshape(
    kept,
    x.shape.filter((_, index) => index !== at),
  );
}

/** Running sum along an axis; `exclusive` leaves the element itself out, `reverse` runs from the end. */
export function cumulativeSum(x: Tensor, axis: number, { exclusive = false, reverse = false } = {}): Tensor {
  return apply('cumulativeSum', { axis: normalizeAxis(axis, x.rank), exclusive, reverse }, x);
}

/** Folds the axes along which a tensor of `shape` was repeated to become as large as `x`: the transpose of broadcasting. */
export function sumToShape(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.rank - shape.length;
  const axes = x.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < lead || (shape[axis - lead] === 1 && x.shape[axis] !== 1));
  return reshape(reduceSum(x, { axes, keepDims: true }), shape);
}
