/**
 * STAR-VQ, the convolutional tokenizer: an encoder, a codebook and a decoder (Esser et al. 2021 in LlamaGen's form;
 * published as star/models/pixel_encoder/vq_model.py). Pictures are `[batch, 3, height, width]` in [−1, 1].
 */
import {
  type AttentionBlock,
  attentionBlock,
  type Convolution,
  convolution,
  declareAttentionBlock,
  declareConvolution,
  declareGroupNorm,
  declareResidualBlock,
  downsample,
  type GroupNorm,
  normalize,
  type ResidualBlock,
  residualBlock,
  upsample,
} from '../../nn/convolution-blocks.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import {
  add,
  argMin,
  divide,
  gather,
  matmul,
  maximum,
  multiply,
  reduceSum,
  reshape,
  silu,
  square,
  squareRoot,
  subtract,
  type Tensor,
  transpose,
} from '../../tensor/index.ts';
import type { VqConfig } from './config.ts';

interface Level {
  readonly residual: readonly ResidualBlock[];
  readonly attention: readonly AttentionBlock[];
  /** Down in the encoder, up in the decoder; none at the end. */
  readonly resample?: Convolution;
}

interface Trunk {
  readonly input: Convolution;
  readonly levels: readonly Level[];
  readonly middle: readonly [ResidualBlock, AttentionBlock, ResidualBlock];
  readonly norm: GroupNorm;
  readonly output: Convolution;
}

export interface VqEncoder extends Trunk {
  readonly quantConvolution: Convolution;
}

export interface VqDecoder extends Trunk {
  readonly postQuantConvolution: Convolution;
}

/** Name of the codebook `[codes, dim]` in a checkpoint. */
export const codebookName = 'quantize.embedding.weight';
/** Usage statistics of training, not part of the model. */
export const usageName = 'quantize.codebook_used';

export function declareCodebook(declare: Declare, { codebookSize, codebookDim }: VqConfig): Tensor {
  return declare(codebookName, [codebookSize, codebookDim]);
}

function declareMiddle(declare: Declare, channels: number, groups: number): Trunk['middle'] {
  return [
    declareResidualBlock(within(declare, 'mid.0'), channels, channels, groups),
    declareAttentionBlock(within(declare, 'mid.1'), channels, groups),
    declareResidualBlock(within(declare, 'mid.2'), channels, channels, groups),
  ];
}

function declareLevel(
  declare: Declare,
  inputs: number,
  outputs: number,
  blocks: number,
  options: { attention: boolean; resample: string | undefined; groups: number },
): Level {
  const indices = Array.from({ length: blocks }, (_, index) => index);
  const level = {
    residual: indices.map((index) =>
      declareResidualBlock(within(declare, `res.${index}`), index === 0 ? inputs : outputs, outputs, options.groups),
    ),
    attention: options.attention
      ? indices.map((index) => declareAttentionBlock(within(declare, `attn.${index}`), outputs, options.groups))
      : [],
  };
  if (!options.resample) return level;
  return { ...level, resample: declareConvolution(within(declare, options.resample), outputs, outputs, 3) };
}

export function declareVqEncoder(declare: Declare, config: VqConfig): VqEncoder {
  const { ch, chMult, resBlocks, zChannels, normGroups: groups } = config;
  const encoder = within(declare, 'encoder');
  const last = chMult.length - 1;
  const sizes = chMult.map((multiplier) => ch * multiplier);
  const lowest = sizes[last]!;
  return {
    input: declareConvolution(within(encoder, 'conv_in'), 3, ch, 3),
    levels: sizes.map((size, level) =>
      declareLevel(within(encoder, `conv_blocks.${level}`), level === 0 ? ch : sizes[level - 1]!, size, resBlocks, {
        attention: level === last,
        resample: level === last ? undefined : 'downsample.conv',
        groups,
      }),
    ),
    middle: declareMiddle(encoder, lowest, groups),
    norm: declareGroupNorm(within(encoder, 'norm_out'), lowest, groups),
    output: declareConvolution(within(encoder, 'conv_out'), lowest, zChannels, 3),
    quantConvolution: declareConvolution(within(declare, 'quant_conv'), zChannels, config.codebookDim, 1),
  };
}

export function declareVqDecoder(declare: Declare, config: VqConfig): VqDecoder {
  const { ch, chMult, resBlocks, zChannels, normGroups: groups } = config;
  const decoder = within(declare, 'decoder');
  const sizes = chMult.map((multiplier) => ch * multiplier).reverse();
  const last = sizes.length - 1;
  return {
    postQuantConvolution: declareConvolution(within(declare, 'post_quant_conv'), config.codebookDim, zChannels, 1),
    input: declareConvolution(within(decoder, 'conv_in'), zChannels, sizes[0]!, 3),
    middle: declareMiddle(decoder, sizes[0]!, groups),
    levels: sizes.map((size, level) =>
      declareLevel(
        within(decoder, `conv_blocks.${level}`),
        level === 0 ? sizes[0]! : sizes[level - 1]!,
        size,
        resBlocks + 1,
        { attention: level === 0, resample: level === last ? undefined : 'upsample.conv', groups },
      ),
    ),
    norm: declareGroupNorm(within(decoder, 'norm_out'), sizes[last]!, groups),
    output: declareConvolution(within(decoder, 'conv_out'), sizes[last]!, 3, 3),
  };
}

function runMiddle(x: Tensor, [first, attention, second]: Trunk['middle'], heads: number): Tensor {
  return residualBlock(attentionBlock(residualBlock(x, first), attention, heads), second);
}

function runLevel(x: Tensor, level: Level, heads: number, resample: (x: Tensor, block: Convolution) => Tensor): Tensor {
  let h = x;
  level.residual.forEach((block, index) => {
    h = residualBlock(h, block);
    const attention = level.attention[index];
    if (attention) h = attentionBlock(h, attention, heads);
  });
  return level.resample ? resample(h, level.resample) : h;
}

/** Picture to features before quantization, `[batch, codebookDim, height / factor, width / factor]`. */
export function vqEncode(picture: Tensor, encoder: VqEncoder, { heads }: VqConfig): Tensor {
  let h = convolution(picture, encoder.input);
  for (const level of encoder.levels) h = runLevel(h, level, heads, downsample);
  h = runMiddle(h, encoder.middle, heads);
  return convolution(convolution(silu(normalize(h, encoder.norm)), encoder.output), encoder.quantConvolution);
}

/** Code embeddings `[batch, codebookDim, rows, columns]` to a picture. */
export function vqDecode(codes: Tensor, decoder: VqDecoder, { heads }: VqConfig): Tensor {
  let h = convolution(convolution(codes, decoder.postQuantConvolution), decoder.input);
  h = runMiddle(h, decoder.middle, heads);
  for (const level of decoder.levels) h = runLevel(h, level, heads, upsample);
  return convolution(silu(normalize(h, decoder.norm)), decoder.output);
}

/** Vectors scaled to length 1 along the last axis, as `F.normalize`. */
function unitLength(x: Tensor): Tensor {
  const length = squareRoot(reduceSum(square(x), { axes: [-1], keepDims: true }));
  return divide(x, maximum(length, 1e-12));
}

/** Embeddings of codes: `[..., codebookDim]`. */
export function codeEmbeddings(indices: Tensor, codebook: Tensor, { l2Norm }: VqConfig): Tensor {
  const embeddings = gather(codebook, indices);
  return l2Norm ? unitLength(embeddings) : embeddings;
}

/** Feature maps `[batch, dim, rows, columns]` to sequences `[batch, rows * columns, dim]`. */
export function toSequence(maps: Tensor): Tensor {
  const [batch, dim] = maps.shape;
  return transpose(reshape(maps, [batch!, dim!, -1]), [0, 2, 1]);
}

/** Sequences `[batch, side², dim]` to feature maps `[batch, dim, side, side]`. */
export function toMaps(sequence: Tensor, side: number): Tensor {
  const [batch, , dim] = sequence.shape;
  return reshape(transpose(sequence, [0, 2, 1]), [batch!, dim!, side, side]);
}

export interface Quantized {
  /** Nearest code of each place, `[batch, places]` int64. */
  readonly indices: Tensor;
  /** The places' features as compared, `[batch, places, dim]`. */
  readonly features: Tensor;
  /** The codes chosen, `[batch, places, dim]`. */
  readonly codes: Tensor;
  /** Squared distances to every code, `[batch, places, codebookSize]`. */
  readonly distances: Tensor;
}

/** Finds the nearest code of every place of `preQuant [batch, dim, rows, columns]`. */
export function quantize(preQuant: Tensor, codebook: Tensor, { l2Norm }: VqConfig): Quantized {
  const sequence = toSequence(preQuant);
  const features = l2Norm ? unitLength(sequence) : sequence;
  const embeddings = l2Norm ? unitLength(codebook) : codebook;
  // |z − e|² = |z|² + |e|² − 2 z·e
  const distances = subtract(
    add(reduceSum(square(features), { axes: [2], keepDims: true }), reduceSum(square(embeddings), { axes: [1] })),
    multiply(matmul(features, embeddings, { transposeB: true }), 2),
  );
  const indices = argMin(distances, 2);
  return { indices, features, codes: gather(embeddings, indices), distances };
}
