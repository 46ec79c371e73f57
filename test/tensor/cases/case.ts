/** The words in which operator cases are written: what is fed, what is built, what shape must come out. */
import type { DType, Shape, Tensor } from '../../../src/tensor/index.ts';
import { isFloating, uniform } from '../../../src/tensor/index.ts';

/** One fed tensor. Values are drawn from a generator of the case's own. */
export interface Feed {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly values: (random: () => number, count: number) => readonly number[];
}

/** One use of an operator. */
export interface OperatorCase {
  readonly name: string;
  /** Values of the names in shapes. */
  readonly sizes?: Readonly<Record<string, number>>;
  readonly feeds: readonly Feed[];
  readonly build: (...inputs: Tensor[]) => Tensor | readonly Tensor[];
  /** The shapes that the shape rule must give, in symbols. */
  readonly expected: readonly Shape[];
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** Feeds by which the gradient is not checked: they stand at a kink. */
  readonly kinks?: readonly number[];
}

/** What is known of an operator's gradient. */
export type GradientClaim =
  /** Every floating-point feed has one, equal to central differences. */
  | 'checked'
  /** The result moves in steps or is cut off: a source that only leads here is refused by `gradients`. */
  | { readonly absent: string }
  /** Asking for it is an error that says what to do instead. */
  | { readonly refused: RegExp };

export interface OperatorCases {
  readonly gradient: GradientClaim;
  readonly cases: readonly OperatorCase[];
}

/** Uniform values between two bounds. */
export function float(shape: Shape, low = -2, high = 2): Feed {
  return { dtype: 'float32', shape, values: (random, count) => draw(count, () => low + (high - low) * random()) };
}

export function positive(shape: Shape): Feed {
  return float(shape, 0.5, 2);
}

/** Values of either sign, none near 0. */
export function nonzero(shape: Shape): Feed {
  const value = (random: () => number) => (0.5 + 1.5 * random()) * (random() < 0.5 ? -1 : 1);
  return { dtype: 'float32', shape, values: (random, count) => draw(count, () => value(random)) };
}

/** Values in random order, a quarter apart: the order of none changes under a small push. */
export function distinct(shape: Shape): Feed {
  const values = (random: () => number, count: number) => {
    const keys = draw(count, (index) => ({ index, key: random() })).sort((a, b) => a.key - b.key);
    return keys.map(({ index }) => (index - count / 2) / 4);
  };
  return { dtype: 'float32', shape, values };
}

/** Whole numbers in `low..high`. */
export function integers(shape: Shape, low: number, high: number, dtype: DType = 'int64'): Feed {
  const values = (random: () => number, count: number) =>
    draw(count, () => low + Math.floor((high - low + 1) * random()));
  return { dtype, shape, values };
}

export function bools(shape: Shape): Feed {
  return integers(shape, 0, 1, 'bool');
}

/** Fed only for the sizes that its shape names. */
export function sized(shape: Shape): Feed {
  return integers(shape, 0, 0);
}

/** Values given one by one. */
export function exactly(dtype: DType, shape: Shape, values: readonly number[]): Feed {
  return { dtype, shape, values: () => values };
}

function draw<Item>(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** A case without sizes of its own. */
export function operatorCase(
  name: string,
  feeds: readonly Feed[],
  build: OperatorCase['build'],
  expected: Shape | readonly Shape[],
  more: Partial<OperatorCase> = {},
): OperatorCase {
  const several = expected.length > 0 && Array.isArray(expected[0]);
  return { name, feeds, build, expected: (several ? expected : [expected]) as readonly Shape[], ...more };
}

/** Shapes that every element-by-element operator must take: no axes, one, sizes 1 and 0, a named size, and random ones. */
export function shapesFor(seed: number): { readonly shape: Shape; readonly sizes: Readonly<Record<string, number>> }[] {
  const shapes: Shape[] = [[], [5], ['n', 3], [2, 1, 3], [0, 3]];
  const rank = 3 + Math.floor(2 * uniform(seed, 0, 0));
  shapes.push(Array.from({ length: rank }, (_, axis) => 1 + Math.floor(3 * uniform(seed, 1, axis))));
  return shapes.map((shape) => ({ shape, sizes: { n: 4 } }));
}

/** Pairs of shapes that broadcast, with the shape of the result. */
export function pairsFor(seed: number): { readonly left: Shape; readonly right: Shape; readonly result: Shape }[] {
  const pairs: [Shape, Shape, Shape][] = [
    [[], [], []],
    [[3], [], [3]],
    [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    [[2, 3], [3], [2, 3]],
    [
      [2, 1, 3],
      [4, 1],
      [2, 4, 3],
    ],
    [
      ['n', 3],
      ['n', 1],
      ['n', 3],
    ],
    [
      ['n', 1],
      [1, 'm'],
      ['n', 'm'],
    ],
    [
      [0, 3],
      [1, 3],
      [0, 3],
    ],
  ];
  // A random shape of four axes; each axis may be 1 on either side, the right side may lack leading axes.
  const whole = Array.from({ length: 4 }, (_, axis) => 1 + Math.floor(3 * uniform(seed, 2, axis)));
  const single = whole.map((_, axis) => uniform(seed, 3, axis) < 0.4);
  const missing = Math.floor(3 * uniform(seed, 4, 0));
  pairs.push([
    whole.map((size, axis) => (single[axis] ? 1 : size)),
    whole.map((size, axis) => (single[axis] ? size : 1)).slice(missing),
    whole.map((size, axis) => (single[axis] && axis < missing ? 1 : size)),
  ]);
  return pairs.map(([left, right, result]) => ({ left, right, result }));
}

export function floatingFeeds(feeds: readonly Feed[]): number[] {
  return feeds.flatMap(({ dtype }, index) => (isFloating(dtype) ? [index] : []));
}
