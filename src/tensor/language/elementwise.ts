/** Operators that treat every element alone. Shapes broadcast as in NumPy; a number takes its neighbour's type. */
import type { DType } from '../dtype.ts';
import { TensorError } from '../error.ts';
import type { BinaryOperator, CompareOperator, LogicOperator, UnaryOperator } from '../operators.ts';
import { apply, type Tensor } from '../tensor.ts';
import { type Operand, operandLike } from './leaves.ts';

const unary = (operator: UnaryOperator) => (x: Tensor) => apply(operator, {}, x);

function operands(operator: string, a: Operand, b: Operand): [Tensor, Tensor] {
  if (typeof a !== 'number') return [a, operandLike(b, a)];
  if (typeof b !== 'number') return [operandLike(a, b), b];
  throw new TensorError(operator, `needs a tensor on one side, got the numbers ${a} and ${b}`);
}

const binary = (operator: BinaryOperator | CompareOperator) => (a: Operand, b: Operand) =>
  apply(operator, {}, ...operands(operator, a, b));

const logic = (operator: LogicOperator) => (a: Tensor, b: Tensor) => apply(operator, {}, a, b);

export const negate = unary('negate');
export const absolute = unary('absolute');
export const exponential = unary('exponential');
export const logarithm = unary('logarithm');
export const squareRoot = unary('squareRoot');
export const reciprocal = unary('reciprocal');
export const sine = unary('sine');
export const cosine = unary('cosine');
export const hyperbolicTangent = unary('hyperbolicTangent');
export const sigmoid = unary('sigmoid');
/** `x · sigmoid(x)`, also called swish. */
export const silu = unary('silu');
export const errorFunction = unary('errorFunction');
export const floor = unary('floor');
export const ceiling = unary('ceiling');
/** To the nearest whole number, halves to even. */
export const round = unary('round');
/** −1, 0 or 1. */
export const sign = unary('sign');

export const add = binary('add');
export const subtract = binary('subtract');
export const multiply = binary('multiply');
export const divide = binary('divide');
export const power = binary('power');
export const minimum = binary('minimum');
export const maximum = binary('maximum');
export const equal = binary('equal');
export const less = binary('less');
export const lessOrEqual = binary('lessOrEqual');
export const greater = binary('greater');
export const greaterOrEqual = binary('greaterOrEqual');
export const and = logic('and');
export const or = logic('or');

export function not(x: Tensor): Tensor {
  return apply('not', {}, x);
}

export function square(x: Tensor): Tensor {
  return multiply(x, x);
}

/** `condition ? a : b`, element by element. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  return apply('where', {}, condition, ...operands('where', a, b));
}

/** Limits every element to `[low, high]`. */
export function clip(x: Tensor, low: Operand, high: Operand): Tensor {
  return minimum(maximum(x, low), high);
}

/** Converts the element type; to a whole-number type it cuts off the fraction. */
export function cast(x: Tensor, to: DType): Tensor {
  return x.dtype === to ? x : apply('cast', { to }, x);
}

/** Gaussian error linear unit; `tanh` is the approximation of Hendrycks & Gimpel 2016. */
export function gelu(x: Tensor, approximate: 'none' | 'tanh' = 'none'): Tensor {
  return apply('gelu', { approximate }, x);
}

/** The value of `x` with no gradient flowing back through it. */
export function stopGradient(x: Tensor): Tensor {
  return apply('stopGradient', {}, x);
}
