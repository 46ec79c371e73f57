/** Operators that read and write by position. Indices are int64 or int32. */
import type { Dim } from '../dimension.ts';
import type { DType } from '../dtype.ts';
import { apply, applyAll, type Tensor } from '../tensor.ts';
import { add } from './elementwise.ts';
import { normalizeAxis, reshape } from './layout.ts';
import { constant, dimension, full } from './leaves.ts';
import { cumulativeSum } from './reduction.ts';

/** Slices of `x` at `indices` on one axis; the axis becomes the shape of `indices`. */
export function gather(x: Tensor, indices: Tensor, axis = 0): Tensor {
  return apply('gather', { axis: normalizeAxis(axis, x.rank) }, x, indices);
}

/** Elements of `x` at `indices` along one axis; both have the same rank. */
export function gatherElements(x: Tensor, indices: Tensor, axis: number): Tensor {
  return apply('gatherElements', { axis: normalizeAxis(axis, x.rank) }, x, indices);
}

/** `base` with the elements at `indices` along one axis replaced by `updates`, or with `updates` added. */
export function scatterElements(
  base: Tensor,
  indices: Tensor,
  updates: Tensor,
  axis: number,
  reduction: 'none' | 'add' = 'none',
): Tensor {
  return apply('scatterElements', { axis: normalizeAxis(axis, base.rank), reduction }, base, indices, updates);
}

/** `base` with `updates[i]` added to its slice `indices[i]` on one axis; repeated indices add up. */
export function indexAdd(base: Tensor, indices: Tensor, updates: Tensor, axis = 0): Tensor {
  return apply('indexAdd', { axis: normalizeAxis(axis, base.rank) }, base, indices, updates);
}

/** 1 at the index and 0 elsewhere, on a new last axis of size `depth`; an index below 0 counts from the end. */
export function oneHot(indices: Tensor, depth: number, dtype: DType = 'float32'): Tensor {
  return apply('oneHot', { depth, dtype }, indices);
}

/**
 * The `k` largest (or smallest) elements on an axis, in order, and their positions. Where `k` is a tensor, int64 of shape
 * `[1]`, the results' size on that axis is named `name`.
 */
export function topK(
  x: Tensor,
  k: number | Tensor,
  { axis = -1, largest = true, name = 'candidates' } = {},
): { values: Tensor; indices: Tensor } {
  const fixed = typeof k === 'number';
  const attributes = { axis: normalizeAxis(axis, x.rank), k: fixed ? k : name, largest };
  const [values, indices] = applyAll('topK', attributes, fixed ? [x] : [x, k]);
  return { values: values!, indices: indices! };
}

/** `0, 1, …, size − 1` as int64. */
export function arange(size: Dim): Tensor {
  if (typeof size === 'number') {
    return constant(
      'int64',
      [size],
      Array.from({ length: size }, (_, index) => index),
    );
  }
  return cumulativeSum(full('int64', [size], 1), 0, { exclusive: true });
}

/** `start, start + 1, …`: `size` positions from an int64 scalar on. */
export function positionsFrom(start: Tensor, size: Dim): Tensor {
  return add(arange(size), reshape(start, [1]));
}

/** The last element's position on an axis of named size, int64 of shape `[1]`. */
export function lastPosition(size: Dim): Tensor {
  return reshape(add(dimension(size), -1), [1]);
}
