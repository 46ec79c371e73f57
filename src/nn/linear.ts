import { add, matmul, type Tensor } from '../tensor/index.ts';
import type { Declare } from './parameters.ts';

/** `weight [outputs, inputs]`, as PyTorch stores it. */
export interface Linear {
  readonly weight: Tensor;
  readonly bias?: Tensor;
}

export function declareLinear(declare: Declare, inputs: number, outputs: number, bias = true): Linear {
  const weight = declare('weight', [outputs, inputs]);
  return bias ? { weight, bias: declare('bias', [outputs]) } : { weight };
}

/** `x [..., inputs]` to `[..., outputs]`. */
export function linear(x: Tensor, { weight, bias }: Linear): Tensor {
  const product = matmul(x, weight, { transposeB: true });
  return bias ? add(product, bias) : product;
}
