import { add, concat, full, matmul, type Tensor } from '../tensor/index.ts';
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

/** Several layers of one input as one: their outputs behind one another. */
export function joinLinear(layers: readonly Linear[]): Linear {
  const weight = concat(
    layers.map((layer) => layer.weight),
    0,
  );
  const biases = layers.map((layer) => layer.bias);
  if (biases.every((bias) => bias === undefined)) return { weight };
  const filled = layers.map(({ bias, weight: { shape } }) => bias ?? full('float32', [shape[0]!], 0));
  return { weight, bias: concat(filled, 0) };
}

/** `x [..., inputs]` to `[..., outputs]`. */
export function linear(x: Tensor, { weight, bias }: Linear): Tensor {
  const product = matmul(x, weight, { transposeB: true });
  return bias ? add(product, bias) : product;
}
