/** Codes of training pictures, by the model's own frozen tokenizer. */
import { createHash } from 'node:crypto';
import type { RgbImage } from '../../image/rgb-image.ts';
import { vqPixelValues } from '../../models/vq/image-transform.ts';
import { declareCodebook, declareVqEncoder } from '../../models/vq/tokenizer.ts';
import { parameterShapes, within } from '../../nn/parameters.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';

/** A picture, or its codes, row by row, where they were made before. */
export type CodedPicture = RgbImage | { readonly codes: Int32Array };

export class PictureCodes {
  readonly #model: StarModel;

  constructor(model: StarModel) {
    this.#model = model;
  }

  /** The same of pictures some of which are coded already. */
  async ofCoded(pictures: readonly CodedPicture[]): Promise<(readonly number[] | Int32Array)[]> {
    const made = (await this.of(pictures.filter((picture) => 'data' in picture))).values();
    return pictures.map((picture) => ('data' in picture ? made.next().value! : picture.codes));
  }

  /** `[pictures][places]`; all pictures in one run. */
  async of(images: readonly RgbImage[]): Promise<number[][]> {
    if (images.length === 0) return [];
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

/**
 * Tells a model's picture tokenizer from others: SHA-256 over all that decides codes, which are the weights of encoder
 * and codebook as float32, and the sizes that their shapes do not show. First 16 hexadecimal digits. Reads all of them.
 */
export async function tokenizerFingerprint({ folder, weights }: StarModel): Promise<string> {
  const { pixelEncoder } = folder.star;
  const { imageSize, heads, normGroups, l2Norm } = pixelEncoder;
  const hash = createHash('sha256').update(JSON.stringify({ imageSize, heads, normGroups, l2Norm }));
  const shapes = parameterShapes((declare) => {
    const encoder = within(declare, 'pixel_encoder');
    declareCodebook(encoder, pixelEncoder);
    declareVqEncoder(encoder, pixelEncoder);
  });
  for (const [name, shape] of shapes) {
    const { buffer, byteOffset, byteLength } = await weights.read(name);
    hash.update(`${name} ${shape}\n`).update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest('hex').slice(0, 16);
}
