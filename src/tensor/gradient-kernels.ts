/** Larger pieces of reverse rules, written in the language itself. */

import type { DType } from './dtype.ts';
import { TensorError } from './error.ts';
import { cast } from './language/elementwise.ts';
import { concat, pad, reshape, slice, transpose } from './language/layout.ts';
import { constant } from './language/leaves.ts';
import { matmul } from './language/linear.ts';
import type { ConvolutionAttributes } from './operators.ts';
import type { Tensor } from './tensor.ts';

/**
 * Gradient of a convolution by its weight `[out, in, kernelHeight, kernelWidth]`: for each place of the kernel one matrix
 * product of the output gradient with the shifted input. `x [batch, in, height, width]`, `g [batch, out, …]`.
 */
export function convolutionWeightGradient(
  x: Tensor,
  g: Tensor,
  weightShape: readonly number[],
  { stride, padding, dilation }: ConvolutionAttributes,
): Tensor {
  const [outChannels, inChannels, kernelHeight, kernelWidth] = weightShape as [number, number, number, number];
  const [height, width] = [g.shape[2], g.shape[3]];
  if (typeof height !== 'number' || typeof width !== 'number') {
    throw new TensorError('conv2d', `the weight's gradient needs fixed picture sizes, got ${g}`);
  }
  const padded = pad(x, [0, 0, padding[0], padding[1]], [0, 0, padding[2], padding[3]]);
  const rows = reshape(transpose(g, [1, 0, 2, 3]), [outChannels, -1]);
  const places: Tensor[] = [];
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      const [top, left] = [i * dilation[0], j * dilation[1]];
      const band = slice(padded, 2, top, top + (height - 1) * stride[0] + 1, stride[0]);
      const window = slice(band, 3, left, left + (width - 1) * stride[1] + 1, stride[1]);
      const columns = reshape(transpose(window, [1, 0, 2, 3]), [inChannels, -1]);
      places.push(reshape(matmul(rows, columns, { transposeB: true }), [outChannels, inChannels, 1]));
    }
  }
  return reshape(concat(places, 2), weightShape);
}

/** The matrix `[to, from]` of a bilinear resize in one direction, pixel centres at halves, edges repeated. */
export function interpolationMatrix(dtype: DType, from: number, to: number): Tensor {
  const matrix = new Float64Array(to * from);
  for (let row = 0; row < to; row++) {
    const centre = Math.max(((row + 0.5) * from) / to - 0.5, 0);
    const low = Math.min(Math.floor(centre), from - 1);
    const high = Math.min(low + 1, from - 1);
    matrix[row * from + low]! += 1 - (centre - low);
    matrix[row * from + high]! += centre - low;
  }
  return cast(constant('float64', [to, from], matrix), dtype);
}
