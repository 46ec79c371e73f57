/** Products: matrices and convolutions. */
import { apply, type Tensor } from '../tensor.ts';

export interface MatmulOptions {
  /** Read `a` as `[…, inner, rows]`. Default false. */
  readonly transposeA?: boolean;
  /** Read `b` as `[…, columns, inner]`. Default false. */
  readonly transposeB?: boolean;
}

/** `a [..., rows, inner] · b [..., inner, columns]`; axes in front of the last two broadcast. */
export function matmul(a: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatmulOptions = {}): Tensor {
  return apply('matmul', { transposeA, transposeB }, a, b);
}

/** An amount for both directions, one for rows and one for columns, or (padding) top, left, bottom, right. */
export type Extent = number | readonly [number, number];
export type Padding = Extent | readonly [number, number, number, number];

export interface ConvolutionOptions {
  /** Default 1. */
  readonly stride?: Extent;
  /** Zeros around the picture. Default 0. */
  readonly padding?: Padding;
  /** Default 1. */
  readonly dilation?: Extent;
}

function pair(extent: Extent): readonly [number, number] {
  return typeof extent === 'number' ? [extent, extent] : extent;
}

function sides(padding: Padding): readonly [number, number, number, number] {
  if (typeof padding === 'number') return [padding, padding, padding, padding];
  return padding.length === 2 ? [padding[0], padding[1], padding[0], padding[1]] : padding;
}

/** 2-D cross-correlation of `x [batch, in, height, width]` with `weight [out, in, kernelHeight, kernelWidth]`. */
export function conv2d(x: Tensor, weight: Tensor, bias?: Tensor, options: ConvolutionOptions = {}): Tensor {
  const { stride = 1, padding = 0, dilation = 1 } = options;
  const attributes = { stride: pair(stride), padding: sides(padding), dilation: pair(dilation) };
  return apply('conv2d', attributes, x, weight, ...(bias ? [bias] : []));
}

/**
 * The transpose of `conv2d`: `x [batch, in, height, width]`, `weight [in, out, kernelHeight, kernelWidth]`.
 * `outputPadding` adds rows and columns at the end, to reach sizes that several inputs of the convolution share.
 */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  options: ConvolutionOptions & { readonly outputPadding?: Extent } = {},
): Tensor {
  const { stride = 1, padding = 0, dilation = 1, outputPadding = 0 } = options;
  const attributes = { stride: pair(stride), padding: sides(padding), dilation: pair(dilation) };
  return apply('convTranspose2d', { ...attributes, outputPadding: pair(outputPadding) }, x, weight);
}
