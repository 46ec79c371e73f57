import type { PictureCodec, SavedImage } from '../image/codec.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import { type ImageRecipe, recipeKey } from './recipe.ts';

/** A picture that the model made, with all that is needed to make it again. */
export class GeneratedImage implements RgbImage {
  readonly width: number;
  readonly height: number;
  /** RGB bytes, row by row. */
  readonly data: Uint8Array;
  /** VQ codes, row by row. */
  readonly tokens: readonly number[];
  readonly recipe: ImageRecipe;
  /** False where an abort left rows undrawn. */
  readonly complete: boolean;
  readonly #codec: PictureCodec;

  constructor(image: RgbImage, tokens: readonly number[], recipe: ImageRecipe, complete: boolean, codec: PictureCodec) {
    this.width = image.width;
    this.height = image.height;
    this.data = image.data;
    this.tokens = tokens;
    this.recipe = recipe;
    this.complete = complete;
    this.#codec = codec;
  }

  get seed(): number {
    return this.recipe.seed;
  }

  /** The picture as PNG, prompt, seed and settings inside. */
  toPng(): Promise<Uint8Array> {
    return this.#codec.encodePng(this, this.text());
  }

  /** Writes the picture, in a browser as a download; the ending chooses PNG, JPEG or WebP. Only PNG carries the recipe. */
  save(path: string): Promise<SavedImage> {
    return this.#codec.save(path, this, this.text());
  }

  private text(): Record<string, string> {
    const { prompt, seed, settings, model } = this.recipe;
    const list = Object.entries({ Seed: seed, Model: model, ...settings }).map(([key, value]) => `${key}: ${value}`);
    // `parameters` is the form that galleries of other programs read.
    return { parameters: `${prompt}\n${list.join(', ')}`, [recipeKey]: JSON.stringify(this.recipe) };
  }
}
