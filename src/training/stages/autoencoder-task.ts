/** Before stage 3: the diffusion decoder's autoencoder learns to write pictures down in latents and to draw them again. */
import { imageToFloat, type RgbImage } from '../../image/rgb-image.ts';
import { zeroLatents } from '../../models/lumina2/vae-programs.ts';
import { overlayPrefixes } from '../../models/lumina2/weights.ts';
import { vqPixelValues } from '../../models/vq/image-transform.ts';
import { requireResolution } from '../../tasks/diffuse.ts';
import { captionTokensOf, type DiffusionDecoder, loadProgram } from '../../tasks/diffusion-decoder.ts';
import { toImages } from '../../tasks/pictures.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { type AutoencoderWeights, autoencoderStage } from '../autoencoder-loss.ts';
import { TrainingError } from '../error.ts';
import type { LatentScale } from '../new-model/latent-scale.ts';
import type { TrainingTask } from '../task.ts';
import { sampleNoise } from './alignment-chance.ts';
import { EvaluationProgram, nothingFrozen } from './evaluation-program.ts';
import { reconstructionPreview, squareOf, wholeBatches } from './reconstructions.ts';
import { StreamData } from './stream-data.ts';
import type { TokenizerData } from './tokenizer-task.ts';

export interface AutoencoderSettings extends AutoencoderWeights {
  /** Pictures of a step. */
  readonly batch: number;
  readonly seed: number;
  /** Pixels on a side of the pictures, a multiple of `resolutionStep`. */
  readonly resolution: number;
  /** Of the perceptual loss by the model's semantic encoder as it is; 0 leaves it out. */
  readonly perceptualWeight: number;
}

const namePrefix = `${overlayPrefixes.vae}.`;

/**
 * @throws TaskError for a resolution that the decoder cannot draw, TrainingError for a published decoder, whose transformer knows
 *   the latents that are there.
 */
export function autoencoderTask(
  model: StarModel,
  decoder: DiffusionDecoder,
  data: TokenizerData,
  settings: AutoencoderSettings,
): TrainingTask {
  const { batch, seed, resolution, perceptualWeight, pixels, klWeight } = settings;
  requireOwn(model, decoder);
  requireResolution('autoencoder', decoder, resolution);
  const { config, weights } = decoder.vae;
  const perceptual = { qwen: model.folder.qwen, processor: model.imageProcessor, weight: perceptualWeight };
  const shapes = { batch, resolution, ...(perceptualWeight > 0 ? { perceptual } : {}) };
  const frozen =
    perceptualWeight > 0
      ? { declareFrozen: model.weights.declare, weightsFolder: model.weights.folder }
      : nothingFrozen;
  const stage = autoencoderStage(config, shapes, { pixels, klWeight });
  const evaluation = new EvaluationProgram(
    autoencoderStage(config, { ...shapes, reportPictures: true }, { pixels, klWeight }),
    frozen,
    model.runtime,
  );
  const side = resolution / config.downsampling;
  const latentShape = [batch, config.latentChannels, side, side];

  /** @param first number of the first picture's noise; undefined is the mode */
  const toFeeds = (pictures: readonly RgbImage[], first?: number): Record<string, TensorValue> => {
    const values = new Float32Array(batch * 3 * resolution ** 2);
    const noise = zeroLatents(latentShape);
    pictures.forEach((picture, at) => {
      values.set(imageToFloat(squareOf(picture, resolution)), (at * values.length) / batch);
      if (first === undefined) return;
      noise.data.set(sampleNoise(latentShape, seed, first + at, 'latents').data, (at * noise.data.length) / batch);
    });
    return { picture: { dtype: 'float32', shape: [batch, 3, resolution, resolution], data: values }, noise };
  };

  return {
    stage,
    configuration: { ...settings, data: data.description, sizes: sizesOf(decoder) },
    ...frozen,
    start: (name) => weights.read(name.slice(namePrefix.length)),
    openData: (cursor) =>
      StreamData.open(data.open, batch, async (pictures, index) => toFeeds(pictures, index * batch), cursor),
    preview: async (access) => {
      const batches = wholeBatches(data.heldOut, batch);
      const results = await evaluation.run(
        access,
        batches.map((pictures) => toFeeds(pictures)),
      );
      const redrawn = results.flatMap(({ reconstruction }) => toImages(reconstruction!));
      const pairs = batches.flat().map((picture, at) => [squareOf(picture, resolution), redrawn[at]!] as const);
      const { pictures, numbers } = reconstructionPreview(pairs, batch);
      const kl = mean(results.map((result) => (result.kl!.data as Float32Array)[0]!));
      return { pictures, numbers: { ...numbers, held_out_kl: kl } };
    },
  };
}

/** Sizes that decide the training; what is measured of latents does not. */
function sizesOf({ vae: { config } }: DiffusionDecoder) {
  const { scalingFactor: _scale, shiftFactor: _shift, ...sizes } = config;
  return sizes;
}

/** @throws TrainingError for a decoder that is not the model's own. */
function requireOwn({ folder }: StarModel, { textEncoder }: DiffusionDecoder): void {
  if (textEncoder.kind === 'base') return;
  const message = `autoencoder: ${folder.configFile} names a published decoder, whose transformer knows its latents: expected one with text_encoder base`;
  throw new TrainingError('training_option_invalid', message);
}

/**
 * Measured over all latents of pictures, as they are drawn from their Gaussians: the deviation within these counts too.
 * @throws TrainingError where latents are all alike or not finite
 */
export async function measureLatents(
  model: StarModel,
  decoder: DiffusionDecoder,
  pictures: readonly RgbImage[],
  resolution: number,
): Promise<LatentScale> {
  const { latentChannels, downsampling } = decoder.vae.config;
  const side = resolution / downsampling;
  const noise = zeroLatents([1, latentChannels, side, side]);
  const sizes = { resolution, captionTokens: captionTokensOf(decoder) };
  await using program = await loadProgram(model, decoder, 'vae encoder', sizes);
  const [means, squares, variances]: number[][] = [[], [], []];
  for (const each of pictures) {
    const picture = vqPixelValues(each, resolution);
    const results = await program.session.run({ picture, noise }, { outputs: ['mean', 'logvar'] });
    const [centre, logvar] = [results.mean, results.logvar].map((value) => (value as TensorValue).data as Float32Array);
    means!.push(mean(centre!));
    squares!.push(mean(centre!.map((value) => value ** 2)));
    variances!.push(mean(logvar!.map(Math.exp)));
  }
  const shift = mean(means!);
  const variance = mean(squares!) - shift ** 2 + mean(variances!);
  if (Number.isFinite(variance) && variance > 0) return { shift, scale: 1 / Math.sqrt(variance) };
  const message = `autoencoder: latents have mean ${shift} and variance ${variance}: expected pictures that differ and finite weights`;
  throw new TrainingError('training_option_invalid', message);
}

function mean(values: Float32Array | readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
