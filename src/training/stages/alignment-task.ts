/** Stage 3: the diffusion decoder learns to draw pictures from their codes, or from a source; all but its transformer is frozen. */
import type { RgbImage } from '../../image/rgb-image.ts';
import { psnrOf } from '../../image/similarity.ts';
import { noiseSchedule } from '../../models/lumina2/scheduler.ts';
import { zeroLatents } from '../../models/lumina2/vae-programs.ts';
import { overlayPrefixes } from '../../models/lumina2/weights.ts';
import type { ModelFolder } from '../../models/star/folder.ts';
import { vqPixelValues } from '../../models/vq/image-transform.ts';
import { requireResolution, toldPicture } from '../../tasks/diffuse.ts';
import { captionTokensOf, type DiffusionDecoder, loadProgram, resolutionStep } from '../../tasks/diffusion-decoder.ts';
import { toImages } from '../../tasks/pictures.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { type AlignmentLoss, alignmentStage } from '../alignment-loss.ts';
import { TrainingError } from '../error.ts';
import type { TrainingTask, WeightAccess } from '../task.ts';
import {
  type AlignmentDropout,
  sampleConditions,
  sampleNumber,
  sampleSigma,
  type TimestepDensity,
  trainingSigmas,
} from './alignment-chance.ts';
import { AlignmentFeeds, type AlignmentSample, type LatentChoice } from './alignment-feeds.ts';
import { EvaluationProgram, nothingFrozen } from './evaluation-program.ts';
import type { InstructionData } from './instruction-task.ts';
import { StreamData } from './stream-data.ts';

export interface AlignmentSettings {
  /** Samples of a step. */
  readonly batch: number;
  /** Pixels on a side of the pictures, a multiple of `resolutionStep`. */
  readonly resolution: number;
  /** Tokens of a caption, padding included; longer ones are cut, as the pipeline does. Default: as published. */
  readonly captionTokens?: number | undefined;
  readonly density: TimestepDensity;
  readonly latents: LatentChoice;
  readonly dropout: AlignmentDropout;
  readonly loss: AlignmentLoss;
  /** Largest distance by which edits' codes are misread, as `Misreading` has it. 0: never. */
  readonly misreading: number;
  readonly seed: number;
}

/** Pictures with captions, edited pictures with instructions, or both. */
export type AlignmentData = Pick<InstructionData, 'open' | 'heldOut' | 'description'>;

/** Noise levels at which previews measure. */
const previewSigmas = [0.25, 0.5, 0.75] as const;
/** Steps of a preview's denoising, without guidance. */
const previewSteps = 8;
/** Most pictures that a preview draws. */
const mostShown = 8;

const namePrefix = `${overlayPrefixes.transformer}.`;

type Feeds = Readonly<Record<string, TensorValue>>;

/** @throws TrainingError for a model without a diffusion decoder. */
export function requireDecoder(folder: ModelFolder, stage = 'alignment'): ModelFolder {
  if (folder.pixelDecoder) return folder;
  const message = `${stage}: ${folder.configFile} names no pixel_decoder: this model has no diffusion decoder to train; a recipe's decoder gives it one`;
  throw new TrainingError('training_option_invalid', message);
}

/** @throws TaskError for a resolution, TrainingError for a number of tokens that the decoder has no positions for. */
export function alignmentTask(
  model: StarModel,
  decoder: DiffusionDecoder,
  data: AlignmentData,
  settings: AlignmentSettings,
): TrainingTask {
  const { batch, resolution, density, dropout, seed } = settings;
  requireResolution('alignment', decoder, resolution);
  const captionTokens = settings.captionTokens ?? captionTokensOf(decoder);
  const { config: transformer, weights } = decoder.transformer;
  const mostTokens = transformer.ropePositions[0] - 1;
  if (captionTokens > mostTokens) {
    const message = `alignment: captionTokens is ${captionTokens}: expected at most ${mostTokens}`;
    throw new TrainingError('training_option_invalid', message);
  }
  if (settings.misreading > 0 && !toldPicture(decoder, true).codes) {
    const message = `alignment: misreading is ${settings.misreading}: expected 0 for a decoder that sees no codes beside a source`;
    throw new TrainingError('training_option_invalid', message);
  }
  const { pixelEncoder } = model.folder.star;
  const models = { transformer, pixelEncoder, inputs: decoder.inputs };
  const shapes = { batch, latentSize: resolution / decoder.vae.config.downsampling, captionTokens };
  const stage = alignmentStage(models, { ...shapes, loss: settings.loss });
  const sizes = { resolution, captionTokens };
  const feeds = new AlignmentFeeds(model, decoder, sizes, settings);
  const levels = trainingSigmas(decoder.scheduler);
  const evaluation = new EvaluationProgram(
    alignmentStage(models, { ...shapes, reportPrediction: true }),
    nothingFrozen,
    model.runtime,
  );

  const toFeeds = (samples: readonly AlignmentSample[]) =>
    feeds.of(
      samples.map((sample) => {
        const edits = 'source' in sample;
        const number = sampleNumber(sample.index, edits);
        return {
          sample,
          told: sampleConditions(dropout, toldPicture(decoder, edits), seed, number),
          sigma: sampleSigma(levels, density, seed, number),
        };
      }),
    );
  /** Whole batches of held-out samples, all told. */
  const heldOutFeeds = async (): Promise<Feeds[]> => {
    const batches: Feeds[] = [];
    for (let from = 0; from + batch <= data.heldOut.length; from += batch) {
      const samples = data.heldOut.slice(from, from + batch);
      batches.push(
        await feeds.of(
          samples.map((sample) => {
            const told = { caption: true, ...toldPicture(decoder, 'source' in sample) };
            return { sample, told, sigma: 0 };
          }),
        ),
      );
    }
    return batches;
  };
  const draw = async (access: WeightAccess, told: Feeds): Promise<RgbImage[]> => {
    const latents = await denoise(told, decoder, resolution, async (states, sigma) => {
      const shown = { ...told, latents: states, noise: states, sigma: everywhere(batch, sigma) };
      const [result] = await evaluation.run(access, [shown]);
      return result!.prediction!.data as Float32Array;
    });
    await using program = await loadProgram(model, decoder, 'vae decoder', sizes);
    const { picture } = await program.session.run({ latents }, { outputs: ['picture'] });
    return toImages(picture as TensorValue);
  };

  return {
    stage,
    configuration: {
      ...settings,
      captionTokens,
      data: data.description,
      sizes: {
        transformer,
        pixelEncoder,
        inputs: decoder.inputs,
        scheduler: decoder.scheduler,
        vae: decoder.vae.config,
      },
    },
    ...nothingFrozen,
    start: (name) => weights.read(name.slice(namePrefix.length)),
    openData: (cursor) => StreamData.open(data.open, batch, toFeeds, cursor),
    preview: async (access) => {
      const told = await heldOutFeeds();
      // No codes and no source: what they are worth shows against it.
      const untold = told.map(
        (each): Feeds => ({
          ...each,
          code_embeddings: zeroLatents(each.code_embeddings!.shape),
          ...(each.draft ? { draft: zeroLatents(each.draft.shape) } : {}),
          source_latents: zeroLatents(each.source_latents!.shape),
          ...(each.draft_latents ? { draft_latents: zeroLatents(each.draft_latents.shape) } : {}),
        }),
      );
      const loss = async (batches: readonly Feeds[], sigma: number) => {
        const shown = batches.map((each) => ({ ...each, sigma: everywhere(batch, sigma) }));
        return mean((await evaluation.run(access, shown)).map((result) => mean(result.per_sample_mse!.data)));
      };
      const losses: [sigma: number, told: number, untold: number][] = [];
      for (const sigma of previewSigmas) losses.push([sigma, await loss(told, sigma), await loss(untold, sigma)]);
      const drawn = told.length > 0 ? await draw(access, told[0]!) : [];
      const pairs = drawn.map(
        (picture, at) => [toImages(vqPixelValues(data.heldOut[at]!.image, resolution))[0]!, picture] as const,
      );
      return {
        pictures: pairs.slice(0, mostShown).flat(),
        numbers: {
          held_out_loss: mean(losses.map(([, told]) => told)),
          ...Object.fromEntries(losses.map(([sigma, told]) => [`held_out_loss_at_${sigma}`, told])),
          condition_gain: mean(losses.map(([, told, untold]) => untold - told)),
          drawn_psnr: mean(pairs.map(([picture, made]) => psnrOf(picture, made))),
        },
      };
    },
  };
}

/** A few Euler steps from the samples' noise, without guidance. `predict` gives the direction at a noise level. */
async function denoise(
  { noise }: Feeds,
  decoder: DiffusionDecoder,
  resolution: number,
  predict: (states: TensorValue, sigma: number) => Promise<Float32Array>,
): Promise<TensorValue> {
  const { sigmas } = noiseSchedule(decoder.scheduler, previewSteps, (resolution / resolutionStep(decoder)) ** 2);
  const { shape } = noise!;
  let states = noise!.data as Float32Array;
  for (let step = 0; step < previewSteps; step++) {
    const [sigma, next] = [sigmas[step]!, sigmas[step + 1]!];
    // Noise and picture alike are these states, and so is what lies between them.
    const direction = await predict({ dtype: 'float32', shape, data: states }, sigma);
    states = states.map((value, at) => value + (sigma - next) * direction[at]!);
  }
  return { dtype: 'float32', shape, data: states };
}

function everywhere(batch: number, sigma: number): TensorValue {
  return { dtype: 'float32', shape: [batch], data: new Float32Array(batch).fill(sigma) };
}

function mean(values: TensorValue['data'] | readonly number[]): number {
  return Array.from(values, Number).reduce((sum, value) => sum + value, 0) / values.length;
}
