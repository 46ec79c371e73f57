/**
 * What the vision encoder sees of an image: `Qwen2VLImageProcessor` of Hugging Face transformers (its Pillow backend),
 * equal in every bit. Pure: runs in browsers too.
 *
 * An image is resized so that both sides are multiples of patch x merge (28), cut into 14 x 14 patches, and these are
 * ordered by 2 x 2 blocks, since the encoder merges each block into one token.
 */

import { ImageError } from '../../image/error.ts';
import { resizeImage } from '../../image/resize.ts';
import { checkImage, type RgbImage } from '../../image/rgb-image.ts';
import type { TensorValue } from '../../tensor/value.ts';

/** Sides further apart than this are refused, as by the published processor. */
const maxAspectRatio = 200;

/** How images are processed; `parseImageProcessorConfig` reads it from a model's folder. */
export interface ImageProcessorConfig {
  /** The fewest pixels after resizing. Default 3,136 (56 x 56). */
  readonly minPixels: number;
  /** The most pixels after resizing. Default 1,003,520 (28 x 28 x 1280). */
  readonly maxPixels: number;
  /** Side of a patch. Default 14. */
  readonly patchSize: number;
  /** Frames a patch spans; a still image is repeated. Default 2. */
  readonly temporalPatchSize: number;
  /** Side of the block of patches that becomes one token. Default 2. */
  readonly mergeSize: number;
  /** Of red, green and blue, after rescaling. */
  readonly imageMean: readonly [number, number, number];
  readonly imageStd: readonly [number, number, number];
  /** Multiplies bytes. Default 1/255. */
  readonly rescaleFactor: number;
}

/** Python's `round`: halves go to the even neighbour. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function checkAspectRatio(width: number, height: number): void {
  const ratio = Math.max(width, height) / Math.min(width, height);
  if (ratio > maxAspectRatio) {
    throw new ImageError(
      'image_ratio_too_large',
      `image processor: expected sides at most ${maxAspectRatio} times apart, got ${width} x ${height}; crop the image`,
      { width, height, ratio },
    );
  }
}

/**
 * The size an image gets: multiples of `factor`, pixels between `minPixels` and `maxPixels` where the rounding to
 * multiples allows it, the aspect ratio kept as far as possible (`smart_resize` of transformers).
 * @param factor patch x merge, in pixels
 * @throws ImageError `image_ratio_too_large`
 */
export function smartResize(
  size: { readonly width: number; readonly height: number },
  factor: number,
  minPixels: number,
  maxPixels: number,
): { width: number; height: number } {
  const { width, height } = size;
  checkAspectRatio(width, height);
  const rounded = {
    width: roundHalfToEven(width / factor) * factor,
    height: roundHalfToEven(height / factor) * factor,
  };
  if (rounded.height * rounded.width > maxPixels) {
    const beta = Math.sqrt((height * width) / maxPixels);
    const shrink = (side: number) => Math.max(factor, Math.floor(side / beta / factor) * factor);
    return { width: shrink(width), height: shrink(height) };
  }
  if (rounded.height * rounded.width < minPixels) {
    const beta = Math.sqrt(minPixels / (height * width));
    const grow = (side: number) => Math.ceil((side * beta) / factor) * factor;
    return { width: grow(width), height: grow(height) };
  }
  return rounded;
}

/**
 * Scales an image up with Pillow's Lanczos filter when a side is below `minSide`: the step that the published code puts
 * before the image processor and the VQ transform when it edits (`preprocess_image_with_min_size`).
 * As there, both sides are scaled alike and cut to whole numbers.
 * Departure: an aspect ratio above 200, which the image processor would refuse next, is refused before the work.
 * @param minSide in pixels. Default 28.
 * @returns the image itself when it is large enough
 * @throws ImageError `image_invalid` or `image_ratio_too_large`
 */
export function enlargeToMinimum(image: RgbImage, minSide = 28): RgbImage {
  checkImage(image, 'enlargeToMinimum');
  const { width, height } = image;
  if (width >= minSide && height >= minSide) return image;
  checkAspectRatio(width, height);
  const scale = Math.max(minSide / height, minSide / width);
  return resizeImage(image, Math.trunc(width * scale), Math.trunc(height * scale), 'lanczos');
}

/** The vision encoder's input for one image. */
export interface ProcessedImage {
  /** `[gridHeight * gridWidth, 3 * temporalPatchSize * patchSize * patchSize]` float32, patches in block order. */
  readonly pixelValues: TensorValue;
  /** `[1, gridHeight, gridWidth]`: frames, rows and columns of patches. */
  readonly gridThw: readonly [frames: 1, height: number, width: number];
}

/**
 * Turns an image into the vision encoder's patches.
 * Patches run over blocks row by row, inside a block row by row; a patch holds `[3, temporalPatchSize, patchSize,
 * patchSize]`. The image becomes `gridHeight * gridWidth / mergeSize²` tokens.
 * @throws ImageError `image_invalid` or `image_ratio_too_large`
 */
export function processImage(image: RgbImage, config: ImageProcessorConfig): ProcessedImage {
  checkImage(image, 'processImage');
  const { patchSize, temporalPatchSize, mergeSize } = config;
  const { width, height } = smartResize(image, patchSize * mergeSize, config.minPixels, config.maxPixels);
  const { data } = resizeImage(image, width, height, 'bicubic');
  const gridHeight = height / patchSize;
  const gridWidth = width / patchSize;
  const tables = normalisedByByte(config);
  const framePixels = patchSize * patchSize;
  const patchPixels = 3 * temporalPatchSize * framePixels;
  const values = new Float32Array(gridHeight * gridWidth * patchPixels);

  let patchStart = 0;
  const writePatch = (top: number, left: number) => {
    for (let channel = 0; channel < 3; channel++) {
      const table = tables[channel]!;
      const start = patchStart + channel * temporalPatchSize * framePixels;
      let index = start;
      for (let y = top; y < top + patchSize; y++) {
        let byte = (y * width + left) * 3 + channel;
        for (let x = 0; x < patchSize; x++, byte += 3) values[index++] = table[data[byte]!]!;
      }
      for (let frame = 1; frame < temporalPatchSize; frame++) {
        values.copyWithin(start + frame * framePixels, start, start + framePixels);
      }
    }
    patchStart += patchPixels;
  };
  for (let blockRow = 0; blockRow < gridHeight; blockRow += mergeSize) {
    for (let blockColumn = 0; blockColumn < gridWidth; blockColumn += mergeSize) {
      for (let row = blockRow; row < blockRow + mergeSize; row++) {
        for (let column = blockColumn; column < blockColumn + mergeSize; column++) {
          writePatch(row * patchSize, column * patchSize);
        }
      }
    }
  }
  return {
    pixelValues: { dtype: 'float32', shape: [gridHeight * gridWidth, patchPixels], data: values },
    gridThw: [1, gridHeight, gridWidth],
  };
}

// One value a channel and byte. The Pillow backend multiplies in float64, rounds to float32, and normalises in float32;
// its torch sibling fuses both steps and differs in the last bits.
function normalisedByByte(config: ImageProcessorConfig): readonly Float32Array[] {
  return config.imageMean.map((mean, channel) => {
    const mean32 = Math.fround(mean);
    const std32 = Math.fround(config.imageStd[channel]!);
    return Float32Array.from({ length: 256 }, (_, byte) => {
      const rescaled = Math.fround(byte * config.rescaleFactor);
      return Math.fround(rescaled - mean32) / std32;
    });
  });
}
