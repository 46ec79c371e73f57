/**
 * The diffusion transformer of STAR's pixel decoder: Lumina-Image-2.0 (Qin et al. 2025; `Lumina2Transformer2DModel` of
 * diffusers) with STAR's changes, published as star/models/pixel_decoder/transformer_lumina2_seq.py.
 *
 * Patches of a noisy latent and the states of a caption run through a few blocks of their own and then through the layers
 * together; what comes out is the direction from noise to picture. STAR gives each pixel of the latent the embedding of
 * the picture's code there as further channels, and puts the latent of a source picture below, whose patches pass a small
 * network of their own before the layers.
 */
import { maskedScore } from '../../nn/attention.ts';
import { declareLinear, type Linear, linear } from '../../nn/linear.ts';
import { geluMlp } from '../../nn/mlp.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import {
  add,
  concat,
  constant,
  cosine,
  type Dim,
  formatShape,
  full,
  greater,
  layerNorm,
  multiply,
  reduceSum,
  reshape,
  rmsNorm,
  scalar,
  silu,
  sine,
  slice,
  split,
  type Tensor,
  TensorError,
  transpose,
  unsqueeze,
  where,
} from '../../tensor/index.ts';
import { type BlockContext, declareLuminaBlock, type LuminaBlock, luminaBlock } from './transformer-block.ts';
import type { LuminaTransformerConfig } from './transformer-config.ts';
import { luminaRotary, type PatchGrid } from './transformer-rotary.ts';

export interface LuminaTransformer {
  readonly patchEmbedding: Linear;
  readonly time: readonly [Linear, Linear];
  readonly caption: { readonly norm: Tensor; readonly projection: Linear };
  readonly noiseRefiner: readonly LuminaBlock[];
  readonly contextRefiner: readonly LuminaBlock[];
  /** For the source's patches, the lower half; none in Lumina itself, whose input is one picture. */
  readonly sourceRefiner?: readonly [Linear, Linear];
  readonly layers: readonly LuminaBlock[];
  /** From the embedding of time to a scale, and from normed states to patches. */
  readonly output: { readonly scale: Linear; readonly projection: Linear };
}

export interface LuminaTransformerOptions {
  /** Channels that tell STAR's codes (`channelsOf`). Default 0: Lumina-Image-2.0 itself, without codes and source. */
  readonly codeChannels?: number;
  /** Channels of a source beside the picture. Default 0: with codes there is a source below. */
  readonly sourceChannels?: number;
  /** Channels of what comes out. Default: the latent's. */
  readonly outputChannels?: number;
}

/** Sines and cosines that tell the time, fixed in the published code. */
const timeFrequencies = 256;
/** Of the last norm; fixed in the published code. */
const outputEpsilon = 1e-6;

export function declareLuminaTransformer(
  declare: Declare,
  config: LuminaTransformerConfig,
  { codeChannels = 0, sourceChannels = 0, outputChannels = config.latentChannels }: LuminaTransformerOptions = {},
): LuminaTransformer {
  const { latentChannels, patchSize, hiddenSize, captionDim, timeSize, refinerLayers, layers } = config;
  const pixels = patchSize ** 2;
  const embed = within(declare, 'time_caption_embed');
  const layer = (name: string, inputs: number, outputs: number) =>
    declareLinear(within(declare, name), inputs, outputs);
  const blocks = (name: string, count: number, modulated: boolean) =>
    Array.from({ length: count }, (_, index) =>
      declareLuminaBlock(within(declare, `${name}.${index}`), config, modulated),
    );
  const model: LuminaTransformer = {
    patchEmbedding: layer('x_embedder', pixels * (latentChannels + codeChannels + sourceChannels), hiddenSize),
    time: [
      declareLinear(within(embed, 'timestep_embedder.linear_1'), timeFrequencies, timeSize),
      declareLinear(within(embed, 'timestep_embedder.linear_2'), timeSize, timeSize),
    ],
    caption: {
      norm: embed('caption_embedder.0.weight', [captionDim]),
      projection: declareLinear(within(embed, 'caption_embedder.1'), captionDim, hiddenSize),
    },
    noiseRefiner: blocks('noise_refiner', refinerLayers, true),
    contextRefiner: blocks('context_refiner', refinerLayers, false),
    layers: blocks('layers', layers, true),
    output: {
      scale: layer('norm_out.linear_1', timeSize, hiddenSize),
      projection: layer('norm_out.linear_2', hiddenSize, pixels * outputChannels),
    },
  };
  if (codeChannels === 0 || sourceChannels > 0) return model;
  const second = declareLinear(within(declare, 'ori_inp_refiner.2'), hiddenSize, hiddenSize, false);
  return { ...model, sourceRefiner: [layer('ori_inp_refiner.0', hiddenSize, hiddenSize), second] };
}

export interface LuminaInputs {
  /**
   * `[batch, channels, height, width]`, height and width fixed: a noisy latent, for STAR's transformer with what `withSource`
   * adds.
   */
  readonly states: Tensor;
  /** `[batch]`: 0 where all is noise, 1 where none is; one less sigma. */
  readonly timestep: Tensor;
  /** States of the text encoder, `[batch, tokens, captionDim]`. */
  readonly caption: Tensor;
  /** `[batch, tokens]` int64: 1 for each of a caption's tokens, then 0 for padding. A caption may have no tokens. */
  readonly captionMask: Tensor;
}

/**
 * The direction from noise to picture, `[batch, outputChannels, height, width]`; of STAR's transformer the lower half,
 * which a source below has, means nothing, and `target` leaves it out: `[batch, outputChannels, height / 2, width]`, for less work.
 * @throws TensorError for states that are not whole patches or reach beyond the positions of the configuration, and for a
 *   caption of fixed size that does.
 */
export function luminaTransformer(
  { states, timestep, caption, captionMask }: LuminaInputs,
  model: LuminaTransformer,
  config: LuminaTransformerConfig,
  output: 'all' | 'target' = 'all',
): Tensor {
  const grid = patchGrid(states, model, config);
  const tokens = caption.shape[1]!;
  requirePositions(tokens, grid, config);
  const time = silu(embedTime(timestep, model.time));
  const lengths = reduceSum(captionMask, { axes: [1] });
  const rotary = luminaRotary(lengths, tokens, grid, config);
  const padding = paddingMask(captionMask);
  const through = (blocks: readonly LuminaBlock[], x: Tensor, context: BlockContext) =>
    blocks.reduce((hidden, block) => luminaBlock(hidden, block, config, context), x);

  const words = through(
    model.contextRefiner,
    linear(rmsNorm(caption, model.caption.norm, config.normEps), model.caption.projection),
    { rotary: rotary.caption, mask: padding },
  );
  const embedded = linear(patchify(states, grid, config.patchSize), model.patchEmbedding);
  const refined = through(model.noiseRefiner, embedded, { rotary: rotary.picture, time });
  const patches = model.sourceRefiner ? refineSource(refined, model.sourceRefiner) : refined;

  // The published code moves padding behind the picture; attention does not mind where it does not look.
  const context = {
    rotary: rotary.joint,
    mask: concat([padding, full('float32', [padding.shape[0]!, 1, 1, grid.rows * grid.columns], 0)], 3),
    time,
  };
  const shown = { ...grid, rows: output === 'target' && model.sourceRefiner ? grid.rows / 2 : grid.rows };
  const read = (x: Tensor) => slice(slice(x, 1, tokens), 1, 0, shown.rows * shown.columns);
  const inner = through(model.layers.slice(0, -1), concat([words, patches], 1), context);
  const picture = through(model.layers.slice(-1), inner, { ...context, read });
  const normed = layerNorm(picture, full('float32', [config.hiddenSize], 1), undefined, outputEpsilon);
  const scaled = multiply(normed, unsqueeze(add(linear(time, model.output.scale), 1), 1));
  return unpatchify(linear(scaled, model.output.projection), shown, config.patchSize);
}

/** Cosines and sines of the time at frequencies from 1 down to 1/10,000 (Ho et al. 2020), through two layers. */
function embedTime(timestep: Tensor, [first, second]: LuminaTransformer['time']): Tensor {
  const half = timeFrequencies / 2;
  const frequencies = Float32Array.from({ length: half }, (_, index) => Math.exp((-Math.log(10_000) * index) / half));
  const angles = multiply(unsqueeze(timestep, 1), constant('float32', [1, half], frequencies));
  return linear(silu(linear(concat([cosine(angles), sine(angles)], 1), first)), second);
}

/** `[batch, 1, 1, tokens]`, additive. */
function paddingMask(captionMask: Tensor): Tensor {
  const [batch, tokens] = captionMask.shape as [Dim, Dim];
  return reshape(where(greater(captionMask, 0), scalar('float32', 0), maskedScore), [batch, 1, 1, tokens]);
}

function refineSource(patches: Tensor, refiner: readonly Linear[]): Tensor {
  const half = (patches.shape[1] as number) / 2;
  const [target, source] = split(patches, 1, [half, half]) as [Tensor, Tensor];
  return concat([target, geluMlp(source, refiner, 'tanh')], 1);
}

/** `[batch, channels, height, width]` to `[batch, patches, patchSize² * channels]`: pixels in reading order, each whole. */
function patchify(states: Tensor, { rows, columns }: PatchGrid, size: number): Tensor {
  const [batch, channels] = states.shape;
  const cut = reshape(states, [batch!, channels!, rows, size, columns, size]);
  return reshape(transpose(cut, [0, 2, 4, 3, 5, 1]), [batch!, rows * columns, -1]);
}

/** The way back. */
function unpatchify(patches: Tensor, { rows, columns }: PatchGrid, size: number): Tensor {
  const [batch] = patches.shape;
  const cut = transpose(reshape(patches, [batch!, rows, columns, size, size, -1]), [0, 5, 1, 3, 2, 4]);
  return reshape(cut, [batch!, cut.shape[1]!, rows * size, columns * size]);
}

function patchGrid(
  { shape }: Tensor,
  { sourceRefiner }: LuminaTransformer,
  { patchSize }: LuminaTransformerConfig,
): PatchGrid {
  const [height, width] = shape.slice(2);
  const step = sourceRefiner ? 2 * patchSize : patchSize;
  if (typeof height === 'number' && typeof width === 'number' && height % step === 0 && width % patchSize === 0) {
    return { rows: height / patchSize, columns: width / patchSize };
  }
  throw new TensorError(
    'luminaTransformer',
    `expected a fixed height and width, multiples of ${step} and ${patchSize}, got ${formatShape(shape)}`,
    { shape },
  );
}

/** The picture's own place on the caption's axis is the caption's length. */
function requirePositions(tokens: Dim, { rows, columns }: PatchGrid, { ropePositions }: LuminaTransformerConfig): void {
  const [most, mostRows, mostColumns] = ropePositions;
  const fits = typeof tokens !== 'number' || tokens < most;
  if (fits && rows <= mostRows && columns <= mostColumns) return;
  throw new TensorError(
    'luminaTransformer',
    `has positions for ${most - 1} tokens and ${mostRows} x ${mostColumns} patches, got ${tokens} and ${rows} x ${columns}`,
    { tokens, rows, columns },
  );
}
