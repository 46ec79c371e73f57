/**
 * The vision encoder of Qwen2.5-VL: patches of 2 x 14 x 14 pixels, attention in windows with a few blocks that see the whole
 * image, 2-D rotary positions, and a merger that makes one token of 2 x 2 patches. One image a run, or several of one size.
 */
import { attention } from '../../nn/attention.ts';
import { declareLinear, type Linear, linear } from '../../nn/linear.ts';
import { declareGatedMlp, type GatedMlp, gatedMlp, geluMlp } from '../../nn/mlp.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import { add, gather, reshape, rmsNorm, rotaryEmbedding, split, type Tensor, unsqueeze } from '../../tensor/index.ts';
import type { Qwen25VLVisionConfig } from './config.ts';
import type { Rotary } from './text-decoder.ts';

export interface VisionEncoder {
  readonly patchEmbedding: Tensor;
  readonly blocks: readonly VisionBlock[];
  readonly merger: { readonly norm: Tensor; readonly layers: readonly Linear[] };
}

interface VisionBlock {
  readonly norm1: Tensor;
  readonly norm2: Tensor;
  readonly queryKeyValue: Linear;
  readonly projection: Linear;
  readonly mlp: GatedMlp;
}

/** Fixed in transformers; no configuration key carries it. */
const epsilon = 1e-6;

export function declareVisionEncoder(declare: Declare, config: Qwen25VLVisionConfig): VisionEncoder {
  const { hiddenSize, inChannels, temporalPatchSize, patchSize, depth } = config;
  const merged = hiddenSize * config.spatialMergeSize ** 2;
  const patchShape = [hiddenSize, inChannels, temporalPatchSize, patchSize, patchSize];
  return {
    patchEmbedding: declare('patch_embed.proj.weight', patchShape),
    blocks: Array.from({ length: depth }, (_, index) => declareBlock(within(declare, `blocks.${index}`), config)),
    merger: {
      norm: declare('merger.ln_q.weight', [hiddenSize]),
      layers: [
        declareLinear(within(declare, 'merger.mlp.0'), merged, merged),
        declareLinear(within(declare, 'merger.mlp.2'), merged, config.outHiddenSize),
      ],
    },
  };
}

function declareBlock(declare: Declare, { hiddenSize, intermediateSize }: Qwen25VLVisionConfig): VisionBlock {
  return {
    norm1: declare('norm1.weight', [hiddenSize]),
    norm2: declare('norm2.weight', [hiddenSize]),
    queryKeyValue: declareLinear(within(declare, 'attn.qkv'), hiddenSize, 3 * hiddenSize),
    projection: declareLinear(within(declare, 'attn.proj'), hiddenSize, hiddenSize),
    mlp: declareGatedMlp(within(declare, 'mlp'), hiddenSize, intermediateSize, true),
  };
}

/** How the patches of one image lie, as tensors; `vision-program.ts` feeds them. Patches are in window order. */
export interface VisionPlacement {
  /** Rotary tables with one row a patch; positions `[1, patches]`. */
  readonly rotary: Rotary;
  /** Patch at each place of each window, `[windows, places]` int64; places past a window's end hold any patch. */
  readonly windowPatches: Tensor;
  /** `[windows, 1, 1, places]`: 0 for a patch of the window, `maskedScore` past its end. */
  readonly windowMask: Tensor;
  /** Place of each patch in the flattened windows, `[patches]` int64. */
  readonly patchPlaces: Tensor;
  /** Where in window order each token of the image stands, in reading order: `[patches / merge²]` int64. */
  readonly tokenOrder: Tensor;
  /** Images of equal size whose patches follow one another. Default 1. */
  readonly images?: number;
}

/**
 * `patches [patches, channels * frames * patchSize²]` in window order to embeddings `[patches / merge², outHiddenSize]`
 * in reading order.
 */
export function visionEncoder(
  patches: Tensor,
  model: VisionEncoder,
  config: Qwen25VLVisionConfig,
  placement: VisionPlacement,
): Tensor {
  let x = linear(patches, { weight: reshape(model.patchEmbedding, [config.hiddenSize, -1]) });
  model.blocks.forEach((block, index) => {
    const whole = config.fullAttentionBlocks.includes(index);
    x = add(x, visionAttention(rmsNorm(x, block.norm1, epsilon), block, config, placement, whole));
    x = add(x, gatedMlp(rmsNorm(x, block.norm2, epsilon), block.mlp));
  });
  const normed = rmsNorm(x, model.merger.norm, epsilon);
  const merged = reshape(normed, [placement.tokenOrder.shape[0]!, config.hiddenSize * config.spatialMergeSize ** 2]);
  return gather(geluMlp(merged, model.merger.layers), placement.tokenOrder);
}

function visionAttention(
  x: Tensor,
  block: VisionBlock,
  config: Qwen25VLVisionConfig,
  placement: VisionPlacement,
  whole: boolean,
): Tensor {
  const { hiddenSize, heads, headDim } = config;
  const { cosine, sine, positions } = placement.rotary;
  const rotate = (states: Tensor) => rotaryEmbedding(states, cosine, sine, positions, heads);
  const projected = unsqueeze(linear(x, block.queryKeyValue), 0);
  const [query, key, value] = split(projected, 2, [hiddenSize, hiddenSize, hiddenSize]) as [Tensor, Tensor, Tensor];
  const [q, k, v] = [rotate(query), rotate(key), value];
  const shape = { heads, keyValueHeads: heads, headDim };
  if (whole) {
    const perImage = (states: Tensor) => reshape(states, [placement.images ?? 1, -1, hiddenSize]);
    const { output } = attention(perImage(q), perImage(k), perImage(v), shape, { mask: undefined });
    return linear(reshape(output, x.shape), block.projection);
  }
  const windowed = (states: Tensor) => gather(reshape(states, x.shape), placement.windowPatches);
  const { output } = attention(windowed(q), windowed(k), windowed(v), shape, { mask: placement.windowMask });
  return linear(gather(reshape(output, [-1, hiddenSize]), placement.patchPlaces), block.projection);
}
