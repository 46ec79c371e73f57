/** An 8-bit RGB image in memory and its two float forms. Pure: runs in browsers too. */

import { ImageError } from './error.ts';

/** An 8-bit RGB image, as every part of the library passes it around. */
export interface RgbImage {
  /** Pixels a row, at least 1. */
  readonly width: number;
  /** Rows, at least 1. */
  readonly height: number;
  /** Row-major, top to bottom, 3 bytes a pixel: `[height, width, 3]`. */
  readonly data: Uint8Array;
}

/**
 * Refuses an image whose sizes and bytes do not agree.
 * @param where names the place in the message, as in `resizeImage`.
 * @throws ImageError `image_invalid`
 */
export function checkImage(image: RgbImage, where: string): void {
  checkSize(image.width, image.height, where);
  const expected = image.width * image.height * 3;
  if (!(image.data instanceof Uint8Array) || image.data.length !== expected) {
    throw new ImageError(
      'image_invalid',
      `${where}: expected ${expected} bytes for ${image.width} x ${image.height} RGB pixels, got ${image.data?.length}; ` +
        'pass 3 bytes a pixel, without alpha',
      { expected, got: image.data?.length },
    );
  }
}

/**
 * Refuses sizes that are not whole numbers from 1.
 * @throws ImageError `image_invalid`
 */
export function checkSize(width: number, height: number, where: string): void {
  const whole = Number.isSafeInteger(width) && Number.isSafeInteger(height);
  if (!whole || width < 1 || height < 1 || !Number.isSafeInteger(width * height * 3)) {
    throw new ImageError('image_invalid', `${where}: expected whole sizes from 1, got ${width} x ${height}`, {
      width,
      height,
    });
  }
}

// torchvision's ToTensor and Normalize(0.5, 0.5): both steps round to float32.
const signedByByte = Float32Array.from({ length: 256 }, (_, byte) => (Math.fround(byte / 255) - 0.5) / 0.5);

/**
 * An image as floats: 0 becomes -1, 255 becomes 1.
 * Equals torchvision's `ToTensor` followed by `Normalize(0.5, 0.5)` in every bit.
 * @returns `[3, height, width]`, row-major, in [-1, 1]
 * @throws ImageError `image_invalid`
 */
export function imageToFloat(image: RgbImage): Float32Array {
  checkImage(image, 'imageToFloat');
  const { data } = image;
  const plane = image.width * image.height;
  const values = new Float32Array(plane * 3);
  for (let pixel = 0, byte = 0; pixel < plane; pixel++, byte += 3) {
    values[pixel] = signedByByte[data[byte]!]!;
    values[plane + pixel] = signedByByte[data[byte + 1]!]!;
    values[2 * plane + pixel] = signedByByte[data[byte + 2]!]!;
  }
  return values;
}

/**
 * A decoder's output as an image: `(x + 1) / 2 * 255` in float32, clipped to [0, 255] and cut (not rounded) to whole
 * numbers, as `inference_generation.py` of the published code does it. So only 1 and above become 255, and
 * `imageFromFloat(imageToFloat(image))` can be one level below `image`.
 * @param values `[3, height, width]`, row-major; nominally in [-1, 1], values beyond are clipped
 * @throws ImageError `image_invalid` when the length does not fit or a value is not finite
 */
export function imageFromFloat(values: Float32Array, width: number, height: number): RgbImage {
  checkSize(width, height, 'imageFromFloat');
  const plane = width * height;
  if (values.length !== plane * 3) {
    throw new ImageError(
      'image_invalid',
      `imageFromFloat: expected ${plane * 3} values for [3, ${height}, ${width}], got ${values.length}`,
      { expected: plane * 3, got: values.length },
    );
  }
  const data = new Uint8Array(plane * 3);
  for (let channel = 0; channel < 3; channel++) {
    for (let pixel = 0, index = channel * plane; pixel < plane; pixel++, index++) {
      const value = values[index]!;
      if (!Number.isFinite(value)) {
        throw new ImageError(
          'image_invalid',
          `imageFromFloat: expected finite values, got ${value} at [${channel}, ${Math.floor(pixel / width)}, ` +
            `${pixel % width}]; the decoder or its weights are broken`,
          { index, value },
        );
      }
      const level = Math.fround((Math.fround(value + 1) / 2) * 255);
      data[pixel * 3 + channel] = level <= 0 ? 0 : level >= 255 ? 255 : Math.trunc(level);
    }
  }
  return { width, height, data };
}
