/** PNG files from RGB pixels, with sharp (libvips). Node only. */

import sharp from 'sharp';
import { insertPngText } from './png-text.ts';
import { checkImage, type RgbImage } from './rgb-image.ts';

/**
 * Encodes an image as a PNG file, without loss.
 * @param text put into the file by keyword; ours are `parameters` (the prompt and settings as AUTOMATIC1111's web UI
 * writes them) and `star` (JSON). `readPngText` reads them back.
 * @throws ImageError `image_invalid` or `image_text_invalid`
 */
export async function encodePng(image: RgbImage, text: Readonly<Record<string, string>> = {}): Promise<Uint8Array> {
  checkImage(image, 'encodePng');
  const raw = { width: image.width, height: image.height, channels: 3 } as const;
  const png = await sharp(image.data, { raw, limitInputPixels: false }).png().toBuffer();
  return insertPngText(png, text);
}
