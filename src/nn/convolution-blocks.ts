/**
 * Blocks of convolutional autoencoders: residual, attention, down- and upsampling.
 * Feature maps are `[batch, channels, height, width]`.
 */
import { add, conv2d, groupNorm, reshape, resizeNearest, silu, type Tensor, transpose } from '../tensor/index.ts';
import { attention } from './attention.ts';
import { type Declare, within } from './parameters.ts';

/** `weight [out, in, kernel, kernel]`. */
export interface Convolution {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

export function declareConvolution(declare: Declare, inputs: number, outputs: number, kernel: number): Convolution {
  return { weight: declare('weight', [outputs, inputs, kernel, kernel]), bias: declare('bias', [outputs]) };
}

/** A convolution that keeps height and width; kernels are odd. */
export function convolution(x: Tensor, { weight, bias }: Convolution): Tensor {
  return conv2d(x, weight, bias, { padding: ((weight.shape[2] as number) - 1) / 2 });
}

export interface GroupNorm {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly groups: number;
}

const epsilon = 1e-6;

/** Norms of a part; `groups` divides every number of channels. */
export function declareGroupNorm(declare: Declare, channels: number, groups: number): GroupNorm {
  return { weight: declare('weight', [channels]), bias: declare('bias', [channels]), groups };
}

export function normalize(x: Tensor, { weight, bias, groups }: GroupNorm): Tensor {
  return groupNorm(x, weight, bias, groups, epsilon);
}

export interface ResidualBlock {
  readonly norm1: GroupNorm;
  readonly conv1: Convolution;
  readonly norm2: GroupNorm;
  readonly conv2: Convolution;
  /** Where the number of channels changes. */
  readonly shortcut?: Convolution;
}

export function declareResidualBlock(declare: Declare, inputs: number, outputs: number, groups: number): ResidualBlock {
  const block = {
    norm1: declareGroupNorm(within(declare, 'norm1'), inputs, groups),
    conv1: declareConvolution(within(declare, 'conv1'), inputs, outputs, 3),
    norm2: declareGroupNorm(within(declare, 'norm2'), outputs, groups),
    conv2: declareConvolution(within(declare, 'conv2'), outputs, outputs, 3),
  };
  if (inputs === outputs) return block;
  return { ...block, shortcut: declareConvolution(within(declare, 'nin_shortcut'), inputs, outputs, 1) };
}

export function residualBlock(x: Tensor, block: ResidualBlock): Tensor {
  const inner = convolution(silu(normalize(x, block.norm1)), block.conv1);
  const outer = convolution(silu(normalize(inner, block.norm2)), block.conv2);
  return add(block.shortcut ? convolution(x, block.shortcut) : x, outer);
}

export interface AttentionBlock {
  readonly norm: GroupNorm;
  readonly query: Convolution;
  readonly key: Convolution;
  readonly value: Convolution;
  readonly output: Convolution;
}

export function declareAttentionBlock(declare: Declare, channels: number, groups: number): AttentionBlock {
  const projection = (name: string) => declareConvolution(within(declare, name), channels, channels, 1);
  return {
    norm: declareGroupNorm(within(declare, 'norm'), channels, groups),
    query: projection('q'),
    key: projection('k'),
    value: projection('v'),
    output: projection('proj_out'),
  };
}

/** Self-attention over the pixels of a feature map, with a residual. */
export function attentionBlock(x: Tensor, block: AttentionBlock, heads: number): Tensor {
  const [batch, channels] = x.shape;
  const pixels = (map: Tensor) => transpose(reshape(map, [batch!, channels!, -1]), [0, 2, 1]);
  const inner = normalize(x, block.norm);
  const { output } = attention(
    pixels(convolution(inner, block.query)),
    pixels(convolution(inner, block.key)),
    pixels(convolution(inner, block.value)),
    { heads, keyValueHeads: heads, headDim: (channels as number) / heads },
    { mask: undefined },
  );
  return add(x, convolution(reshape(transpose(output, [0, 2, 1]), x.shape), block.output));
}

/** Halves height and width: one row and one column of zeros at the end, then a 3 x 3 convolution with stride 2. */
export function downsample(x: Tensor, { weight, bias }: Convolution): Tensor {
  return conv2d(x, weight, bias, { stride: 2, padding: [0, 0, 1, 1] });
}

/** Doubles height and width: repeats pixels, then a 3 x 3 convolution. */
export function upsample(x: Tensor, block: Convolution): Tensor {
  return convolution(resizeNearest(x, 2), block);
}
