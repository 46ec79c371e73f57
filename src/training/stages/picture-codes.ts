/** Codes of training pictures, by the model's own frozen tokenizer. */
import type { RgbImage } from '../../image/rgb-image.ts';
import { vqPixelValues } from '../../models/vq/image-transform.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';

export class PictureCodes {
  readonly #model: StarModel;

  constructor(model: StarModel) {
    this.#model = model;
  }

  /** `[pictures][places]`; all pictures in one run. */
  async of(images: readonly RgbImage[]): Promise<number[][]> {
    const { imageSize, numTokens } = this.#model.folder.star.pixelEncoder;
    const each = 3 * imageSize ** 2;
    const data = new Float32Array(images.length * each);
    images.forEach((image, index) => {
      data.set(vqPixelValues(image, imageSize).data as Float32Array, index * each);
    });
    const session = await this.#model.session('vqEncoder');
    const picture: TensorValue = { dtype: 'float32', shape: [images.length, 3, imageSize, imageSize], data };
    const { codes } = await session.run({ picture }, { outputs: ['codes'] });
    const all = Array.from((codes as TensorValue).data, Number);
    return images.map((_, index) => all.slice(index * numTokens, (index + 1) * numTokens));
  }
}
