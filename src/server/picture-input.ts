/** Pictures that come with a request. They are looked at before the request waits, and decoded when its turn has come. */
import { type DecodeOptions, inspectImage } from '../image/decode.ts';
import { invalidRequest, payloadTooLarge } from './error.ts';
import { bytesPerMebibyte, maxPictures, type ResolvedServerOptions } from './options.ts';

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;
const dataUrl = /^data:[\w.+-]*\/?[\w.+-]*(?:;[\w.+-]+=[\w.+-]+)*;base64,/i;

/**
 * The bytes that a data URL, or base64 alone, stands for. No other URL is fetched.
 * @throws ServerError `url_not_allowed`, `invalid_image`, `payload_too_large`
 */
export function readImageUrl(url: string, param: string, { maxFile }: ResolvedServerOptions): Uint8Array {
  const prefix = dataUrl.exec(url)?.[0];
  if (prefix === undefined && /^[a-z][a-z0-9+.-]*:/i.test(url)) {
    throw invalidRequest('url_not_allowed', 'this server fetches no pictures; send a data: URL with base64', param);
  }
  const text = prefix === undefined ? url : url.slice(prefix.length);
  // Before anything is decoded.
  if ((text.length / 4) * 3 > maxFile * bytesPerMebibyte + 2) {
    throw payloadTooLarge(`a picture may have ${maxFile} MiB`, param);
  }
  if (text === '' || !base64.test(text)) throw invalidRequest('invalid_image', 'expected base64', param);
  return Buffer.from(text, 'base64');
}

/** Limits for one picture. */
export function decodeLimits({ maxPixels }: ResolvedServerOptions): DecodeOptions {
  return { maxPixels };
}

/**
 * Looks at the headers of a request's pictures.
 * @throws ServerError and ImageError for formats that are not read, and for too many pixels in all
 */
export async function inspectPictures(
  pictures: readonly Uint8Array[],
  param: string,
  options: ResolvedServerOptions,
): Promise<void> {
  if (pictures.length > maxPictures) {
    throw invalidRequest('too_many_images', `expected at most ${maxPictures} pictures, got ${pictures.length}`, param);
  }
  let pixels = 0;
  for (const bytes of pictures) {
    const { width, height } = await inspectImage(bytes, decodeLimits(options));
    pixels += width * height;
  }
  if (pixels > options.maxPixels) {
    throw payloadTooLarge(`the pictures have ${pixels} pixels together; at most ${options.maxPixels} are read`, param);
  }
}
