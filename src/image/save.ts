/** Images to files. Node only. */

import { extname } from 'node:path';
import { writeFileDurably } from '../checkpoint/durable.ts';
import type { SavedImage, SaveImageWarning } from './codec.ts';
import type { ImageFormat } from './decode.ts';
import { encodeImage } from './encode.ts';
import { ImageError } from './error.ts';
import { checkImage, type RgbImage } from './rgb-image.ts';

export type { SavedImage, SaveImageWarning } from './codec.ts';

interface FileFormat {
  readonly name: string;
  readonly format: ImageFormat;
  /** The longest side that the format can hold, in pixels. */
  readonly maxSide: number;
}

const png: FileFormat = { name: 'PNG', format: 'png', maxSide: 2 ** 31 - 1 };
const jpeg: FileFormat = { name: 'JPEG', format: 'jpeg', maxSide: 65_500 };
const webp: FileFormat = { name: 'WebP', format: 'webp', maxSide: 16_383 };

const formats: Readonly<Record<string, FileFormat>> = { '.png': png, '.jpg': jpeg, '.jpeg': jpeg, '.webp': webp };

/** Endings of the files that `saveImage` writes. */
export const pictureEndings: readonly string[] = Object.keys(formats);

/**
 * Saves an image in the format that the path's ending names: .png (lossless), .jpg or .jpeg (quality 95, 4:4:4), .webp
 * (lossy, quality 95). The file appears whole or not at all: it is written beside its place, flushed, and renamed,
 * which replaces a file of that name. The folder must exist.
 * @param text goes into PNG files only (see `encodePng`); for the others a warning says that it was left out
 * @throws ImageError `image_format_unsupported` (unknown ending), `image_too_large` (for the format), `image_invalid`,
 * `image_text_invalid` or `image_not_saved` (disk and rights)
 */
export async function saveImage(
  path: string,
  image: RgbImage,
  text: Readonly<Record<string, string>> = {},
): Promise<SavedImage> {
  const extension = extname(path).toLowerCase();
  const format = Object.hasOwn(formats, extension) ? formats[extension] : undefined;
  if (!format) {
    throw new ImageError(
      'image_format_unsupported',
      `saveImage: expected a path that ends in ${Object.keys(formats).join(', ')}, got ${path}`,
      { path, extension },
    );
  }
  checkImage(image, 'saveImage');
  if (Math.max(image.width, image.height) > format.maxSide) {
    throw new ImageError(
      'image_too_large',
      `saveImage: ${format.name} holds sides of at most ${format.maxSide} pixels, got ${image.width} x ${image.height}; ` +
        'save as .png',
      { width: image.width, height: image.height, maxSide: format.maxSide },
    );
  }
  const bytes = await encodeImage(image, format.format, { text });
  await replaceFile(path, bytes);

  const keywords = Object.keys(text);
  const warnings: SaveImageWarning[] = [];
  if (format !== png && keywords.length > 0) {
    const message = `${format.name} files carry no text: ${keywords.join(', ')} left out; save as .png to keep it`;
    warnings.push({ code: 'text_not_saved', message });
  }
  return { path, bytes: bytes.length, warnings };
}

async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFileDurably(path, [bytes]);
  } catch (cause) {
    throw new ImageError(
      'image_not_saved',
      `saveImage: cannot write ${path}; check that the folder exists, its rights and the free space`,
      { path },
      { cause },
    );
  }
}
