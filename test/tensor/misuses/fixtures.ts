/** Tensors to misuse operators with, and the misuses that many operators share. */
import * as t from '../../../src/tensor/index.ts';
import type { OperatorName } from '../../../src/tensor/operators.ts';
import { apply } from '../../../src/tensor/tensor.ts';

export type Misuse = readonly [what: string, build: () => unknown, message: string | RegExp];

export const x = t.input('x', 'float32', [2, 3]);
export const y = t.input('y', 'float32', [4, 3]);
export const named = t.input('named', 'float32', ['batch', 3]);
export const vector = t.input('vector', 'float32', [3]);
export const scalar = t.input('scalar', 'float32', []);
export const double = t.input('double', 'float64', [2, 3]);
export const whole = t.input('whole', 'int64', [2, 3]);
export const bool = t.input('bool', 'bool', [2, 3]);
export const picture = t.input('picture', 'float32', [1, 2, 4, 4]);
export const open = t.input('open', 'float32', [1, 2, 'height', 4]);
export const kernel = t.input('kernel', 'float32', [5, 2, 3, 3]);
export const indices = t.input('indices', 'int64', [2]);

export const floatingOnly = (operator: OperatorName, build: (x: t.Tensor) => unknown): readonly Misuse[] => [
  ['whole numbers', () => build(whole), `${operator}: needs floating-point tensors; got whole: int64[2, 3]`],
];
export const anyNumber = (operator: OperatorName): readonly Misuse[] => [
  ['two tensors', () => apply(operator, {} as never, x, y), `${operator}: takes 1 tensors, got 2`],
];
export const pairs = (operator: OperatorName, build: (a: t.Tensor, b: t.Tensor) => unknown): readonly Misuse[] => [
  [
    'shapes that do not fit',
    () => build(x, y),
    `${operator}: shapes [2, 3] and [4, 3] do not broadcast: axis 0 is 2 in one and 4 in another`,
  ],
  ['a named and another size', () => build(named, y), 'axis 0 is batch in one and 4 in another'],
  [
    'two element types',
    () => build(x, double),
    `${operator}: needs tensors of one element type; got x: float32[2, 3], double: float64[2, 3]`,
  ],
  ['bools', () => build(bool, bool), `${operator}: needs numbers; got bool: bool[2, 3]`],
  [
    'two numbers',
    () => build(1 as never, 2 as never),
    `${operator}: needs a tensor on one side, got the numbers 1 and 2`,
  ],
];
export const bools = (operator: OperatorName, build: (a: t.Tensor, b: t.Tensor) => unknown): readonly Misuse[] => [
  ['numbers', () => build(bool, x), `${operator}: needs bool tensors; got bool: bool[2, 3], x: float32[2, 3]`],
];
export const folds = (operator: OperatorName, reduce: typeof t.reduceSum): readonly Misuse[] => [
  ['an axis too many', () => reduce(x, { axes: [2] }), `${operator}: axis 2: expected -2..1; got x: float32[2, 3]`],
  ['an axis too few', () => reduce(x, { axes: [-3] }), `${operator}: axis -3: expected -2..1; got x: float32[2, 3]`],
  ['an axis twice', () => reduce(x, { axes: [1, -1] }), `${operator}: axes 1, 1 repeat; got x: float32[2, 3]`],
];
export const oneAxis = (operator: OperatorName, build: (x: t.Tensor, axis: number) => unknown): readonly Misuse[] => [
  ['an axis that is not there', () => build(x, 5), `${operator}: axis 5: expected -2..1; got x: float32[2, 3]`],
  [
    'no axes at all',
    () => build(scalar, 0),
    `${operator}: axis 0: expected none, the tensor has no axes; got scalar: float32[]`,
  ],
];
export const truth = t.input('truth', 'bool', []);
