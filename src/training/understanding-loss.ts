/**
 * The loss of stage 0, for a base of our own: mean cross-entropy of answers, given questions about pictures and texts. It
 * trains the decoder and the semantic encoder together. STAR itself begins with a base that has been through this.
 */

import type { RgbImage } from '../image/rgb-image.ts';
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import type { ImageProcessorConfig } from '../models/qwen25vl/image-processor.ts';
import type { GridThw } from '../models/qwen25vl/positions.ts';
import { decoder } from '../models/qwen25vl/text-decoder.ts';
import { declareVisionEncoder } from '../models/qwen25vl/vision-encoder.ts';
import { declareBase } from '../models/star/parameters.ts';
import { linear } from '../nn/linear.ts';
import { type Declare, parameterShapes, within } from '../nn/parameters.ts';
import {
  arange,
  argMax,
  cast,
  concat,
  constant,
  divide,
  equal,
  expand,
  gather,
  gatherElements,
  greater,
  logSoftmax,
  maximum,
  multiply,
  negate,
  reduceSum,
  reshape,
  squeeze,
  type Tensor,
  type TensorValue,
  unsqueeze,
  where,
} from '../tensor/index.ts';
import { type PackedRow, type RowShapes, rowFeeds, segmentMask } from './packed-rows.ts';
import type { Stage, StageLoss } from './stage.ts';
import { encodePictures, PatchBatch, patchPort, semanticTokens, type VisionShapes } from './vision-batch.ts';

/** What the understanding stage trains: decoder and semantic encoder together, or the decoder on a frozen encoder. */
export const understandingParts = ['all', 'base'] as const;
export type UnderstandingParts = (typeof understandingParts)[number];

/** The first `pictures` rows of a step show a picture each, the others are text. */
export type UnderstandingShapes = RowShapes & VisionShapes & { readonly train?: UnderstandingParts };

function declareAll(declare: Declare, qwen: Qwen25VLConfig) {
  return {
    base: declareBase(declare, qwen),
    vision: declareVisionEncoder(within(declare, 'llm.visual'), qwen.vision),
  };
}

/**
 * The stage that trains a base and its semantic encoder. Reports `accuracy` of the answers' tokens, given those before
 * them, and `right [rows, tokens]`: 1 where the likeliest token is the target.
 */
export function understandingStage(qwen: Qwen25VLConfig, shapes: UnderstandingShapes): Stage {
  const { rows, tokens } = shapes;
  const { text } = qwen;
  const grid = [rows, tokens] as const;
  const table = [rows * tokens, text.headDim / 2] as const;
  return {
    name: 'understanding',
    data: [
      { name: 'token_ids', dtype: 'int64', shape: grid },
      { name: 'segments', dtype: 'int64', shape: grid },
      { name: 'targets', dtype: 'int64', shape: grid },
      { name: 'target_weights', dtype: 'float32', shape: grid },
      { name: 'cosine', dtype: 'float32', shape: table },
      { name: 'sine', dtype: 'float32', shape: table },
      { name: 'inserted', dtype: 'int64', shape: grid },
      patchPort(shapes, qwen.vision),
    ],
    trained: parameterShapes((declare) =>
      shapes.train === 'base' ? declareBase(declare, qwen) : declareAll(declare, qwen),
    ),
    loss: (declare, data) => understandingLoss(data, declareAll(declare, qwen), qwen, shapes),
  };
}

function understandingLoss(
  data: Readonly<Record<string, Tensor>>,
  { base, vision }: ReturnType<typeof declareAll>,
  qwen: Qwen25VLConfig,
  shapes: UnderstandingShapes,
): StageLoss {
  const { rows, tokens } = shapes;
  const { text } = qwen;
  const words = gather(base.embedding, data.token_ids!);
  const pictures = encodePictures(data.patches!, vision, shapes, qwen.vision);
  const inputs = insertBlocks(words, data.inserted!, pictures);
  const positions = reshape(arange(rows * tokens), [rows, tokens]);
  const rotary = { cosine: data.cosine!, sine: data.sine!, positions };
  const { hidden } = decoder(inputs, base.decoder, text, rotary, { mask: segmentMask(data.segments!) });
  const logits = linear(hidden, base.head);
  const chosen = gatherElements(logSoftmax(logits), unsqueeze(data.targets!, 2), 2);
  const weights = data.target_weights!;
  const total = maximum(reduceSum(weights), 1e-6);
  const right = cast(equal(argMax(logits, 2), data.targets!), 'float32');
  return {
    loss: divide(negate(reduceSum(multiply(squeeze(chosen, 2), weights))), total),
    reported: { accuracy: divide(reduceSum(multiply(right, weights)), total), right },
  };
}

/** `inserted [rows, tokens]`: 0 leaves a token's own embedding, n puts row n − 1 of `blocks [n, hidden]` in its place. */
export function insertBlocks(words: Tensor, inserted: Tensor, blocks: Tensor): Tensor {
  const hidden = blocks.shape[1] as number;
  const none = constant('float32', [1, hidden], new Float32Array(hidden));
  const taken = gather(concat([none, blocks], 0), inserted);
  return where(expand(unsqueeze(greater(inserted, 0), 2), words.shape), taken, words);
}

/** A row of a step: conversations, and the picture that they are about. */
export interface UnderstandingRow {
  readonly row: PackedRow;
  readonly image?: RgbImage;
  /**
   * What each token of the picture is to say, in reading order, and what that counts in the loss: the base's own head
   * teaches the encoder what is where, long before an answer depends on it. Default nothing.
   */
  readonly pictureTargets?: { readonly ids: readonly number[]; readonly weight: number };
}

/** Makes the feeds of steps. */
export class UnderstandingBatch {
  readonly #qwen: Qwen25VLConfig;
  readonly #shapes: UnderstandingShapes;
  readonly #patches: PatchBatch;

  constructor(qwen: Qwen25VLConfig, processor: ImageProcessorConfig, shapes: UnderstandingShapes) {
    this.#qwen = qwen;
    this.#shapes = shapes;
    this.#patches = new PatchBatch(shapes, processor, qwen.vision);
  }

  /** The first `pictures` rows have an image, the others none. */
  feeds(rows: readonly UnderstandingRow[]): Record<string, TensorValue> {
    const { pictures, grid, tokens } = this.#shapes;
    const grids = rows.map(({ image }): GridThw | undefined => (image ? grid : undefined));
    const perPicture = semanticTokens(grid, this.#qwen.vision);
    const inserted = new BigInt64Array(this.#shapes.rows * tokens);
    const feeds = rowFeeds(
      rows.map(({ row }) => row),
      grids,
      this.#qwen,
      this.#shapes,
    );
    const targets = feeds.targets.data as BigInt64Array;
    const weights = feeds.target_weights.data as Float32Array;
    rows.slice(0, pictures).forEach(({ row, pictureTargets }, rowIndex) => {
      let token = 0;
      row.ids.forEach((id, place) => {
        if (id !== this.#qwen.tokens.imageToken) return;
        const at = rowIndex * tokens + place;
        if (pictureTargets) {
          targets[at] = BigInt(pictureTargets.ids[token]!);
          weights[at] = pictureTargets.weight;
        }
        inserted[at] = BigInt(rowIndex * perPicture + ++token);
      });
    });
    return {
      ...feeds,
      inserted: { dtype: 'int64', shape: [this.#shapes.rows, tokens], data: inserted },
      patches: this.#patches.fill(rows.slice(0, pictures).map(({ image }) => image)),
    };
  }
}
