/** What real training data is made of. */
import type { RgbImage } from '../../image/rgb-image.ts';
import type { ChatMessage } from '../../models/qwen25vl/chat.ts';

/** A picture and what it shows. */
export interface ImageTextSample {
  readonly image: RgbImage;
  /** Never empty. */
  readonly caption: string;
  /** File, and the place in it; for people, and for the list of skipped samples. */
  readonly source: string;
}

/** A picture before and after an instruction was carried out; both went through the same crop and flip. */
export interface EditPairSample {
  readonly before: RgbImage;
  readonly after: RgbImage;
  readonly instruction: string;
  readonly source: string;
}

/** Questions and their answers, about a picture or about none. */
export interface ConversationSample {
  /** Undefined where the conversation shows none. */
  readonly image: RgbImage | undefined;
  /**
   * A system message where there is one, then questions and answers in turn, at least one of each. One question has the
   * place of the picture, where there is a picture; an answer is one text.
   */
  readonly messages: readonly ChatMessage[];
  readonly source: string;
}
