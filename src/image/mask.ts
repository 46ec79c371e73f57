/** A mask as a constraint: where it is opaque, the source's pixels stand in the result, whatever was drawn. */
import { resizeImage } from './resize.ts';
import type { RgbImage } from './rgb-image.ts';

/** How opaque each pixel is: 0 is transparent, 255 opaque; `[height, width]`. */
export interface AlphaPlane {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
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
