/**
 * The loss that teaches the adapter alone before the stack: the code of each place becomes what the base's own embeddings
 * say of that place in words. A base that has learned to lay pictures out in words then knows from the first step of
 * generation what was drawn so far, and its hidden states say what comes next; otherwise the adapter would have to find those
 * words through the whole frozen base, from the codes' likelihoods alone.
 */
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import type { StarConfig } from '../models/star/config.ts';
import { declareAdapter, declareBase } from '../models/star/parameters.ts';
import { codeEmbeddings, declareCodebook } from '../models/vq/tokenizer.ts';
import { geluMlp } from '../nn/mlp.ts';
import { parameterShapes, within } from '../nn/parameters.ts';
import { argMax, cast, divide, equal, gather, matmul, reduceMean, square, subtract } from '../tensor/index.ts';
import type { Stage } from './stage.ts';

/**
 * The stage that trains the adapter. Data, one for each place of each picture: `codes [places]`, and `words [places]`, the
 * token ids of what stands there. The loss is the mean squared distance from the words' embeddings, where 1 is that of
 * saying nothing; reports `word_accuracy`, how often the embedding that is most alike is the word's.
 */
export function adapterStage(star: StarConfig, qwen: Qwen25VLConfig, places: number): Stage {
  return {
    name: 'adapter',
    data: [
      { name: 'codes', dtype: 'int64', shape: [places] },
      { name: 'words', dtype: 'int64', shape: [places] },
    ],
    trained: parameterShapes((declare) => declareAdapter(declare, star.pixelAdapter)),
    loss: (declare, { codes, words }) => {
      const adapter = declareAdapter(declare, star.pixelAdapter);
      const codebook = declareCodebook(within(declare, 'pixel_encoder'), star.pixelEncoder);
      const { embedding } = declareBase(declare, qwen);
      const said = geluMlp(codeEmbeddings(codes!, codebook, star.pixelEncoder), adapter);
      const asked = gather(embedding, words!);
      const likeness = matmul(said, embedding, { transposeB: true });
      return {
        loss: divide(reduceMean(square(subtract(said, asked))), reduceMean(square(asked))),
        reported: { word_accuracy: reduceMean(cast(equal(argMax(likeness, 1), words!), 'float32')) },
      };
    },
  };
}
