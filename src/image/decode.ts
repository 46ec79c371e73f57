/**
 * Image files of strangers to RGB pixels, with sharp (libvips). Node only.
 *
 * The published code reads images with Pillow's `Image.open(path).convert('RGB')`. For plain RGB and grey files the
 * pixels are the same. Departures, each because users expect it:
 * - the EXIF orientation is applied; Pillow ignores it;
 * - transparency is flattened onto white; Pillow drops the alpha channel and shows whatever colour lies below it;
 * - 16-bit greys keep their high byte; Pillow clips them at 255;
 * - CMYK goes through a print profile; Pillow multiplies the inks.
 * A partly transparent pixel can lie one level below the exactly rounded mix, because libvips cuts.
 * Like Pillow, it ignores embedded colour profiles and takes the first frame of an animation.
 */

import { readFile, stat } from 'node:fs/promises';
import sharp, { type SharpOptions } from 'sharp';
import { ImageError } from './error.ts';
import type { AlphaPlane } from './mask.ts';
import type { RgbImage } from './rgb-image.ts';

/** The file formats that are read. */
export type ImageFormat = 'jpeg' | 'png' | 'webp';

/** Limits that an image must keep; all are checked on the header, before any pixel is decoded. */
export interface DecodeOptions {
  /** The most pixels. Default 33,000,000 (8K video, 7680 x 4320, passes). */
  readonly maxPixels?: number;
  /** The longest side, in pixels. Default 32,768. */
  readonly maxSide?: number;
  /** The shortest side, in pixels. Default 1. */
  readonly minSide?: number;
}

/** Limits for an image file. */
export interface ReadImageOptions extends DecodeOptions {
  /** The most bytes of the file. Default 100 MiB. */
  readonly maxBytes?: number;
}

/** The format that the first bytes announce, or `undefined` when it is none that is read. */
export function sniffImageFormat(bytes: Uint8Array): ImageFormat | undefined {
  const ascii = (start: number, text: string) =>
    bytes.length >= start + text.length && [...text].every((char, i) => bytes[start + i] === char.charCodeAt(0));
  if (ascii(0, '\xff\xd8\xff')) return 'jpeg';
  if (ascii(0, '\x89PNG\r\n\x1a\n')) return 'png';
  if (ascii(0, 'RIFF') && ascii(8, 'WEBP')) return 'webp';
  return undefined;
}

/**
 * Decodes a JPEG, PNG or WebP file to 8-bit RGB.
 * Grey, palette, 16-bit and CMYK images become RGB; transparency is flattened onto white; the EXIF orientation is
 * applied; of an animation the first frame is taken. A file that the decoder only warns about is refused too.
 * @throws ImageError `image_format_unsupported`, `image_too_large`, `image_too_small`, `image_corrupt` or
 * `image_option_invalid`
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<RgbImage> {
  const { format, input } = await openHeader(bytes, options);
  const { data, info } = await sharp(bytes, input)
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch(corrupt(format));
  if (info.channels !== 3) corrupt(format)();
  return { width: info.width, height: info.height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}

/** What the header of an image file says. */
export interface ImageHeader {
  readonly format: ImageFormat;
  /** As stored, before the EXIF orientation is applied. */
  readonly width: number;
  readonly height: number;
}

/**
 * Reads the header of an image file and checks it against the limits; no pixel is decoded.
 * @throws ImageError as `decodeImage` does; damage behind the header is not seen
 */
export async function inspectImage(bytes: Uint8Array, options: DecodeOptions = {}): Promise<ImageHeader> {
  const { format, header } = await openHeader(bytes, options);
  return { format, width: header.width, height: header.height };
}

/**
 * Decodes the transparency of a JPEG, PNG or WebP file, and nothing else of it.
 * @throws ImageError as `decodeImage` does, and `image_alpha_missing` for an image without transparency
 */
export async function decodeAlpha(bytes: Uint8Array, options: DecodeOptions = {}): Promise<AlphaPlane> {
  const { format, header, input } = await openHeader(bytes, options);
  if (!header.hasAlpha) {
    throw new ImageError(
      'image_alpha_missing',
      `decodeAlpha: expected an image with an alpha channel, got a ${format} file without; save it with transparency`,
      { format },
    );
  }
  const { data, info } = await sharp(bytes, input)
    .extractChannel('alpha')
    .toColourspace('b-w')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch(corrupt(format));
  if (info.channels !== 1) corrupt(format)();
  return { width: info.width, height: info.height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}

async function openHeader(bytes: Uint8Array, options: DecodeOptions) {
  const { maxPixels = 33_000_000, maxSide = 32_768, minSide = 1 } = options;
  checkOptions({ maxPixels, maxSide, minSide });
  const format = sniffImageFormat(bytes);
  if (format === undefined) {
    throw new ImageError(
      'image_format_unsupported',
      `decodeImage: expected a JPEG, PNG or WebP file, got ${bytes.length} bytes that begin like none of them; ` +
        'convert the image first',
      { bytes: bytes.length },
    );
  }
  const input = {
    limitInputPixels: maxPixels,
    failOn: 'warning',
    pages: 1,
    autoOrient: true,
    ignoreIcc: true,
  } satisfies SharpOptions;

  // Without sharp's own limit, whose refusal looks like damage; only the header is read here.
  const header = await sharp(bytes, { ...input, limitInputPixels: false })
    .metadata()
    .catch(corrupt(format));
  checkLimits(header.width, header.height, { maxPixels, maxSide, minSide });
  return { format, header, input };
}

/**
 * Forbids sharp, in this whole process, every decoder but those of the formats that are read here, and files altogether:
 * fewer places where a stranger's bytes can do harm. For programs that answer strangers.
 */
export function restrictDecoders(): void {
  sharp.block({ operation: ['VipsForeignLoad'] });
  const loaders = ['Jpeg', 'Png', 'Webp'].map((format) => `VipsForeignLoad${format}Buffer`);
  sharp.unblock({ operation: loaders });
}

/**
 * Reads and decodes an image file, as `decodeImage` does.
 * @throws ImageError also `image_not_found` and `image_unreadable` (no right to read, or not a regular file)
 */
export async function readImage(path: string, options: ReadImageOptions = {}): Promise<RgbImage> {
  return decodeImage(await readImageFile(path, options), options);
}

/** The bytes of an image file. */
export async function readImageFile(path: string, options: ReadImageOptions = {}): Promise<Uint8Array> {
  const { maxBytes = 100 * 2 ** 20 } = options;
  checkOptions({ maxBytes });
  // Asked before opening: a pipe would wait for ever, and a device never ends.
  const status = await stat(path).catch(unreadable(path));
  if (!status.isFile()) {
    throw new ImageError('image_unreadable', `readImage: expected an image file, got something else at ${path}`, {
      path,
    });
  }
  if (status.size > maxBytes) {
    throw new ImageError(
      'image_too_large',
      `readImage: expected at most ${maxBytes} bytes, got ${status.size} in ${path}; use a smaller image`,
      { path, bytes: status.size, maxBytes },
    );
  }
  return readFile(path).catch(unreadable(path));
}

// A limit of NaN would let everything pass, and sharp takes 0 for "no limit".
function checkOptions(limits: Readonly<Record<string, number>>): void {
  for (const [option, value] of Object.entries(limits)) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    throw new ImageError('image_option_invalid', `${option}: expected a whole number from 1, got ${value}`, {
      option,
      value,
    });
  }
}

function checkLimits(width: number, height: number, limits: Required<DecodeOptions>): void {
  const { maxPixels, maxSide, minSide } = limits;
  if (width * height > maxPixels || Math.max(width, height) > maxSide) {
    throw new ImageError(
      'image_too_large',
      `decodeImage: expected at most ${maxPixels} pixels and sides of ${maxSide}, got ${width} x ${height}; ` +
        'scale the image down first',
      { width, height, maxPixels, maxSide },
    );
  }
  if (Math.min(width, height) < minSide) {
    throw new ImageError(
      'image_too_small',
      `decodeImage: expected sides of at least ${minSide} pixels, got ${width} x ${height}; use a larger image`,
      { width, height, minSide },
    );
  }
}

// The decoder's own words stay inside: they name libraries and versions, and change with them.
function corrupt(format: ImageFormat): () => never {
  return () => {
    throw new ImageError(
      'image_corrupt',
      `decodeImage: expected a whole ${format} image, got one that is cut off or damaged; save or copy it anew`,
      { format },
    );
  };
}

function unreadable(path: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
      throw new ImageError('image_not_found', `readImage: no image at ${path}; check the path`, { path });
    }
    throw new ImageError(
      'image_unreadable',
      `readImage: cannot read ${path} (${error.code ?? 'unknown reason'}); check its rights`,
      { path, reason: error.code },
    );
  };
}
