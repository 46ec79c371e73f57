/**
 * The loss of unified instruction tuning, stage 4: mean cross-entropy of a picture's tokens given a prompt to draw it or an
 * instruction that makes it of another picture. Rows of both kinds stand in one batch. A row is what the published
 * `generate_images` and `generate_images_edit` feed, with the picture's own tokens in place of drawn ones.
 *
 * As in the generation stage the base and the semantic encoder are frozen, the padding stands in front, and the gradient
 * flows through the base to the adapter: here also from the source picture's codes.
 */

import type { RgbImage } from '../image/rgb-image.ts';
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import type { ImageProcessorConfig } from '../models/qwen25vl/image-processor.ts';
import { mropePositions, rotaryTables } from '../models/qwen25vl/positions.ts';
import { decoder } from '../models/qwen25vl/text-decoder.ts';
import { declareVisionEncoder } from '../models/qwen25vl/vision-encoder.ts';
import type { StarConfig } from '../models/star/config.ts';
import { declareBase, declarePictureParts } from '../models/star/parameters.ts';
import type { PromptSegment } from '../models/star/prompt.ts';
import { codeEmbeddings } from '../models/vq/tokenizer.ts';
import { geluMlp } from '../nn/mlp.ts';
import { within } from '../nn/parameters.ts';
import { arange, concat, gather, reshape, slice, type Tensor, type TensorValue } from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import {
  checkedIndex,
  checkSample,
  type PictureLossSettings,
  paddedMask,
  paddingOf,
  pictureLoss,
  stacksFor,
  type TrainedParts,
  trainedPictureParts,
  wordsPort,
} from './picture-loss.ts';
import type { Stage } from './stage.ts';
import { insertBlocks } from './understanding-loss.ts';
import { encodePictures, PatchBatch, patchPort, semanticTokens, type VisionShapes } from './vision-batch.ts';

export interface InstructionShapes extends VisionShapes {
  /** Samples of a step; the first `pictures` of them edit, the others draw. */
  readonly batch: number;
  /** Places of the longest prompt, source picture and `<|vision_start|>` included. */
  readonly promptTokens: number;
  /** What is trained. Default all. */
  readonly trained?: TrainedParts;
}

/** The stage that trains adapter, stacks and head on drawing and editing together. */
export function instructionStage(
  star: StarConfig,
  qwen: Qwen25VLConfig,
  shapes: InstructionShapes,
  settings: PictureLossSettings = {},
): Stage {
  const { batch, promptTokens, pictures } = shapes;
  const { numTokens } = star.pixelEncoder;
  if (batch > pictures && star.stackedAr.some(({ tasks }) => !tasks.includes('generate'))) {
    const message = 'a stack is for editing alone: expected a batch in which all samples edit';
    throw new TrainingError('batch_invalid', `${message}, got ${pictures} of ${batch}`);
  }
  const table = [batch * (promptTokens + numTokens - 1), qwen.text.headDim / 2] as const;
  return {
    name: 'instruction',
    data: [
      { name: 'token_ids', dtype: 'int64', shape: [batch, promptTokens] },
      { name: 'inserted', dtype: 'int64', shape: [batch, promptTokens] },
      { name: 'prompt_lengths', dtype: 'int64', shape: [batch] },
      { name: 'cosine', dtype: 'float32', shape: table },
      { name: 'sine', dtype: 'float32', shape: table },
      { name: 'source_codes', dtype: 'int64', shape: [pictures, numTokens] },
      patchPort(shapes, qwen.vision),
      { name: 'targets', dtype: 'int64', shape: [batch, numTokens] },
      ...wordsPort([batch, numTokens], settings),
    ],
    trained: trainedPictureParts(star, qwen, 'edit', shapes.trained),
    loss: (declare, data) => {
      const base = declareBase(declare, qwen);
      const vision = declareVisionEncoder(within(declare, 'llm.visual'), qwen.vision);
      const picture = declarePictureParts(declare, star, qwen);
      const codes = (indices: Tensor) =>
        geluMlp(codeEmbeddings(indices, picture.codebook, star.pixelEncoder), picture.adapter);
      const semantic = encodePictures(data.patches!, vision, shapes, qwen.vision);
      const blocks = concat(
        [semantic, reshape(codes(data.source_codes!), [pictures * numTokens, qwen.text.hiddenSize])],
        0,
      );
      const prompt = insertBlocks(gather(base.embedding, data.token_ids!), data.inserted!, blocks);
      const inputs = concat([prompt, codes(slice(data.targets!, 1, 0, numTokens - 1))], 1);
      const sequence = promptTokens + numTokens - 1;
      const positions = reshape(arange(batch * sequence), [batch, sequence]);
      const rotary = { cosine: data.cosine!, sine: data.sine!, positions };
      const mask = paddedMask(paddingOf(data.prompt_lengths!, promptTokens), sequence);
      let states = decoder(inputs, base.decoder, qwen.text, rotary, { mask }).hidden;
      for (const stack of stacksFor('edit', picture.stacks, star))
        states = decoder(states, stack, qwen.text, rotary, { mask }).hidden;
      const prediction = { states, promptTokens, targets: data.targets!, words: data.words };
      return pictureLoss(prediction, picture, base, star, settings);
    },
  };
}

/** A picture to draw, or to make of another one. */
export type InstructionSample = {
  /** Codes of the picture to give, row by row. */
  readonly codes: readonly number[] | Int32Array;
} & (
  | { readonly kind: 'draw'; readonly prompt: readonly number[] }
  | {
      readonly kind: 'edit';
      /** A row of `buildEditPrompt`, and its `positionIds` up to the row's length. */
      readonly prompt: readonly PromptSegment[];
      readonly positionIds: readonly number[];
      readonly source: RgbImage;
      readonly sourceCodes: readonly number[] | Int32Array;
    }
);

/** Makes the feeds of steps. */
export class InstructionBatch {
  readonly #star: StarConfig;
  readonly #qwen: Qwen25VLConfig;
  readonly #shapes: InstructionShapes;
  readonly #patches: PatchBatch;
  readonly #pixelPad: number;

  /** @param pixelPad id of `<|vision_pad|>`, which stands for a picture's tokens where positions are laid out. */
  constructor(
    { star, qwen }: { readonly star: StarConfig; readonly qwen: Qwen25VLConfig },
    processor: ImageProcessorConfig,
    shapes: InstructionShapes,
    pixelPad: number,
  ) {
    this.#star = star;
    this.#qwen = qwen;
    this.#shapes = shapes;
    this.#pixelPad = pixelPad;
    this.#patches = new PatchBatch(shapes, processor, qwen.vision);
  }

  /**
   * The first `pictures` samples edit, the others draw.
   * @throws TrainingError for samples that do not fit the shapes.
   */
  feeds(samples: readonly InstructionSample[]): Record<string, TensorValue> {
    const { batch, promptTokens, pictures, grid } = this.#shapes;
    const { text, tokens, vision } = this.#qwen;
    const { numTokens, codebookSize } = this.#star.pixelEncoder;
    const kinds = samples.map(({ kind }, row) => kind === (row < pictures ? 'edit' : 'draw'));
    if (samples.length !== batch || !kinds.every(Boolean)) {
      const message = `expected ${pictures} samples that edit, then ${batch - pictures} that draw; got ${samples.map(({ kind }) => kind).join(', ')}`;
      throw new TrainingError('batch_invalid', message);
    }
    const sequence = promptTokens + numTokens - 1;
    const ids = new BigInt64Array(batch * promptTokens);
    const inserted = new BigInt64Array(batch * promptTokens);
    const targets = new BigInt64Array(batch * numTokens);
    const sources = new BigInt64Array(pictures * numTokens);
    const lengths = new BigInt64Array(batch);
    const positions = new Int32Array(3 * batch * sequence);
    const semantic = semanticTokens(grid, vision);
    samples.forEach((sample, row) => {
      const blocks = { semantic: row * semantic, pixel: pictures * semantic + row * numTokens };
      const places =
        sample.kind === 'draw' ? sample.prompt.map((id) => [id, 0] as const) : placesOf(sample.prompt, blocks);
      checkSample(row, places, sample.codes, { promptTokens, numTokens });
      const start = promptTokens - places.length;
      places.forEach(([id, block], index) => {
        ids[row * promptTokens + start + index] = checkedIndex(id, text.vocabSize, `sample ${row}: token`);
        inserted[row * promptTokens + start + index] = BigInt(block);
      });
      lengths[row] = BigInt(places.length);
      sample.codes.forEach((code, index) => {
        targets[row * numTokens + index] = checkedIndex(code, codebookSize, `sample ${row}: code`);
      });
      if (sample.kind === 'edit') {
        sample.sourceCodes.forEach((code, index) => {
          sources[row * numTokens + index] = checkedIndex(code, codebookSize, `sample ${row}: code of the source`);
        });
      }
      const layout = sample.kind === 'edit' ? sample.positionIds : sample.prompt;
      const pads = new Array<number>(numTokens - 1).fill(this.#pixelPad);
      const grids = sample.kind === 'edit' ? [grid] : [];
      const own = mropePositions([...layout, ...pads], tokens, grids, vision.spatialMergeSize);
      for (let axis = 0; axis < 3; axis++) {
        const from = own.positions.subarray(axis * own.sequence, (axis + 1) * own.sequence);
        positions.set(from, axis * batch * sequence + row * sequence + start);
      }
    });
    const { cos, sin } = rotaryTables(positions, text.headDim, text.ropeTheta, text.mropeSection);
    const int64 = (shape: readonly number[], data: BigInt64Array): TensorValue => ({ dtype: 'int64', shape, data });
    const table = [batch * sequence, text.headDim / 2];
    const edited = samples.slice(0, pictures).map((sample) => (sample.kind === 'edit' ? sample.source : undefined));
    return {
      token_ids: int64([batch, promptTokens], ids),
      inserted: int64([batch, promptTokens], inserted),
      prompt_lengths: int64([batch], lengths),
      cosine: { dtype: 'float32', shape: table, data: cos },
      sine: { dtype: 'float32', shape: table, data: sin },
      source_codes: int64([pictures, numTokens], sources),
      patches: this.#patches.fill(edited),
      targets: int64([batch, numTokens], targets),
    };
  }
}

/** For each place its token, or 1 + its row among the blocks that are inserted. */
function placesOf(
  segments: readonly PromptSegment[],
  first: { readonly semantic: number; readonly pixel: number },
): (readonly [id: number, block: number])[] {
  return segments.flatMap((segment): (readonly [number, number])[] => {
    if (segment.kind === 'tokens') return segment.ids.map((id) => [id, 0]);
    const from = 1 + first[segment.kind];
    return Array.from({ length: segment.length }, (_, index) => [0, from + index]);
  });
}
