/** The feed-forward parts of transformers. */
import { gelu, multiply, silu, type Tensor } from '../tensor/index.ts';
import { declareLinear, type Linear, linear } from './linear.ts';
import { type Declare, within } from './parameters.ts';

/** Gated feed-forward layer of Shazeer 2020. */
export interface GatedMlp {
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;
}

export function declareGatedMlp(declare: Declare, size: number, inner: number, bias: boolean): GatedMlp {
  return {
    gate: declareLinear(within(declare, 'gate_proj'), size, inner, bias),
    up: declareLinear(within(declare, 'up_proj'), size, inner, bias),
    down: declareLinear(within(declare, 'down_proj'), inner, size, bias),
  };
}

/** `down(activation(gate(x)) · up(x))`. */
export function gatedMlp(x: Tensor, { gate, up, down }: GatedMlp, activation: (x: Tensor) => Tensor = silu): Tensor {
  return linear(multiply(activation(linear(x, gate)), linear(x, up)), down);
}

/** Linear layers with GELU between them; `approximate` as of `gelu`. */
export function geluMlp(x: Tensor, layers: readonly Linear[], approximate: 'none' | 'tanh' = 'none'): Tensor {
  return layers.reduce((value, layer, index) => linear(index === 0 ? value : gelu(value, approximate), layer), x);
}
