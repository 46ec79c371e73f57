/** What shape rules check. Errors name the operator, the tensors and the axis, what was expected and what was got. */
import type { Dim, Shape } from './dimension.ts';
import { type DType, isFloating } from './dtype.ts';
import { TensorError } from './error.ts';
import type { ConvolutionAttributes, TensorType } from './operators.ts';

export type Inputs = readonly TensorType[];

function describe(type: TensorType): string {
  return String(type);
}

export function fail(operator: string, message: string, inputs: Inputs = []): never {
  const got = inputs.length > 0 ? `; got ${inputs.map(describe).join(', ')}` : '';
  throw new TensorError(operator, message + got, {
    inputs: inputs.map(({ dtype, shape }) => ({ dtype, shape })),
  });
}

export function requireCount(operator: string, inputs: Inputs, ...counts: number[]): void {
  if (!counts.includes(inputs.length)) fail(operator, `takes ${counts.join(' or ')} tensors, got ${inputs.length}`);
}

export function requireFloating(operator: string, inputs: Inputs): void {
  for (const input of inputs) if (!isFloating(input.dtype)) fail(operator, 'needs floating-point tensors', inputs);
}

export function requireSameDType(operator: string, inputs: Inputs): DType {
  const dtype = inputs[0]!.dtype;
  if (inputs.some((input) => input.dtype !== dtype)) fail(operator, 'needs tensors of one element type', inputs);
  return dtype;
}

export function requireInteger(operator: string, indices: TensorType, inputs: Inputs): void {
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32') fail(operator, 'needs int64 or int32 indices', inputs);
}

export function requireAxis(operator: string, axis: number, input: TensorType): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= input.shape.length) {
    const rank = input.shape.length;
    fail(operator, `axis ${axis}: expected ${rank > 0 ? `${-rank}..${rank - 1}` : 'none, the tensor has no axes'}`, [
      input,
    ]);
  }
}

export function requireRank(operator: string, input: TensorType, rank: number, layout: string): void {
  if (input.shape.length !== rank) fail(operator, `needs ${layout}`, [input]);
}

export function requireDim(operator: string, what: string, expected: Dim, got: Dim, inputs: Inputs): void {
  if (expected !== got) fail(operator, `${what}: expected ${expected}, got ${got}`, inputs);
}

export function fixed(operator: string, what: string, dim: Dim, inputs: Inputs): number {
  if (typeof dim !== 'number') fail(operator, `${what} must be a fixed size, got ${dim}`, inputs);
  return dim;
}

export function replaceDim(shape: Shape, axis: number, dim: Dim): Shape {
  return shape.map((old, index) => (index === axis ? dim : old));
}

export function requireExtents(operator: string, what: string, extents: readonly number[], least: number): void {
  if (extents.some((extent) => !Number.isInteger(extent) || extent < least)) {
    fail(operator, `${what} must be whole numbers of at least ${least}, got ${extents.join(', ')}`);
  }
}

export function requireWindows(operator: string, { stride, padding, dilation }: ConvolutionAttributes): void {
  requireExtents(operator, 'stride', stride, 1);
  requireExtents(operator, 'padding', padding, 0);
  requireExtents(operator, 'dilation', dilation, 1);
}
