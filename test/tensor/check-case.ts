/** Runs an operator's case: compiled and in ONNX Runtime against the float64 reference, gradients against central differences. */
import { expect } from 'vitest';
import {
  add,
  cast,
  compile,
  type DType,
  dimTerms,
  gradients,
  input,
  isFloating,
  multiply,
  reduceSum,
  type Shape,
  type Tensor,
  uniform,
} from '../../src/tensor/index.ts';
import type { OperatorName } from '../../src/tensor/operators.ts';
import { topologicalOrder } from '../../src/tensor/walk.ts';
import { countOf, type NumericArray, numericArray } from './array.ts';
import { type Feed, floatingFeeds, type GradientClaim, type OperatorCase } from './cases/case.ts';
import { evaluateReference } from './reference.ts';
import { runProgram } from './session.ts';

export interface CheckOptions {
  /** Element type that stands in for float32. Default float32. */
  readonly precision?: 'float32' | 'float64';
  readonly seed: number;
}

function concrete(shape: Shape, sizes: Readonly<Record<string, number>>): number[] {
  return shape.map((dim) =>
    dimTerms(dim).reduce(
      (sum, { coefficient, names }) => sum + names.reduce((product, name) => product * sizes[name]!, coefficient),
      0,
    ),
  );
}

/** The largest difference allowed, as a share of the largest expected value. */
export function expectClose(actual: NumericArray, expected: NumericArray, tolerance: number, what: string): void {
  expect(actual.shape, `${what}: shape`).toEqual(expected.shape);
  const largest = expected.data.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
  const allowed = tolerance * Math.max(largest, 1e-6);
  expected.data.forEach((value, index) => {
    const got = actual.data[index]!;
    const close = Object.is(got, value) || got === value || Math.abs(got - value) <= allowed;
    if (!close) expect.fail(`${what}: element ${index} is ${got}, expected ${value} ± ${allowed}`);
  });
}

function feedValue(feed: Feed, shape: readonly number[], seed: number, index: number, precision: DType): NumericArray {
  let counter = 0;
  const values = feed.values(() => uniform(seed, index, counter++), countOf(shape));
  const rounded = feed.dtype === 'float32' && precision === 'float32' ? values.map(Math.fround) : values;
  return numericArray(shape, rounded);
}

/** A case, traced: its inputs, outputs and a random linear functional of the floating-point outputs. */
export async function checkCase(
  operator: OperatorName,
  operatorCase: OperatorCase,
  claim: GradientClaim,
  { precision = 'float32', seed }: CheckOptions,
): Promise<void> {
  const { feeds, build, expected, sizes = {}, files, kinks = [] } = operatorCase;
  const typeOf = (dtype: DType) => (dtype === 'float32' ? precision : dtype);
  const inputs = feeds.map(({ dtype, shape }, index) => input(`x${index}`, typeOf(dtype), shape));
  const built = build(...inputs);
  const outputs = Array.isArray(built) ? (built as readonly Tensor[]) : [built as Tensor];
  expect(
    outputs.map(({ shape }) => shape),
    'shape rule',
  ).toEqual(expected);
  const nodes = topologicalOrder([...inputs, ...outputs]);
  expect(
    nodes.some((node) => node.operator === operator),
    `the case uses ${operator}`,
  ).toBe(true);

  const values = Object.fromEntries(
    feeds.map((feed, index) => [`x${index}`, feedValue(feed, concrete(feed.shape, sizes), seed, index, precision)]),
  );
  const reference = evaluateReference(outputs, inputs, { inputs: values, files });
  const floating = outputs.filter(({ dtype }) => isFloating(dtype));
  const named = Object.fromEntries(outputs.map((output, index) => [`y${index}`, output]));

  const floats = floatingFeeds(feeds);
  const functional = linearFunctional(floating, outputs, reference, seed, precision);
  const sources = floats.filter((index) => !kinks.includes(index)).map((index) => inputs[index]!);
  let gradientNames: readonly string[] = [];
  let found: readonly Tensor[] = [];
  if (claim === 'checked') {
    if (functional && sources.length > 0) {
      found = gradients(functional.scalar, sources);
      gradientNames = sources.map((_, index) => `g${index}`);
      found.forEach((gradient, index) => {
        expect(gradient.shape, `gradient by ${sources[index]}`).toEqual(sources[index]!.shape);
      });
    }
  } else if (sources.length > 0) {
    // Whatever comes out is made a number of; the way back must end at the operator.
    const scalar = outputs.map((output) => reduceSum(cast(output, precision))).reduce((a, b) => add(a, b));
    const message = 'absent' in claim ? /does not depend on/ : claim.refused;
    expect(() => gradients(scalar, sources.slice(0, 1))).toThrow(message);
  }

  const withGradients = gradientNames.length > 0 && functional;
  const program = compile({
    name: operator,
    inputs: [...inputs, ...(withGradients ? functional.weights : [])],
    outputs: { ...named, ...Object.fromEntries(gradientNames.map((name, index) => [name, found[index]!])) },
  });
  const results = await runProgram(program, { ...values, ...functional?.values }, { files });
  const [valueTolerance, gradientTolerance] = precision === 'float32' ? [1e-5, 1e-4] : [1e-12, 1e-7];
  reference.forEach((value, index) => {
    expectClose(results[`y${index}`]!, value, valueTolerance, `value ${index}`);
  });
  if (!withGradients) return;
  sources.forEach((source, index) => {
    const feed = inputs.indexOf(source);
    const numeric = centralDifferences(
      functional.scalar,
      [...inputs, ...functional.weights],
      { ...values, ...functional.values },
      `x${feed}`,
      files,
    );
    expectClose(results[`g${index}`]!, numeric, gradientTolerance, `gradient by feed ${feed}`);
  });
}

interface Functional {
  readonly scalar: Tensor;
  readonly weights: readonly Tensor[];
  readonly values: Readonly<Record<string, NumericArray>>;
}

/** `Σ weights · outputs` with random weights, which are fed. */
function linearFunctional(
  floating: readonly Tensor[],
  outputs: readonly Tensor[],
  reference: readonly NumericArray[],
  seed: number,
  precision: DType,
): Functional | undefined {
  if (floating.length === 0) return undefined;
  const weights = floating.map((output, index) => input(`r${index}`, output.dtype, output.shape));
  const values = floating.map((output, index) => {
    const { shape } = reference[outputs.indexOf(output)]!;
    const drawn = Array.from({ length: countOf(shape) }, (_, place) =>
      Math.fround(2 * uniform(seed, 1000 + index, place) - 1),
    );
    return [`r${index}`, numericArray(shape, drawn)] as const;
  });
  const scalar = floating
    .map((output, index) => cast(reduceSum(multiply(output, weights[index]!)), precision))
    .reduce((a, b) => add(a, b));
  return { scalar, weights, values: Object.fromEntries(values) };
}

/** Gradient of a scalar by one fed input, `(f(x + h) − f(x − h)) / 2h` for each element, in float64. */
export function centralDifferences(
  scalar: Tensor,
  inputs: readonly Tensor[],
  values: Readonly<Record<string, NumericArray>>,
  name: string,
  files?: Readonly<Record<string, Uint8Array>>,
): NumericArray {
  const step = 1e-5;
  const { shape, data } = values[name]!;
  const at = (index: number, change: number) => {
    const moved = data.slice();
    moved[index]! += change;
    const [result] = evaluateReference([scalar], inputs, {
      inputs: { ...values, [name]: { shape, data: moved } },
      files,
    });
    return result!.data[0]!;
  };
  return { shape, data: data.map((_, index) => (at(index, step) - at(index, -step)) / (2 * step)) };
}
