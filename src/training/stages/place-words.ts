/** The words of pictures' places, one token each, as a feed. */
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { TrainingError } from '../error.ts';
import { ConversationTokens } from './conversation-tokens.ts';
import { drawnPicture } from './drawn-picture.ts';

export class PlaceWords {
  readonly #tokens: ConversationTokens;
  readonly #places: number;

  constructor(model: StarModel) {
    this.#tokens = new ConversationTokens(model.chat, drawnPicture(model).tokens);
    this.#places = model.folder.star.pixelEncoder.numTokens;
  }

  /**
   * `words [pictures, places]`.
   * @throws TrainingError for a picture of which no words are known.
   */
  feed(pictures: readonly { readonly words?: readonly string[] | undefined }[]): { readonly words: TensorValue } {
    const data = pictures.flatMap(({ words }) => {
      if (words) return words.map((word) => BigInt(this.#tokens.wordOf(word)));
      const message = 'pictures without words for their places: expected scenes of the closed world, or wordWeight 0';
      throw new TrainingError('batch_invalid', message);
    });
    const shape = [pictures.length, this.#places];
    return { words: { dtype: 'int64', shape, data: BigInt64Array.from(data) } };
  }
}
