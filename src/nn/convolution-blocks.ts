/**
 * Blocks of convolutional autoencoders: residual, attention, down- and upsampling.
 * Feature maps are `[batch, channels, height, width]`.
 */
import {
  add,
  conv2d,
  type Dim,
  expand,
  groupNorm,
  multiplyDims,
  reshape,
  resizeNearest,
  silu,
  type Tensor,
  transpose,
} from '../tensor/index.ts';
import { attention } from './attention.ts';
import { declareLinear } from './linear.ts';
import { type Declare, within } from './parameters.ts';

/** What a checkpoint calls the parts of residual and attention blocks that not all checkpoints call the same. */
export interface BlockNames {
  readonly shortcut: string;
  readonly norm: string;
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly output: string;
  /**
   * Attention's projections stand as matrices `[channels, channels]`; else as 1 x 1 convolutions, which compute the
   * same.
   */
  readonly matrices: boolean;
}

/** Latent diffusion's names (Rombach et al. 2022), which LlamaGen's tokenizer and so STAR-VQ keep. */
export const latentDiffusionNames: BlockNames = {
  shortcut: 'nin_shortcut',
  norm: 'norm',
  query: 'q',
  key: 'k',
  value: 'v',
  output: 'proj_out',
  matrices: false,
};

/** The names of diffusers. */
export const diffusersNames: BlockNames = {
  shortcut: 'conv_shortcut',
  norm: 'group_norm',
  query: 'to_q',
  key: 'to_k',
  value: 'to_v',
  output: 'to_out.0',
  matrices: true,
};

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

export function declareResidualBlock(
  declare: Declare,
  inputs: number,
  outputs: number,
  groups: number,
  names = latentDiffusionNames,
): ResidualBlock {
  const block = {
    norm1: declareGroupNorm(within(declare, 'norm1'), inputs, groups),
    conv1: declareConvolution(within(declare, 'conv1'), inputs, outputs, 3),
    norm2: declareGroupNorm(within(declare, 'norm2'), outputs, groups),
    conv2: declareConvolution(within(declare, 'conv2'), outputs, outputs, 3),
  };
  if (inputs === outputs) return block;
  return { ...block, shortcut: declareConvolution(within(declare, names.shortcut), inputs, outputs, 1) };
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

export function declareAttentionBlock(
  declare: Declare,
  channels: number,
  groups: number,
  names = latentDiffusionNames,
): AttentionBlock {
  const projection = (name: string): Convolution => {
    const part = within(declare, name);
    if (!names.matrices) return declareConvolution(part, channels, channels, 1);
    const { weight, bias } = declareLinear(part, channels, channels);
    return { weight: reshape(weight, [channels, channels, 1, 1]), bias: bias! };
  };
  return {
    norm: declareGroupNorm(within(declare, names.norm), channels, groups),
    query: projection(names.query),
    key: projection(names.key),
    value: projection(names.value),
    output: projection(names.output),
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
  return convolution(repeatPixels(x), block);
}

/**
 * Every pixel twice in both directions. `resizeNearest` asks for a fixed size; a named one is repeated by broadcasting.
 */
function repeatPixels(x: Tensor): Tensor {
  const [batch, channels, height, width] = x.shape as [Dim, Dim, Dim, Dim];
  if (typeof height === 'number' && typeof width === 'number') return resizeNearest(x, 2);
  const alone = reshape(x, [batch, channels, height, 1, width, 1]);
  const blocks = expand(alone, [batch, channels, height, 2, width, 2]);
  return reshape(blocks, [batch, channels, multiplyDims(height, 2), multiplyDims(width, 2)]);
}
