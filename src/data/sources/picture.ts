/** Texts and pictures of one record, within limits. */
import { decodeImage } from '../../image/decode.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { DataError } from '../error.ts';
import type { Place } from './order.ts';
import { type SquareTransform, squarePicture, transformChance } from './transforms.ts';

export interface PictureOptions {
  /** 0..2^53−1; decides crops and flips. */
  readonly seed: number;
  /** Most bytes of an encoded picture. */
  readonly maxImageBytes: number;
  /** Most pixels of a picture, checked on its header. */
  readonly maxPixels: number;
  /** The shortest side, in pixels. */
  readonly minSide: number;
  /** Undefined: pictures keep their sizes. */
  readonly square?: SquareTransform | undefined;
}

/** Most bytes of a caption or an instruction, as UTF-8. */
export const maximumTextBytes = 64 * 1024;

const picturePattern = /\.(?:jpe?g|png|webp)$/i;

/** True for names of picture files that are read. */
export function isPictureName(name: string): boolean {
  return picturePattern.test(name);
}

/** Decodes and transforms a picture of the sample at `place`. Throws ImageError or DataError when it cannot be used. */
export async function loadPicture(bytes: Uint8Array, options: PictureOptions, place: Place): Promise<RgbImage> {
  const { maxImageBytes, maxPixels, minSide, seed, square } = options;
  if (bytes.length > maxImageBytes) {
    throw new DataError('data_invalid', `the picture has ${bytes.length} bytes, the limit is ${maxImageBytes}`);
  }
  const image = await decodeImage(bytes, { maxPixels, minSide });
  return square ? squarePicture(image, square, transformChance(seed, place.epoch, place.position)) : image;
}

/** UTF-8 bytes as text. Throws `DataError` (`data_invalid`) for other bytes. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError('data_invalid', 'the text is not UTF-8', {}, { cause });
  }
}

/** A caption without white space around it. Throws `DataError` (`data_invalid`) when nothing or too much is left. */
export function checkText(what: string, text: unknown): string {
  if (typeof text !== 'string') throw new DataError('data_invalid', `no ${what}: expected a text`);
  const trimmed = text.trim();
  if (trimmed === '') throw new DataError('data_invalid', `the ${what} is empty`);
  if (trimmed.length > maximumTextBytes || Buffer.byteLength(trimmed) > maximumTextBytes) {
    throw new DataError('data_invalid', `the ${what} has more than ${maximumTextBytes} bytes`);
  }
  return trimmed;
}
