/** A mask as a constraint: where it is opaque, the source's pixels stand in the result, whatever the model drew. */
import type { AlphaPlane } from '../image/decode.ts';
import { resizeImage } from '../image/resize.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import { invalidRequest } from './error.ts';

/** @throws ServerError `invalid_mask` when the mask has not the source's size */
export function requireMaskSize(mask: AlphaPlane, source: RgbImage): void {
  if (mask.width === source.width && mask.height === source.height) return;
  const sizes = `${mask.width} x ${mask.height}; the first image has ${source.width} x ${source.height}`;
  throw invalidRequest('invalid_mask', `the mask has ${sizes}; expected the same`, 'mask');
}

/**
 * The result with the source's pixels pasted back, both in the result's size, mixed by the mask's opacity: transparent
 * keeps the result, opaque the source. Source and mask are resized as the tokenizer sees pictures: bilinear, without
 * keeping the ratio.
 */
export function pasteUnmasked(result: RgbImage, source: RgbImage, mask: AlphaPlane): RgbImage {
  const { width, height } = result;
  const kept = resizeImage(source, width, height, 'bilinear').data;
  const grey = new Uint8Array(mask.data.length * 3);
  mask.data.forEach((alpha, pixel) => {
    grey.fill(alpha, 3 * pixel, 3 * pixel + 3);
  });
  const opacity = resizeImage({ width: mask.width, height: mask.height, data: grey }, width, height, 'bilinear').data;
  const data = result.data.map((level, index) => {
    const alpha = opacity[index]!;
    return Math.round((kept[index]! * alpha + level * (255 - alpha)) / 255);
  });
  return { width, height, data };
}
