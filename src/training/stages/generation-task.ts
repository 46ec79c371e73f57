/** Stage 2: the stacked AR learns to draw; base and tokenizer are frozen. */
import type { Cursor, SampleStream } from '../../data/stream.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { buildGenerationPrompt } from '../../models/star/prompt.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { uniform } from '../../tensor/random.ts';
import { TrainingError } from '../error.ts';
import { type GenerationSample, generationBatch, generationStage } from '../generation-loss.ts';
import { headFromCodebook } from '../new-model/head-start.ts';
import { baseOfStack } from '../new-model/stack-start.ts';
import { startValue } from '../new-model/start-value.ts';
import type { PictureLossSettings, TrainedParts } from '../picture-loss.ts';
import type { TrainingTask } from '../task.ts';
import { EvaluationProgram } from './evaluation-program.ts';
import { TrainedPainter } from './painter.ts';
import { type CodedPicture, PictureCodes } from './picture-codes.ts';
import { PlaceWords } from './place-words.ts';
import { StreamData } from './stream-data.ts';

/** A picture and what it shows, with the number of the sample: what chance decides of it depends on that alone. */
export interface CaptionedPicture<Picture = RgbImage> {
  readonly index: number;
  readonly image: Picture;
  readonly caption: string;
  /** What stands at each place, row by row, each one token; known of scenes of the closed world. */
  readonly words?: readonly string[];
}

export interface GenerationSettings extends PictureLossSettings {
  /** Pictures of a step. */
  readonly batch: number;
  /** Tokens of the longest prompt with the template around it. */
  readonly promptTokens: number;
  /** Share of samples whose prompt is blanked as in the unconditional row, so that guidance has a row to lean on. */
  readonly captionDropout: number;
  /**
   * What the stacks start as: the base's last layers, what the model has, or random numbers. With `base` the head starts
   * from the codebook: codes that look alike begin as likely as each other.
   */
  readonly start: 'base' | 'model' | 'random';
  readonly train: TrainedParts;
  readonly seed: number;
}

type CaptionedStream<Picture> = SampleStream<CaptionedPicture<Picture>>;

export interface GenerationData<Picture = RgbImage> {
  open(cursor: Cursor | undefined): CaptionedStream<Picture> | Promise<CaptionedStream<Picture>>;
  /** Held-out pictures; previews measure the loss of their codes. */
  readonly heldOut: readonly CaptionedPicture<Picture>[];
  /** A caption for each held-out picture that names other things: what a caption is worth shows against it. */
  readonly wrongCaptions: readonly string[];
  /** Prompts whose pictures previews show. */
  readonly prompts: readonly string[];
  readonly description: Readonly<Record<string, unknown>>;
}

type Pictured = CaptionedPicture<CodedPicture>;

/** Stream of chance of the dropout. */
const dropoutStream = 311;

export function generationTask(
  model: StarModel,
  data: GenerationData<CodedPicture>,
  settings: GenerationSettings,
): TrainingTask {
  const { star, qwen } = model.folder;
  const { batch, promptTokens, captionDropout, seed, train, wordWeight = 0, smoothing } = settings;
  const shapes = { batch, promptTokens, trained: train };
  const stage = generationStage(star, qwen, shapes, { wordWeight, smoothing });
  const frozen = { declareFrozen: model.weights.declare, weightsFolder: model.weights.folder };
  const codes = new PictureCodes(model);
  const words = new PlaceWords(model);
  const evaluation = new EvaluationProgram(stage, frozen, model.runtime);
  const painter = new TrainedPainter(model, stage);
  const promptOf = (caption: string) => {
    const prompt = buildGenerationPrompt(model.chat, caption);
    if (prompt.conditional.length <= promptTokens) return prompt;
    const message = `a caption of ${prompt.conditional.length} tokens with its frame, promptTokens is ${promptTokens}: ${caption}`;
    throw new TrainingError('batch_invalid', message, { caption });
  };
  const toFeeds = async (pictures: readonly Pictured[], captions: readonly string[], dropout: number) => {
    const drawn = await codes.ofCoded(pictures.map(({ image }) => image));
    const samples = pictures.map(({ index }, row): GenerationSample => {
      const prompt = promptOf(captions[row]!);
      const dropped = uniform(seed, dropoutStream, index) < dropout;
      return { prompt: dropped ? prompt.unconditional : prompt.conditional, codes: drawn[row]! };
    });
    return { ...generationBatch(samples, star, qwen, shapes), ...(wordWeight > 0 ? words.feed(pictures) : {}) };
  };
  const captionsOf = (pictures: readonly Pictured[]) => pictures.map(({ caption }) => caption);
  const heldOutFeeds = (captions: readonly string[], dropout = 0) =>
    Promise.all(
      Array.from({ length: Math.floor(data.heldOut.length / batch) }, (_, at) => {
        const range = [at * batch, (at + 1) * batch] as const;
        return toFeeds(data.heldOut.slice(...range), captions.slice(...range), dropout);
      }),
    );
  return {
    stage,
    configuration: { ...settings, data: data.description, sizes: { star, text: qwen.text } },
    ...frozen,
    start: (name, shape) => startOf(model, name, shape, settings),
    openData: (cursor) =>
      StreamData.open(data.open, batch, (pictures) => toFeeds(pictures, captionsOf(pictures), captionDropout), cursor),
    preview: async (access) => {
      const right = await heldOutFeeds(captionsOf(data.heldOut));
      const wrong = await heldOutFeeds(data.wrongCaptions);
      const blank = await heldOutFeeds(captionsOf(data.heldOut), 1);
      const results = await evaluation.run(access, [...right, ...wrong, ...blank]);
      const nats = (from: number) => {
        const own = results
          .slice(from, from + right.length)
          .flatMap(({ per_sample_nll }) => [...(per_sample_nll!.data as Float32Array)]);
        return own.reduce((a, b) => a + b, 0) / own.length;
      };
      const [told, mistold, untold] = [nats(0), nats(right.length), nats(2 * right.length)];
      return {
        pictures: await painter.draw(access, data.prompts, { seed: 1, guidance: 3 }),
        numbers: {
          held_out_loss: told / star.pixelEncoder.numTokens,
          // Nats a picture.
          noun_gain: mistold - told,
          caption_gain: untold - told,
        },
      };
    },
  };
}

/** Where a trained parameter starts; adapter and base start as the model has them, but the adapter for `random`. */
export async function startOf(
  model: StarModel,
  name: string,
  shape: readonly number[],
  { start, seed }: Pick<GenerationSettings, 'start' | 'seed'>,
): Promise<Float32Array> {
  if (start === 'random' && !name.startsWith('llm.')) return startValue(name, shape, model.folder, seed);
  if (start === 'model') return model.weights.read(name);
  if (name === 'pixel_output_head.weight') return headFromCodebook(model, shape, seed);
  if (name === 'pixel_output_head.bias') return startValue(name, shape, model.folder, seed);
  return model.weights.read(baseOfStack(name, model.folder) ?? name);
}
