/**
 * The loss of text-to-image training: mean cross-entropy of an image's tokens given its prompt, all places at once. The
 * published repository has inference only; the input of a row is what `generate_images` feeds, with the image's own tokens
 * in place of drawn ones. The gradient flows through the frozen base to the adapter.
 *
 * A row of the sequence is padding, prompt, image tokens but the last: with the padding in front, the places that predict
 * the image are the same in every row. Padding is seen by nothing, and positions count from the prompt's first token.
 */

import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import { rotaryTables } from '../models/qwen25vl/positions.ts';
import { decoder, type Rotary } from '../models/qwen25vl/text-decoder.ts';
import type { StarConfig } from '../models/star/config.ts';
import { type Base, declareBase, declarePictureParts, type PictureParts } from '../models/star/parameters.ts';
import { codeEmbeddings } from '../models/vq/tokenizer.ts';
import { geluMlp } from '../nn/mlp.ts';
import type { Declare } from '../nn/parameters.ts';
import {
  arange,
  type CompiledProgram,
  concat,
  constant,
  gather,
  maximum,
  slice,
  subtract,
  type Tensor,
  type TensorValue,
  unsqueeze,
} from '../tensor/index.ts';
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
import { compileLoss, type LossOptions, type Stage } from './stage.ts';

export interface GenerationShapes {
  /** Images of a step. */
  readonly batch: number;
  /** Tokens of the longest prompt, `<|vision_start|>` included. */
  readonly promptTokens: number;
  /** What is trained. Default all. */
  readonly trained?: TrainedParts;
}

/** The stage that trains adapter, stacks and head on pairs of prompt and image. */
export function generationStage(
  star: StarConfig,
  qwen: Qwen25VLConfig,
  { batch, promptTokens, trained }: GenerationShapes,
  settings: PictureLossSettings = {},
): Stage {
  const image = [batch, star.pixelEncoder.numTokens] as const;
  return {
    name: 'generation',
    data: [
      { name: 'token_ids', dtype: 'int64', shape: [batch, promptTokens] },
      { name: 'prompt_lengths', dtype: 'int64', shape: [batch] },
      { name: 'targets', dtype: 'int64', shape: image },
      ...wordsPort(image, settings),
    ],
    trained: trainedPictureParts(star, qwen, 'generate', trained),
    loss: (declare, { token_ids, prompt_lengths, targets, words }) => {
      const base = declareBase(declare, qwen);
      const picture = declarePictureParts(declare, star, qwen);
      const inputs = { tokenIds: token_ids!, promptLengths: prompt_lengths!, targets: targets! };
      const { hidden, rotary, mask } = drawnStates(inputs, base, picture, star, qwen);
      let states = hidden;
      for (const stack of stacksFor('generate', picture.stacks, star))
        states = decoder(states, stack, qwen.text, rotary, { mask }).hidden;
      return pictureLoss({ states, promptTokens, targets: targets!, words }, picture, base, star, settings);
    },
  };
}

/**
 * The program of the generation stage's loss: `loss`, `per_sample_nll [batch]` (sums over an image's tokens), and `grad.<name>` of trained parameters.
 * Its feeds come from `generationBatch`.
 */
export function compileGenerationLoss(
  declare: Declare,
  star: StarConfig,
  qwen: Qwen25VLConfig,
  shapes: GenerationShapes,
  options?: LossOptions,
): CompiledProgram {
  return compileLoss(generationStage(star, qwen, shapes), declare, options);
}

export interface GenerationInputs {
  /** `[batch, promptTokens]`, padding in front. */
  readonly tokenIds: Tensor;
  /** `[batch]`. */
  readonly promptLengths: Tensor;
  /** `[batch, imageTokens]`. */
  readonly targets: Tensor;
}

/** What the base makes of a prompt and the image tokens after it but the last: `hidden [batch, sequence, hidden]`. */
export function drawnStates(
  { tokenIds, promptLengths, targets }: GenerationInputs,
  base: Base,
  { codebook, adapter }: Pick<PictureParts, 'codebook' | 'adapter'>,
  star: StarConfig,
  { text }: Qwen25VLConfig,
): { readonly hidden: Tensor; readonly rotary: Rotary; readonly mask: Tensor } {
  const promptTokens = tokenIds.shape[1] as number;
  const imageTokens = targets.shape[1] as number;
  const sequence = promptTokens + imageTokens - 1;
  const previous = slice(targets, 1, 0, imageTokens - 1);
  const pictureInputs = geluMlp(codeEmbeddings(previous, codebook, star.pixelEncoder), adapter);
  const inputs = concat([gather(base.embedding, tokenIds), pictureInputs], 1);

  const padding = paddingOf(promptLengths, promptTokens);
  const positions = maximum(subtract(unsqueeze(arange(sequence), 0), padding), 0);
  const rotary = rotaryOf(positions, sequence, text);
  const mask = paddedMask(padding, sequence);
  return { hidden: decoder(inputs, base.decoder, text, rotary, { mask }).hidden, rotary, mask };
}

/** Rotary tables of a text's positions, equal on all three axes. */
function rotaryOf(
  positions: Tensor,
  length: number,
  { headDim, ropeTheta, mropeSection }: Qwen25VLConfig['text'],
): Rotary {
  const axes = Int32Array.from({ length: 3 * length }, (_, index) => index % length);
  const { cos, sin } = rotaryTables(axes, headDim, ropeTheta, mropeSection);
  const table = (values: Float32Array) => constant('float32', [length, headDim / 2], values);
  return { cosine: table(cos), sine: table(sin), positions };
}

/** A prompt and the image that it is to give. */
export interface GenerationSample {
  /** Ids of the conditional row of `buildGenerationPrompt`. */
  readonly prompt: readonly number[];
  /** Codes of the image, row by row. */
  readonly codes: readonly number[] | Int32Array;
}

/**
 * The feeds of one step.
 * @throws TrainingError for samples that do not fit the shapes: a prompt of no or too many tokens, codes that are too few,
 * too many or not in the codebook, ids that are not in the vocabulary.
 */
export function generationBatch(
  samples: readonly GenerationSample[],
  star: StarConfig,
  qwen: Qwen25VLConfig,
  { batch, promptTokens }: GenerationShapes,
): Record<'token_ids' | 'prompt_lengths' | 'targets', TensorValue> {
  const { numTokens, codebookSize } = star.pixelEncoder;
  if (samples.length !== batch) {
    throw new TrainingError('batch_invalid', `got ${samples.length} samples for a program with a batch of ${batch}`);
  }
  const tokenIds = new BigInt64Array(batch * promptTokens);
  const targets = new BigInt64Array(batch * numTokens);
  samples.forEach(({ prompt, codes }, row) => {
    checkSample(row, prompt, codes, { promptTokens, numTokens });
    const start = (row + 1) * promptTokens - prompt.length;
    prompt.forEach((id, index) => {
      tokenIds[start + index] = checkedIndex(id, qwen.text.vocabSize, `sample ${row}: token`);
    });
    codes.forEach((code, index) => {
      targets[row * numTokens + index] = checkedIndex(code, codebookSize, `sample ${row}: code`);
    });
  });
  const lengths = BigInt64Array.from(samples, ({ prompt }) => BigInt(prompt.length));
  return {
    token_ids: { dtype: 'int64', shape: [batch, promptTokens], data: tokenIds },
    prompt_lengths: { dtype: 'int64', shape: [batch], data: lengths },
    targets: { dtype: 'int64', shape: [batch, numTokens], data: targets },
  };
}
