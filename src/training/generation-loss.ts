/**
 * The loss of text-to-image training: mean cross-entropy of an image's tokens given its prompt, all places at once. The
 * published repository has inference only; the input of a row is what `generate_images` feeds, with the image's own tokens
 * in place of drawn ones. The gradient flows through the frozen base to the adapter.
 *
 * A row of the sequence is padding, prompt, image tokens but the last: with the padding in front, the places that predict
 * the image are the same in every row. Padding is seen by nothing, and positions count from the prompt's first token.
 */
import { causalMask, maskedScore } from '../nn/attention.ts';
import { linear } from '../nn/linear.ts';
import { geluMlp } from '../nn/mlp.ts';
import { type Declare, parameterShapes } from '../nn/parameters.ts';
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import { rotaryTables } from '../models/qwen25vl/positions.ts';
import { decoder, type Rotary } from '../models/qwen25vl/text-decoder.ts';
import type { StarConfig } from '../models/star/config.ts';
import {
  type Base,
  declareAdapter,
  declareBase,
  declareOutputHead,
  declarePictureParts,
  declareStacks,
  type PictureParts,
} from '../models/star/parameters.ts';
import { codeEmbeddings } from '../models/vq/tokenizer.ts';
import {
  add,
  arange,
  type CompiledProgram,
  concat,
  constant,
  gather,
  gatherElements,
  less,
  logSoftmax,
  maximum,
  minimum,
  negate,
  reduceMean,
  reshape,
  slice,
  subtract,
  type Tensor,
  type TensorValue,
  unsqueeze,
  where,
} from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import { compileLoss, type LossOptions, type Stage, type StageLoss } from './stage.ts';

export interface GenerationShapes {
  /** Images of a step. */
  readonly batch: number;
  /** Tokens of the longest prompt, `<|vision_start|>` included. */
  readonly promptTokens: number;
}

/** The stage that trains adapter, stacks and head on pairs of prompt and image. */
export function generationStage(star: StarConfig, qwen: Qwen25VLConfig, shapes: GenerationShapes): Stage {
  const { batch, promptTokens } = shapes;
  return {
    name: 'generation',
    data: [
      { name: 'token_ids', dtype: 'int64', shape: [batch, promptTokens] },
      { name: 'prompt_lengths', dtype: 'int64', shape: [batch] },
      { name: 'targets', dtype: 'int64', shape: [batch, star.pixelEncoder.numTokens] },
    ],
    trained: parameterShapes((declare) => {
      declareAdapter(declare, star.pixelAdapter);
      declareStacks(declare, star, qwen);
      declareOutputHead(declare, star);
    }),
    loss: (declare, { token_ids, prompt_lengths, targets }) =>
      generationLoss(
        { tokenIds: token_ids!, promptLengths: prompt_lengths!, targets: targets! },
        { base: declareBase(declare, qwen), picture: declarePictureParts(declare, star, qwen) },
        star,
        qwen,
      ),
  };
}

/**
 * The program of the generation stage's loss: `loss`, `per_sample_nll [batch]` and `grad.<name>` of trained parameters.
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

interface GenerationInputs {
  /** `[batch, promptTokens]`, padding in front. */
  readonly tokenIds: Tensor;
  /** `[batch]`. */
  readonly promptLengths: Tensor;
  /** `[batch, imageTokens]`. */
  readonly targets: Tensor;
}

function generationLoss(
  { tokenIds, promptLengths, targets }: GenerationInputs,
  { base, picture }: { readonly base: Base; readonly picture: PictureParts },
  star: StarConfig,
  { text }: Qwen25VLConfig,
): StageLoss {
  const [batch, promptTokens] = tokenIds.shape as [number, number];
  const imageTokens = targets.shape[1] as number;
  const sequence = promptTokens + imageTokens - 1;
  const previous = slice(targets, 1, 0, imageTokens - 1);
  const pictureInputs = geluMlp(codeEmbeddings(previous, picture.codebook, star.pixelEncoder), picture.adapter);
  const inputs = concat([gather(base.embedding, tokenIds), pictureInputs], 1);

  const padding = subtract(promptTokens, reshape(promptLengths, [batch, 1]));
  const places = unsqueeze(arange(sequence), 0);
  const rotary = rotaryOf(maximum(subtract(places, padding), 0), sequence, text);
  // [batch, 1, 1, sequence]; the floor keeps the sum of both masks at the value of one.
  const hidden = reshape(where(less(places, padding), maskedScore, 0), [batch, 1, 1, sequence]);
  const mask = maximum(add(causalMask(sequence), hidden), maskedScore);

  let states = decoder(inputs, base.decoder, text, rotary, { mask }).hidden;
  for (const stack of picture.stacks) states = decoder(states, stack, text, rotary, { mask }).hidden;
  const logits = linear(slice(states, 1, promptTokens - 1), picture.head);
  const likelihoods = gatherElements(logSoftmax(logits), unsqueeze(targets, 2), 2);
  const perSample = negate(reduceMean(likelihoods, { axes: [1, 2] }));
  return { loss: reduceMean(perSample), reported: { per_sample_nll: perSample } };
}
