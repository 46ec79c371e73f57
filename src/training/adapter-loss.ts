/**
 * The loss that teaches the adapter alone before the stack: through the frozen base. A base that has learned to lay
 * pictures out in words says at each place what belongs there, once it can read the codes before it; the adapter learns to
 * write them so that it can. From the codes' likelihoods alone, which pass stack and base, it would take far longer.
 */
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import type { StarConfig } from '../models/star/config.ts';
import { declareAdapter, declareBase } from '../models/star/parameters.ts';
import { codeEmbeddings, declareCodebook } from '../models/vq/tokenizer.ts';
import { geluMlp } from '../nn/mlp.ts';
import { parameterShapes, within } from '../nn/parameters.ts';
import { add, divide, gather, multiply, reduceMean, slice, square, subtract } from '../tensor/index.ts';
import { drawnStates, type GenerationShapes } from './generation-loss.ts';
import { wordLoss } from './picture-loss.ts';
import type { Stage } from './stage.ts';

export interface AdapterShapes extends GenerationShapes {
  /** Of the squared distance between what the adapter makes of a code and its word's embedding. */
  readonly embeddingWeight: number;
}

/**
 * The stage that trains the adapter: data as of generation, and `words [batch, imageTokens]`, the token ids of what stands
 * at each place. The loss is the mean cross-entropy of the words that the base's own head says next, and, weighted, the mean
 * squared distance of the adapter's output from the words' embeddings, where 1 is that of saying nothing. Reports
 * `word_accuracy` of what the base says.
 */
export function adapterStage(star: StarConfig, qwen: Qwen25VLConfig, shapes: AdapterShapes): Stage {
  const { batch, promptTokens, embeddingWeight } = shapes;
  const image = [batch, star.pixelEncoder.numTokens] as const;
  return {
    name: 'adapter',
    data: [
      { name: 'token_ids', dtype: 'int64', shape: [batch, promptTokens] },
      { name: 'prompt_lengths', dtype: 'int64', shape: [batch] },
      { name: 'targets', dtype: 'int64', shape: image },
      { name: 'words', dtype: 'int64', shape: image },
    ],
    trained: parameterShapes((declare) => declareAdapter(declare, star.pixelAdapter)),
    loss: (declare, { token_ids, prompt_lengths, targets, words }) => {
      const base = declareBase(declare, qwen);
      const adapter = declareAdapter(declare, star.pixelAdapter);
      const codebook = declareCodebook(within(declare, 'pixel_encoder'), star.pixelEncoder);
      const inputs = { tokenIds: token_ids!, promptLengths: prompt_lengths!, targets: targets! };
      const { hidden } = drawnStates(inputs, base, { codebook, adapter }, star, qwen);
      const said = wordLoss(slice(hidden, 1, promptTokens - 1), words!, base.head);
      const written = geluMlp(codeEmbeddings(targets!, codebook, star.pixelEncoder), adapter);
      const asked = gather(base.embedding, words!);
      const distance = divide(reduceMean(square(subtract(written, asked))), reduceMean(square(asked)));
      return { ...said, loss: add(said.loss, multiply(distance, embeddingWeight)) };
    },
  };
}
