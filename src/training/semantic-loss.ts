/**
 * The loss that teaches a semantic encoder of our own alone, before the base looks through it: each token of a picture says
 * what stands in its place, through the base's own norm and word embeddings. So the base reads pictures as words that it
 * knows; and without the base around it the encoder sees many times as many pictures (published encoders, too, were trained
 * by themselves first).
 */
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import { declareVisionEncoder } from '../models/qwen25vl/vision-encoder.ts';
import { declareBase } from '../models/star/parameters.ts';
import { parameterShapes, within } from '../nn/parameters.ts';
import {
  add,
  argMax,
  cast,
  constant,
  divide,
  equal,
  gather,
  gatherElements,
  logSoftmax,
  matmul,
  maximum,
  multiply,
  negate,
  reduceSum,
  rmsNorm,
  squeeze,
  type Tensor,
  unsqueeze,
} from '../tensor/index.ts';
import type { Stage } from './stage.ts';
import { encodePictures, patchPort, semanticTokens, type VisionShapes } from './vision-batch.ts';

/** What a token is asked: each has its own list of words. */
export type SemanticHeads = Readonly<Record<string, readonly number[]>>;

export interface SemanticShapes extends VisionShapes {
  /** Token ids of the words that may be said, by what is asked: things and grounds, colours, styles, places. */
  readonly heads: SemanticHeads;
}

/**
 * The stage that trains the semantic encoder; the base's embeddings and final norm are read and stay as they are.
 * Data for each head, one number for each token of each picture: `<head>_targets`, places in the head's list, and
 * `<head>_weights`, 0 where there is nothing to say. The loss is the sum of all heads'. Reports `<head>_accuracy`.
 */
export function semanticStage(qwen: Qwen25VLConfig, shapes: SemanticShapes): Stage {
  const count = shapes.pictures * semanticTokens(shapes.grid, qwen.vision);
  const targets = (name: string) => [
    { name: `${name}_targets`, dtype: 'int64', shape: [count] } as const,
    { name: `${name}_weights`, dtype: 'float32', shape: [count] } as const,
  ];
  return {
    name: 'semantic',
    data: [patchPort(shapes, qwen.vision), ...Object.keys(shapes.heads).flatMap(targets)],
    trained: parameterShapes((declare) => declareVisionEncoder(within(declare, 'llm.visual'), qwen.vision)),
    loss: (declare, data) => {
      const encoder = declareVisionEncoder(within(declare, 'llm.visual'), qwen.vision);
      const { embedding, decoder } = declareBase(declare, qwen);
      const pictures = encodePictures(data.patches!, encoder, shapes, qwen.vision);
      const states = rmsNorm(pictures, decoder.norm, qwen.text.rmsNormEps);
      const said = (ids: readonly number[], target: Tensor, weight: Tensor) => {
        const words = gather(embedding, constant('int64', [ids.length], ids));
        const logits = matmul(states, words, { transposeB: true });
        const likelihoods = squeeze(gatherElements(logSoftmax(logits), unsqueeze(target, 1), 1), 1);
        const total = maximum(reduceSum(weight), 1);
        const right = cast(equal(argMax(logits, 1), target), 'float32');
        return {
          loss: negate(divide(reduceSum(multiply(likelihoods, weight)), total)),
          accuracy: divide(reduceSum(multiply(right, weight)), total),
        };
      };
      const answers = Object.entries(shapes.heads).map(
        ([head, ids]) => [head, said(ids, data[`${head}_targets`]!, data[`${head}_weights`]!)] as const,
      );
      return {
        loss: answers.map(([, { loss }]) => loss).reduce(add),
        reported: Object.fromEntries(answers.map(([head, { accuracy }]) => [`${head}_accuracy`, accuracy])),
      };
    },
  };
}
