/** Stage 4: drawing and editing together; base, semantic encoder and tokenizer are frozen. */
import type { Cursor, SampleStream } from '../../data/stream.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { buildEditPrompt, buildGenerationPrompt } from '../../models/star/prompt.ts';
import { editPrompt } from '../../tasks/edit.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { uniform } from '../../tensor/random.ts';
import { TrainingError } from '../error.ts';
import { InstructionBatch, type InstructionSample, instructionStage } from '../instruction-loss.ts';
import type { TrainingTask } from '../task.ts';
import { drawnPicture } from './drawn-picture.ts';
import { EvaluationProgram } from './evaluation-program.ts';
import { type CaptionedPicture, type GenerationSettings, startOf } from './generation-task.ts';
import { TrainedPainter } from './painter.ts';
import { type CodedPicture, PictureCodes } from './picture-codes.ts';
import { PlaceWords } from './place-words.ts';
import { StreamData } from './stream-data.ts';

/** A picture, an instruction, and the picture that it makes of it. */
export interface EditedPicture<Picture = RgbImage> {
  readonly index: number;
  readonly source: RgbImage;
  /** The source's codes, where they were made before. */
  readonly sourceCodes?: Int32Array;
  readonly instruction: string;
  readonly image: Picture;
  /** As of a captioned picture: what stands at each place of what comes out. */
  readonly words?: readonly string[];
}

export interface InstructionSettings extends GenerationSettings {
  /** Samples of a step that edit; the first ones. At least 1, at most the batch. */
  readonly edits: number;
}

export type EditedOrCaptioned<Picture = RgbImage> = EditedPicture<Picture> | CaptionedPicture<Picture>;
type InstructionStream<Picture> = SampleStream<EditedOrCaptioned<Picture>>;

export interface InstructionData<Picture = RgbImage> {
  /** A batch after another: `edits` edited pictures, then captioned ones. */
  open(cursor: Cursor | undefined): InstructionStream<Picture> | Promise<InstructionStream<Picture>>;
  /** The first `edits` of each batch edit. */
  readonly heldOut: readonly EditedOrCaptioned<Picture>[];
  /** Edits whose results previews show beside their sources. */
  readonly shown: readonly Pick<EditedPicture, 'source' | 'instruction'>[];
  readonly description: Readonly<Record<string, unknown>>;
}

/** Stream of chance of the dropout. */
const dropoutStream = 331;

export function instructionTask(
  model: StarModel,
  data: InstructionData<CodedPicture>,
  settings: InstructionSettings,
): TrainingTask {
  const { star, qwen } = model.folder;
  const { numTokens } = star.pixelEncoder;
  const { batch, edits, promptTokens, captionDropout, seed, train, wordWeight = 0, smoothing } = settings;
  if (edits < 1 || edits > batch) {
    throw new TrainingError('training_option_invalid', `edits is ${edits}: expected 1 to the batch, ${batch}`);
  }
  const { grid, tokens: semanticTokens } = drawnPicture(model);
  const shapes = { batch, promptTokens, pictures: edits, grid, trained: train };
  const layout = {
    pixelTokens: numTokens,
    semanticTokens,
    generatedTokens: numTokens,
  };
  const stage = instructionStage(star, qwen, shapes, { wordWeight, smoothing });
  const frozen = { declareFrozen: model.weights.declare, weightsFolder: model.weights.folder };
  const codes = new PictureCodes(model);
  const words = new PlaceWords(model);
  const pixelPad = model.chat.tokenizer.idOf('<|vision_pad|>')!;
  const batches = new InstructionBatch(model.folder, model.imageProcessor, shapes, pixelPad);
  const evaluation = new EvaluationProgram(stage, frozen, model.runtime);
  const painter = new TrainedPainter(model, stage);

  const toFeeds = async (pictures: readonly EditedOrCaptioned<CodedPicture>[], dropout: number) => {
    const sources = pictures.filter((picture) => 'source' in picture);
    const coded = sources.map(({ source, sourceCodes }) => (sourceCodes ? { codes: sourceCodes } : source));
    const drawn = await codes.ofCoded([...pictures.map(({ image }) => image), ...coded]);
    const samples = pictures.map((picture, row): InstructionSample => {
      const dropped = uniform(seed, dropoutStream, picture.index) < dropout;
      if ('caption' in picture) {
        const prompt = buildGenerationPrompt(model.chat, picture.caption);
        return { kind: 'draw', prompt: dropped ? prompt.unconditional : prompt.conditional, codes: drawn[row]! };
      }
      const prompt = buildEditPrompt(model.chat, picture.instruction, layout);
      return {
        kind: 'edit',
        prompt: dropped ? prompt.unconditional : prompt.conditional,
        positionIds: prompt.positionIds.slice(0, prompt.length),
        source: picture.source,
        sourceCodes: drawn[pictures.length + sources.indexOf(picture)]!,
        codes: drawn[row]!,
      };
    });
    return { ...batches.feeds(samples), ...(wordWeight > 0 ? words.feed(pictures) : {}) };
  };

  return {
    stage,
    configuration: { ...settings, data: data.description, sizes: { star, qwen } },
    ...frozen,
    start: (name, shape) => startOf(model, name, shape, settings),
    openData: (cursor) => StreamData.open(data.open, batch, (pictures) => toFeeds(pictures, captionDropout), cursor),
    preview: async (access) => {
      const whole = Math.floor(data.heldOut.length / batch);
      const parts = Array.from({ length: whole }, (_, at) => data.heldOut.slice(at * batch, (at + 1) * batch));
      const told = await evaluation.run(access, await Promise.all(parts.map((part) => toFeeds(part, 0))));
      const untold = await evaluation.run(access, await Promise.all(parts.map((part) => toFeeds(part, 1))));
      /** Nats a picture. */
      const mean = (results: typeof told, from: number, to: number) => {
        const own = results.flatMap(({ per_sample_nll }) => [
          ...(per_sample_nll!.data as Float32Array).slice(from, to),
        ]);
        return own.reduce((a, b) => a + b, 0) / Math.max(own.length, 1);
      };
      const pictures: RgbImage[] = [];
      for (const { source, instruction } of data.shown) {
        const prompt = await editPrompt(model, source, instruction);
        const [drawn] = await painter.drawPrompts(access, [prompt], { seed: 1, guidance: 2, edit: true });
        pictures.push(source, drawn!);
      }
      return {
        pictures,
        numbers: {
          held_out_edit_loss: mean(told, 0, edits) / numTokens,
          held_out_draw_loss: mean(told, edits, batch) / numTokens,
          instruction_gain: mean(untold, 0, edits) - mean(told, 0, edits),
          caption_gain: mean(untold, edits, batch) - mean(told, edits, batch),
        },
      };
    },
  };
}
