/** Pictures as the model's programs read and give them. */
import { imageFromFloat, type RgbImage } from '../image/rgb-image.ts';
import { processImage } from '../models/qwen25vl/image-processor.ts';
import type { GridThw } from '../models/qwen25vl/positions.ts';
import { visionFeeds } from '../models/qwen25vl/vision-program.ts';
import { vqPixelValues } from '../models/vq/image-transform.ts';
import type { TensorValue } from '../tensor/index.ts';
import type { LoadedModel } from './loaded-model.ts';
import { int64 } from './token-loop.ts';

/** A picture through the vision encoder. */
export interface SemanticPicture {
  /** `[tokens, hidden]`. */
  readonly embeddings: TensorValue;
  readonly grid: GridThw;
  readonly tokens: number;
}

/**
 * Most pixels that the published scripts let through, by task. The folder's own limit counts where it is lower; a Qwen
 * folder allows sixteen times as many, which a computer at home does not finish.
 */
export const publishedMaxPixels = { understand: 28 * 28 * 1024, edit: 28 * 28 * 576 };

export async function encodeSemantic(model: LoadedModel, image: RgbImage, maxPixels: number): Promise<SemanticPicture> {
  const config = { ...model.imageProcessor, maxPixels: Math.min(model.imageProcessor.maxPixels, maxPixels) };
  const { pixelValues, gridThw } = processImage(image, config);
  const session = await model.session('visionEncoder');
  const { embeddings } = await session.run(visionFeeds(pixelValues, gridThw, model.folder.qwen.vision));
  const value = embeddings as TensorValue;
  return { embeddings: value, grid: gridThw, tokens: value.shape[0]! };
}

/** The VQ codes of a picture, row by row. */
export async function encodeCodes(model: LoadedModel, image: RgbImage): Promise<number[]> {
  const session = await model.session('vqEncoder');
  const picture = vqPixelValues(image, model.folder.star.pixelEncoder.imageSize);
  const { codes } = await session.run({ picture }, { outputs: ['codes'] });
  return Array.from((codes as TensorValue).data, Number);
}

/** Codes of pictures `[pictures][places]` to `[pictures, 3, size, size]` in [−1, 1]. */
export async function decodeCodes(model: LoadedModel, codes: readonly (readonly number[])[]): Promise<TensorValue> {
  const session = await model.session('vqDecoder');
  const feeds = { codes: int64([codes.length, codes[0]!.length], codes.flat()) };
  const { picture } = await session.run(feeds, { outputs: ['picture'] });
  return picture as TensorValue;
}

/** The pictures of a decoder's output as bytes. */
export function toImages({ shape, data }: TensorValue): RgbImage[] {
  const [count, channels, height, width] = shape as [number, number, number, number];
  const size = channels * height * width;
  return Array.from({ length: count }, (_, index) =>
    imageFromFloat((data as Float32Array).subarray(index * size, (index + 1) * size), width, height),
  );
}
