/** All trained parts of STAR around the frozen base: which parameters they have and what they are called in a checkpoint. */
import { declareLinear, type Linear } from '../../nn/linear.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import type { Tensor } from '../../tensor/index.ts';
import type { Qwen25VLConfig } from '../qwen25vl/config.ts';
import { type Decoder, declareDecoder } from '../qwen25vl/text-decoder.ts';
import { declareCodebook } from '../vq/tokenizer.ts';
import type { StarConfig } from './config.ts';

/** The base AR: token embeddings, decoder, and the head over the vocabulary (the embeddings themselves where tied). */
export interface Base {
  readonly embedding: Tensor;
  readonly decoder: Decoder;
  readonly head: Linear;
}

/** What STAR adds for pictures. */
export interface PictureParts {
  /** Code embeddings `[codes, dim]`. */
  readonly codebook: Tensor;
  /** Code embedding to hidden size: linear layers with GELU between. */
  readonly adapter: readonly Linear[];
  /** The stacks, run one after the other on the base's normed hidden states. */
  readonly stacks: readonly Decoder[];
  /** Hidden size to codes. */
  readonly head: Linear;
}

export function declareBase(declare: Declare, { text }: Qwen25VLConfig): Base {
  const embedding = declare('llm.model.embed_tokens.weight', [text.vocabSize, text.hiddenSize]);
  const decoder = declareDecoder(within(declare, 'llm.model'), text, text.layers);
  const weight = text.tieWordEmbeddings ? embedding : declare('llm.lm_head.weight', [text.vocabSize, text.hiddenSize]);
  return { embedding, decoder, head: { weight } };
}

/** The adapter's layers stand at every second place of a `Sequential` with the GELUs. */
export function declareAdapter(
  declare: Declare,
  { depth, inputDim, hiddenSize }: StarConfig['pixelAdapter'],
): Linear[] {
  return Array.from({ length: depth }, (_, index) =>
    declareLinear(
      within(declare, `pixel_adapter.layers.${2 * index}`),
      index === 0 ? inputDim : hiddenSize,
      hiddenSize,
    ),
  );
}

/** Where a stack's parameters stand: `stacked_ar.model` as published, `stacked_ar.1.model` and so on for further ones. */
export function stackPrefix(index: number): string {
  return index === 0 ? 'stacked_ar.model' : `stacked_ar.${index}.model`;
}

export function declareStacks(declare: Declare, star: StarConfig, { text }: Qwen25VLConfig): Decoder[] {
  return star.stackedAr.map(({ numLayers }, index) =>
    declareDecoder(within(declare, stackPrefix(index)), text, numLayers),
  );
}

export function declareOutputHead(declare: Declare, { outputHead }: StarConfig): Linear {
  return declareLinear(within(declare, 'pixel_output_head'), outputHead.hiddenSize, outputHead.codes);
}

export function declarePictureParts(declare: Declare, star: StarConfig, qwen: Qwen25VLConfig): PictureParts {
  return {
    codebook: declareCodebook(within(declare, 'pixel_encoder'), star.pixelEncoder),
    adapter: declareAdapter(declare, star.pixelAdapter),
    stacks: declareStacks(declare, star, qwen),
    head: declareOutputHead(declare, star),
  };
}
