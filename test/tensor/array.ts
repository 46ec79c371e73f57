/** Plain float64 arrays for reference computations: clear loops, nothing clever, nothing shared with the code under test. */

/** Elements in row-major order. */
export interface NumericArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Every position of a shape, in row-major order. */
export function positionsOf(shape: readonly number[]): number[][] {
  const positions: number[][] = [];
  for (let index = 0; index < countOf(shape); index++) {
    const position: number[] = new Array(shape.length);
    let left = index;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position[axis] = left % shape[axis]!;
      left = Math.floor(left / shape[axis]!);
    }
    positions.push(position);
  }
  return positions;
}

/** Place of a position in the row-major order. */
export function placeOf(shape: readonly number[], position: readonly number[]): number {
  let place = 0;
  shape.forEach((size, axis) => {
    const at = position[axis]!;
    if (!(Number.isInteger(at) && at >= 0 && at < size)) throw new RangeError(`position [${position}] of [${shape}]`);
    place = place * size + at;
  });
  return place;
}

export function at(array: NumericArray, position: readonly number[]): number {
  return array.data[placeOf(array.shape, position)]!;
}

/** The element that broadcasting puts at a position of a larger shape: axes are aligned at the end, size 1 repeats. */
export function atBroadcast(array: NumericArray, position: readonly number[]): number {
  const tail = position.slice(position.length - array.shape.length);
  return at(
    array,
    tail.map((index, axis) => (array.shape[axis] === 1 ? 0 : index)),
  );
}

/** An array of which every element is computed from its position. */
export function tabulate(shape: readonly number[], value: (position: number[]) => number): NumericArray {
  return { shape, data: Float64Array.from(positionsOf(shape), value) };
}

export function numericArray(shape: readonly number[], data: ArrayLike<number | bigint>): NumericArray {
  if (data.length !== countOf(shape)) throw new RangeError(`[${shape}] does not have ${data.length} elements`);
  return { shape, data: Float64Array.from(data as ArrayLike<number>, Number) };
}

export function scalarArray(value: number): NumericArray {
  return { shape: [], data: Float64Array.of(value) };
}

/** `list` with the element at `index` replaced. */
export function replaced<Item>(list: readonly Item[], index: number, item: Item): Item[] {
  return list.map((old, at) => (at === index ? item : old));
}

/** The shape that operands have together, by the broadcasting rule of NumPy. */
export function broadcastShape(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    const size = sizes.find((candidate) => candidate !== 1) ?? 1;
    if (sizes.some((other) => other !== 1 && other !== size)) throw new RangeError(`${shapes.join(' and ')}`);
    return size;
  });
}
