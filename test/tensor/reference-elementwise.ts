/** Reference values of operators that treat every element alone, in float64. */
import type { BinaryOperator, CompareOperator, UnaryOperator } from '../../src/tensor/operators.ts';

/** The error function by its power series, and by the continued fraction of erfc where the series cancels. */
export function errorFunction(x: number): number {
  const size = Math.abs(x);
  if (size < 2.5) {
    let term = size;
    let sum = size;
    for (let n = 1; Math.abs(term) > 1e-18; n++) {
      term *= -(size * size) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let n = 80; n >= 1; n--) fraction = n / 2 / (size + fraction);
  const complement = Math.exp(-size * size) / (Math.sqrt(Math.PI) * (size + fraction));
  return Math.sign(x) * (1 - complement);
}

function halvesToEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

export const unaryValues: { readonly [K in UnaryOperator]: (x: number) => number } = {
  negate: (x) => -x,
  absolute: Math.abs,
  exponential: Math.exp,
  logarithm: Math.log,
  squareRoot: Math.sqrt,
  reciprocal: (x) => 1 / x,
  sine: Math.sin,
  cosine: Math.cos,
  hyperbolicTangent: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  errorFunction,
  floor: Math.floor,
  ceiling: Math.ceil,
  round: halvesToEven,
  sign: Math.sign,
};

export const binaryValues: { readonly [K in BinaryOperator]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  power: (a, b) => a ** b,
  minimum: Math.min,
  maximum: Math.max,
};

export const compareValues: { readonly [K in CompareOperator]: (a: number, b: number) => boolean } = {
  equal: (a, b) => a === b,
  less: (a, b) => a < b,
  lessOrEqual: (a, b) => a <= b,
  greater: (a, b) => a > b,
  greaterOrEqual: (a, b) => a >= b,
};

/** `x·Φ(x)`, or its approximation by the hyperbolic tangent. */
export function geluValue(x: number, approximate: 'none' | 'tanh'): number {
  if (approximate === 'none') return (x / 2) * (1 + errorFunction(x / Math.SQRT2));
  return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}
