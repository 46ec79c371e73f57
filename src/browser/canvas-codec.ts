/**
 * Picture files with the browser's own decoders and a canvas. As in Node, the EXIF orientation is applied and transparency
 * is flattened onto white; a browser's JPEG decoder and its mixing may differ from libvips by a level.
 */
import type { PictureCodec, SavedImage } from '../image/codec.ts';
import { ImageError } from '../image/error.ts';
import type { AlphaPlane } from '../image/mask.ts';
import { insertPngText } from '../image/png-text.ts';
import { checkImage, type RgbImage } from '../image/rgb-image.ts';

/** As in Node: 8K video passes. */
const maxPixels = 33_000_000;
const maxBytes = 100 * 2 ** 20;

const types: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
};

export const canvasCodec: PictureCodec = {
  async read(source) {
    const { width, height, data: rgba } = await pixelsOf(source, '#ffffff');
    const data = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) data.set(rgba.subarray(from, from + 3), to);
    return { width, height, data };
  },
  async readAlpha(source): Promise<AlphaPlane> {
    const { width, height, data: rgba } = await pixelsOf(source);
    const data = Uint8Array.from({ length: width * height }, (_, pixel) => rgba[4 * pixel + 3]!);
    if (data.some((alpha) => alpha < 255)) return { width, height, data };
    throw new ImageError(
      'image_alpha_missing',
      'decodeAlpha: expected an image that is transparent somewhere, got one that is opaque; save it with transparency',
    );
  },
  async encodePng(image, text) {
    return insertPngText(new Uint8Array(await (await encode(image, 'image/png')).arrayBuffer()), text);
  },
  async save(path, image, text): Promise<SavedImage> {
    const type = types[path.toLowerCase().split('.').at(-1) ?? ''];
    if (type === undefined) {
      const expected = Object.keys(types).join(', .');
      throw new ImageError('image_format_unsupported', `save: expected a name that ends in .${expected}, got ${path}`);
    }
    const isPng = type === 'image/png';
    const blob = isPng
      ? new Blob([(await this.encodePng(image, text)) as Uint8Array<ArrayBuffer>], { type })
      : await encode(image, type);
    offerDownload(path, blob);
    const left = isPng ? [] : Object.keys(text);
    const message = `${type} files carry no text: ${left.join(', ')} left out; save as .png to keep it`;
    return {
      path,
      bytes: blob.size,
      warnings: left.length > 0 ? [{ code: 'text_not_saved', message }] : [],
    };
  },
};

async function fetchPicture(url: string): Promise<Blob> {
  const response = await fetch(url).catch(() => undefined);
  if (response?.ok) return response.blob();
  const got = response ? `HTTP ${response.status}` : 'no answer';
  throw new ImageError('image_not_found', `${url}: expected an image, got ${got}; check the address`, { url });
}

/** RGBA, upon a ground where one is given. */
async function pixelsOf(source: string | Blob, ground?: string): Promise<ImageData> {
  const blob = typeof source === 'string' ? await fetchPicture(source) : source;
  if (blob.size > maxBytes) throw tooLarge(`at most ${maxBytes} bytes`, `${blob.size}`);
  const options: ImageBitmapOptions = { imageOrientation: 'from-image', colorSpaceConversion: 'none' };
  const bitmap = await createImageBitmap(blob, options).catch(() => {
    throw new ImageError(
      'image_corrupt',
      'decodeImage: expected a whole JPEG, PNG or WebP image, got one that this browser cannot read',
    );
  });
  const { width, height } = bitmap;
  if (width * height > maxPixels) throw tooLarge(`at most ${maxPixels} pixels`, `${width} x ${height}`);
  const context = contextOf(width, height);
  if (ground !== undefined) {
    context.fillStyle = ground;
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

function encode(image: RgbImage, type: string): Promise<Blob> {
  checkImage(image, 'encodeImage');
  const context = contextOf(image.width, image.height);
  context.putImageData(imageDataOf(image), 0, 0);
  return context.canvas.convertToBlob({ type, quality: 0.95 });
}

/** A picture as a canvas shows it with `putImageData`. */
export function imageDataOf({ width, height, data }: RgbImage): ImageData {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) rgba.set(data.subarray(from, from + 3), to);
  return new ImageData(rgba, width, height);
}

function contextOf(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (context) return context;
  throw tooLarge('a size that this browser can draw', `${width} x ${height}`);
}

function tooLarge(expected: string, got: string): ImageError {
  return new ImageError('image_too_large', `decodeImage: expected ${expected}, got ${got}; use a smaller image`);
}

function offerDownload(name: string, blob: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has begun to read it by the next turn of its loop.
  setTimeout(() => URL.revokeObjectURL(link.href), 0);
}
