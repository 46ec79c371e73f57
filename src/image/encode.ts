/** Images as the bytes of files, with sharp (libvips). Node only. */
import sharp from 'sharp';
import type { ImageFormat } from './decode.ts';
import { encodePng } from './png.ts';
import { checkImage, type RgbImage } from './rgb-image.ts';

export interface EncodeOptions {
  /** Of JPEG and WebP, 1 to 100. Default 95. */
  readonly quality?: number | undefined;
  /** Goes into PNG alone (see `encodePng`). Default none. */
  readonly text?: Readonly<Record<string, string>>;
}

/**
 * Encodes an image: PNG without loss, JPEG with full colour resolution, WebP with loss.
 * @throws ImageError `image_invalid` or `image_text_invalid`
 */
export async function encodeImage(
  image: RgbImage,
  format: ImageFormat,
  { quality = 95, text = {} }: EncodeOptions = {},
): Promise<Uint8Array> {
  if (format === 'png') return encodePng(image, text);
  checkImage(image, 'encodeImage');
  const { width, height, data } = image;
  const pixels = sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false });
  // Full colour resolution: these files are read again as the source of an edit.
  const encoder =
    format === 'jpeg'
      ? pixels.jpeg({ quality, chromaSubsampling: '4:4:4' })
      : pixels.webp({ quality, smartSubsample: true });
  return encoder.toBuffer();
}
