/**
 * The denoising of the diffusion decoder as a program: some steps of it in one loop in the graph, from latents to latents, so
 * that it is run in chunks as the token loop is. Guidance branches are rows of one batch; which there are is data.
 */
import { type Declare, within } from '../../nn/parameters.ts';
import {
  add,
  type CompiledProgram,
  compile,
  concat,
  dimension,
  expand,
  gather,
  input,
  loop,
  multiply,
  reduceSum,
  reshape,
  resizeBilinear,
  type Shape,
  squeeze,
  subtract,
  type Tensor,
} from '../../tensor/index.ts';
import type { VqConfig } from '../vq/config.ts';
import { codeEmbeddings, declareCodebook } from '../vq/tokenizer.ts';
import { eulerStep } from './scheduler.ts';
import { codeMaps, draftPicture, enlargedDraft, starDirection, type ToldChannels } from './star-inputs.ts';
import { declareLuminaTransformer } from './transformer.ts';
import type { LuminaTransformerConfig } from './transformer-config.ts';

export interface DenoiserShapes extends ToldChannels {
  /** Latent pixels, multiples of the patch size. */
  readonly height: number;
  readonly width: number;
}

/**
 * `declare` gives the transformer's own names. Gives `next.latents` of the shape of `latents [images, latentChannels, height, width]`.
 *
 * - `source`, the source pictures' latents, of the same shape; `codes [images, codeChannels, height, width]`
 * - of a relative output `draft`, the latents of the codes' own pictures, of the same shape
 * - `captions [captions, tokens, captionDim]` with `caption_mask [captions, tokens]`: those that branches choose from
 * - `branch_caption [branches]` int64, a row of `captions`; `branch_codes` and `branch_source [branches]`, 1 or 0
 * - `weights [steps, branches]`: how the branches' predictions are summed
 * - `sigmas [steps]` and `next_sigmas [steps]`: noise levels before and after each step; `times [steps]`, what the
 *   transformer is told of them
 * @throws TensorError as `luminaTransformer`.
 */
export function compileDenoiser(
  declare: Declare,
  config: LuminaTransformerConfig,
  { height, width, ...channels }: DenoiserShapes,
): CompiledProgram {
  const model = declareLuminaTransformer(declare, config, channels);
  const latentShape: Shape = ['images', config.latentChannels, height, width];
  const latents = input('latents', 'float32', latentShape);
  const source = input('source', 'float32', latentShape);
  const draft = channels.relative ? input('draft', 'float32', latentShape) : undefined;
  const codes = input('codes', 'float32', ['images', channels.codeChannels, height, width]);
  const captions = input('captions', 'float32', ['captions', 'tokens', config.captionDim]);
  const captionMask = input('caption_mask', 'int64', ['captions', 'tokens']);
  const branchCaption = input('branch_caption', 'int64', ['branches']);
  const branchCodes = input('branch_codes', 'float32', ['branches']);
  const branchSource = input('branch_source', 'float32', ['branches']);
  const weights = input('weights', 'float32', ['steps', 'branches']);
  const perStep = {
    sigma: input('sigmas', 'float32', ['steps']),
    next: input('next_sigmas', 'float32', ['steps']),
    time: input('times', 'float32', ['steps']),
  };

  /** `[images, …]` for every branch: `[branches * images, …]`. */
  const everywhere = (x: Tensor) => flat(expand(reshape(x, [1, ...x.shape]), ['branches', ...x.shape]));
  const told = (x: Tensor, branch: Tensor) =>
    flat(multiply(reshape(x, [1, ...x.shape]), reshape(branch, ['branches', ...x.shape.map(() => 1)])));
  /** `[captions, …]` to the branches' own, each for every image. */
  const chosen = (x: Tensor) => {
    const [, ...rest] = x.shape;
    const rows = reshape(gather(x, branchCaption), ['branches', 1, ...rest]);
    return flat(expand(rows, ['branches', 'images', ...rest]));
  };
  const own = told(source, branchSource);
  const drafted = draft && told(draft, branchCodes);
  // In a branch that is told no source the draft stands for it.
  const stand = draft && told(draft, multiply(branchCodes, subtract(1, branchSource)));
  const fixed = { codes: told(codes, branchCodes), source: stand ? add(own, stand) : own, draft: drafted };
  const caption = { caption: chosen(captions), captionMask: chosen(captionMask) };

  const result = loop({ turns: dimension('steps'), states: [{ name: 'latents', initial: latents }] }, (turn, now) => {
    const at = (x: Tensor) => squeeze(gather(x, reshape(turn, [1])), 0);
    const all = (x: Tensor) => expand(reshape(at(x), [1]), ['branches*images']);
    const level = { sigma: all(perStep.sigma), timestep: all(perStep.time) };
    const prediction = starDirection(
      { latents: everywhere(now!), ...fixed, ...level, ...caption },
      model,
      config,
      channels,
    );
    const byBranch = reshape(prediction, ['branches', ...latentShape]);
    const weight = reshape(at(weights), ['branches', 1, 1, 1, 1]);
    const guided = reduceSum(multiply(byBranch, weight), { axes: [0] });
    return { states: [eulerStep(now!, guided, at(perStep.sigma), at(perStep.next))] };
  });
  return compile({
    name: 'denoiser',
    inputs: [
      latents,
      source,
      ...(draft ? [draft] : []),
      codes,
      captions,
      captionMask,
      branchCaption,
      branchCodes,
      branchSource,
      weights,
      ...Object.values(perStep),
    ],
    outputs: { 'next.latents': result.states[0]! },
  });
}

/** The first two axes as one. */
function flat(x: Tensor): Tensor {
  return reshape(x, ['branches*images', ...x.shape.slice(2)]);
}

export interface CodeMapShapes {
  readonly gridSize: number;
  /** Latent pixels. */
  readonly height: number;
  readonly width: number;
  /** Whether the VQ decoder's picture is told beside the embeddings. */
  readonly draft: boolean;
  /** Pixels on a side of a `draft` for the autoencoder. Default: none. */
  readonly draftSize?: number | undefined;
}

/**
 * Codes of the tokenizer as the denoiser is told them, `maps [images, codeChannels, height, width]`, from
 * `codes [images, places]`, or from `embeddings [images, places, codebookDim]` where there are no codes that they belong to; and
 * with a `draftSize` the VQ decoder's picture as large, `draft [images, 3, draftSize, draftSize]` in [−1, 1].
 */
export function compileCodeMaps(
  declare: Declare,
  config: VqConfig,
  { gridSize, height, width, draft, draftSize }: CodeMapShapes,
  from: 'codes' | 'embeddings' = 'codes',
): CompiledProgram {
  const places = gridSize ** 2;
  const given =
    from === 'codes'
      ? input('codes', 'int64', ['images', places])
      : input('embeddings', 'float32', ['images', places, config.codebookDim]);
  const encoder = within(declare, 'pixel_encoder');
  const embeddings = from === 'codes' ? codeEmbeddings(given, declareCodebook(encoder, config), config) : given;
  const size = [height, width] as const;
  const maps = codeMaps(embeddings, gridSize, size);
  const picture = draft || draftSize !== undefined ? draftPicture(encoder, embeddings, config) : undefined;
  return compile({
    name: 'code maps',
    inputs: [given],
    outputs: {
      maps: draft ? concat([maps, resizeBilinear(picture!, ...size)], 1) : maps,
      ...(draftSize === undefined ? {} : { draft: enlargedDraft(picture!, draftSize) }),
    },
  });
}
