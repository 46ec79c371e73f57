/** Stage 1: the pixel tokenizer learns to write pictures down in codes and to draw them again. */
import type { Cursor, SampleStream } from '../../data/stream.ts';
import { resizeImage } from '../../image/resize.ts';
import { imageFromFloat, imageToFloat, type RgbImage } from '../../image/rgb-image.ts';
import type { QuantizerLossOptions } from '../../models/vq/losses.ts';
import { codebookName } from '../../models/vq/tokenizer.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import type { TrainingTask } from '../task.ts';
import { tokenizerStage } from '../tokenizer-loss.ts';
import { CodebookHealth } from './codebook-health.ts';
import { EvaluationProgram, nothingFrozen } from './evaluation-program.ts';
import { StreamData } from './stream-data.ts';

export interface TokenizerSettings extends Required<QuantizerLossOptions> {
  /** Pictures of a step. */
  readonly batch: number;
  readonly seed: number;
  /** Steps between revivals of dead codes; 0 leaves them dead. */
  readonly reviveEvery: number;
  /** Batches of a step. */
  readonly accumulate: number;
  /** Steps in which the decoder is given features in place of codes; then the codebook is laid over the features. */
  readonly quantizeFrom: number;
  /** No code is revived in the last steps, from this one on: a code that has just moved makes pictures worse at first. */
  readonly reviveUntil: number;
}

export interface TokenizerData {
  /** Pictures to learn from, of any size. */
  open(cursor: Cursor | undefined): SampleStream<RgbImage> | Promise<SampleStream<RgbImage>>;
  /** Held-out pictures that previews show and measure. */
  readonly heldOut: readonly RgbImage[];
  /** What decides the data, for the saved configuration. */
  readonly description: Readonly<Record<string, unknown>>;
}

export function tokenizerTask(model: StarModel, data: TokenizerData, settings: TokenizerSettings): TrainingTask {
  const { pixelEncoder } = model.folder.star;
  const { imageSize, codebookSize, codebookDim } = pixelEncoder;
  const { batch, seed, reviveEvery, quantizeFrom, accumulate, reviveUntil, ...weights } = settings;
  const shapes = { batch, imageSize, warmUp: true };
  const stage = tokenizerStage(pixelEncoder, shapes, weights);
  const evaluation = new EvaluationProgram(
    tokenizerStage(pixelEncoder, { ...shapes, reportPictures: true }, weights),
    nothingFrozen,
    model.runtime,
  );
  const health = new CodebookHealth(codebookSize, codebookDim, seed);
  const codebook = `pixel_encoder.${codebookName}`;
  const toFeeds = (pictures: readonly RgbImage[], quantized: boolean): Record<string, TensorValue> => {
    const values = new Float32Array(batch * 3 * imageSize ** 2);
    pictures.forEach((picture, index) => {
      const fits = picture.width === imageSize && picture.height === imageSize;
      const square = fits ? picture : resizeImage(picture, imageSize, imageSize, 'bilinear');
      values.set(imageToFloat(square), (index * values.length) / batch);
    });
    return {
      picture: { dtype: 'float32', shape: [batch, 3, imageSize, imageSize], data: values },
      quantized: { dtype: 'float32', shape: [1], data: Float32Array.of(quantized ? 1 : 0) },
    };
  };
  return {
    stage,
    configuration: { ...settings, data: data.description, sizes: pixelEncoder },
    ...nothingFrozen,
    start: (name) => model.weights.read(name),
    openData: (cursor) =>
      StreamData.open(
        data.open,
        batch,
        async (pictures, index) => toFeeds(pictures, Math.floor(index / accumulate) >= quantizeFrom),
        cursor,
      ),
    observe: ({ codes, features }) => health.observe(codes!, features!),
    state: health.state,
    ...(reviveEvery > 0
      ? {
          maintainEvery: reviveEvery,
          maintain: async (access, step) => {
            if (step >= quantizeFrom && step < reviveUntil) {
              const value = await access.read(codebook);
              const first = step - reviveEvery < quantizeFrom;
              const revived = first ? health.layOut(value, step) : health.revive(value, step - quantizeFrom);
              if (revived.length > 0) await access.write(codebook, value, revived);
            }
            return health.tell();
          },
        }
      : {}),
    preview: async (access) => {
      const whole = data.heldOut.slice(0, Math.floor(data.heldOut.length / batch) * batch);
      const batches = Array.from({ length: whole.length / batch }, (_, at) =>
        whole.slice(at * batch, (at + 1) * batch),
      );
      const results = await evaluation.run(
        access,
        batches.map((pictures) => toFeeds(pictures, true)),
      );
      return {
        pictures: sideBySide(batches[0]!, results[0]!.reconstruction!, imageSize),
        numbers: psnr(batches, results),
      };
    },
  };
}

/** Each picture with its reconstruction on the right. */
function sideBySide(pictures: readonly RgbImage[], reconstruction: TensorValue, size: number): RgbImage[] {
  const each = 3 * size ** 2;
  return pictures.map((picture, index) => {
    const values = (reconstruction.data as Float32Array).subarray(index * each, (index + 1) * each);
    const redrawn = imageFromFloat(values, size, size);
    const data = new Uint8Array(2 * each);
    for (let row = 0; row < size; row++) {
      data.set(picture.data.subarray(row * size * 3, (row + 1) * size * 3), row * size * 6);
      data.set(redrawn.data.subarray(row * size * 3, (row + 1) * size * 3), row * size * 6 + size * 3);
    }
    return { width: 2 * size, height: size, data };
  });
}

/** Mean over pictures of the peak signal-to-noise ratio, in decibel; pixels beyond [−1, 1] are clipped as in a picture. */
function psnr(
  batches: readonly (readonly RgbImage[])[],
  results: readonly Readonly<Record<string, TensorValue>>[],
): Record<string, number> {
  const each: number[] = [];
  batches.forEach((pictures, at) => {
    const reconstruction = results[at]!.reconstruction!.data as Float32Array;
    pictures.forEach((picture, index) => {
      const values = imageToFloat(picture);
      let sum = 0;
      for (let pixel = 0; pixel < values.length; pixel++) {
        const redrawn = Math.min(1, Math.max(-1, reconstruction[index * values.length + pixel]!));
        sum += ((redrawn - values[pixel]!) / 2) ** 2;
      }
      each.push(-10 * Math.log10(Math.max(sum / values.length, 1e-10)));
    });
  });
  return { held_out_psnr: each.reduce((a, b) => a + b, 0) / each.length, held_out_pictures: each.length };
}
