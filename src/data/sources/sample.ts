/** What real training data is made of. */
import type { RgbImage } from '../../image/rgb-image.ts';

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

/** Questions about one picture and their answers, in order. */
export interface ConversationSample {
  readonly image: RgbImage;
  /** At least one. */
  readonly turns: readonly { readonly question: string; readonly answer: string }[];
  readonly source: string;
}
