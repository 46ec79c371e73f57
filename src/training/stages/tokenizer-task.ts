/** Stage 1: the pixel tokenizer learns to write pictures down in codes and to draw them again. */
import type { Cursor, SampleStream } from '../../data/stream.ts';
import { imageToFloat, type RgbImage } from '../../image/rgb-image.ts';
import type { QuantizerLossOptions } from '../../models/vq/losses.ts';
import { codebookName } from '../../models/vq/tokenizer.ts';
import { toImages } from '../../tasks/pictures.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { type AdversarialOptions, discriminatorPrefix } from '../adversarial-loss.ts';
import { startValue } from '../new-model/start-value.ts';
import type { TrainingTask } from '../task.ts';
import { type TokenizerParts, tokenizerStage } from '../tokenizer-loss.ts';
import { CodebookHealth } from './codebook-health.ts';
import { EvaluationProgram, nothingFrozen } from './evaluation-program.ts';
import { reconstructionPreview, squareOf, wholeBatches } from './reconstructions.ts';
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
  /** Of the perceptual loss by the model's semantic encoder as it is; 0 leaves it out. */
  readonly perceptualWeight: number;
  /** The adversarial loss, and the step from which on it counts. */
  readonly adversarial?: (AdversarialOptions & { readonly from: number }) | undefined;
  /** The decoder alone is trained with codes from the first step on, and no code is revived. */
  readonly train: TokenizerParts;
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
  const { batch, seed, accumulate, reviveUntil, perceptualWeight, adversarial, train, ...others } = settings;
  const { quantizeFrom: warmUpSteps, reviveEvery: patience, ...weights } = others;
  const [quantizeFrom, reviveEvery] = train === 'all' ? [warmUpSteps, patience] : [0, 0];
  const perceptual = { qwen: model.folder.qwen, processor: model.imageProcessor, weight: perceptualWeight };
  const shapes = {
    batch,
    imageSize,
    warmUp: true,
    train,
    ...(perceptualWeight > 0 ? { perceptual } : {}),
    ...(adversarial ? { adversarial } : {}),
  };
  const frozen =
    perceptualWeight > 0 || train === 'decoder'
      ? { declareFrozen: model.weights.declare, weightsFolder: model.weights.folder }
      : nothingFrozen;
  const stage = tokenizerStage(pixelEncoder, shapes, weights);
  const evaluation = new EvaluationProgram(
    tokenizerStage(pixelEncoder, { ...shapes, reportPictures: true }, weights),
    frozen,
    model.runtime,
  );
  const health = new CodebookHealth(codebookSize, codebookDim, seed);
  const codebook = `pixel_encoder.${codebookName}`;
  const flag = (on: boolean): TensorValue => ({ dtype: 'float32', shape: [1], data: Float32Array.of(on ? 1 : 0) });
  const toFeeds = (pictures: readonly RgbImage[], quantized: boolean, judged: boolean): Record<string, TensorValue> => {
    const values = new Float32Array(batch * 3 * imageSize ** 2);
    pictures.forEach((picture, index) => {
      values.set(imageToFloat(squareOf(picture, imageSize)), (index * values.length) / batch);
    });
    return {
      picture: { dtype: 'float32', shape: [batch, 3, imageSize, imageSize], data: values },
      quantized: flag(quantized),
      ...(adversarial ? { adversarial: flag(judged) } : {}),
    };
  };
  return {
    stage,
    configuration: { ...settings, data: data.description, sizes: pixelEncoder },
    ...frozen,
    start: async (name, shape) =>
      name.startsWith(discriminatorPrefix)
        ? startValue(name, shape, model.folder, seed)
        : await model.weights.read(name),
    openData: (cursor) =>
      StreamData.open(
        data.open,
        batch,
        async (pictures, index) => {
          const step = Math.floor(index / accumulate);
          return toFeeds(pictures, step >= quantizeFrom, adversarial !== undefined && step >= adversarial.from);
        },
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
      const batches = wholeBatches(data.heldOut, batch);
      const results = await evaluation.run(
        access,
        batches.map((pictures) => toFeeds(pictures, true, false)),
      );
      const pairs = batches.flatMap((pictures, at) => {
        const redrawn = toImages(results[at]!.reconstruction!);
        return pictures.map((picture, index) => [squareOf(picture, imageSize), redrawn[index]!] as const);
      });
      return reconstructionPreview(pairs, batch);
    },
  };
}
