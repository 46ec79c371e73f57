/** What the VQ tokenizer sees of an image: `get_vq_transform` of the published `data_process_utils.py`. */

import { resizeImage } from '../../image/resize.ts';
import { imageToFloat, type RgbImage } from '../../image/rgb-image.ts';
import type { TensorValue } from '../../tensor/value.ts';

/**
 * An image as input of the VQ encoder: resized to a square with Pillow's bilinear filter (the aspect ratio is not
 * kept), then scaled to [-1, 1].
 * For editing, give it the result of `enlargeToMinimum`, as the published code does.
 * @param size of the square, in pixels: 384 for the published models
 * @returns `[1, 3, size, size]` float32
 * @throws ImageError `image_invalid`
 */
export function vqPixelValues(image: RgbImage, size: number): TensorValue {
  const square = resizeImage(image, size, size, 'bilinear');
  return { dtype: 'float32', shape: [1, 3, size, size], data: imageToFloat(square) };
}
