/** Pictures that come with a request. They are looked at before the request waits, and decoded when its turn has come. */
import { type DecodeOptions, inspectImage } from '../image/decode.ts';
import { invalidRequest, payloadTooLarge } from './error.ts';
import { bytesPerMebibyte, maxPictures, type ResolvedServerOptions } from './options.ts';
import { fetchPicture, requireListed } from './picture-fetch.ts';

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;
const dataUrl = /^data:[\w.+-]*\/?[\w.+-]*(?:;[\w.+-]+=[\w.+-]+)*;base64,/i;

/** A picture as a request names it, and the field that does. */
export interface PictureUrl {
  readonly url: string;
  readonly param: string;
}

/**
 * The bytes that data URLs, or base64 alone, stand for, or that lie at URLs of origins that are listed. Fetched ones may have as
 * many bytes together as a body may.
 * @throws ServerError `too_many_images`, `url_not_allowed`, `invalid_image`, `payload_too_large`, `image_fetch_failed`
 */
export async function readImageUrls(
  urls: readonly PictureUrl[],
  options: ResolvedServerOptions,
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const last = urls[maxPictures];
  if (last) requireFew(urls.length, last.param);
  const bytes = new Array<Uint8Array>(urls.length);
  const remote: { readonly at: number; readonly url: URL; readonly param: string }[] = [];
  // What needs no fetching is refused before anything is fetched.
  for (const [at, { url, param }] of urls.entries()) {
    const web = webUrl(url, param, options);
    if (web) remote.push({ at, url: web, param });
    else bytes[at] = readDataUrl(url, param, options);
  }
  let left = options.maxBody;
  for (const { at, url, param } of remote) {
    const fetched = await fetchPicture(url, param, { ...options, maxFile: Math.min(options.maxFile, left) }, signal);
    left -= fetched.length / bytesPerMebibyte;
    bytes[at] = fetched;
  }
  return bytes;
}

/** The URL to fetch; `undefined` for data. */
function webUrl(url: string, param: string, options: ResolvedServerOptions): URL | undefined {
  if (dataUrl.test(url) || !/^[a-z][a-z0-9+.-]*:/i.test(url)) return undefined;
  if (options.allowImageOrigin.length > 0 && /^https?:/i.test(url) && URL.canParse(url)) {
    const web = new URL(url);
    requireListed(web, param, options);
    return web;
  }
  throw invalidRequest('url_not_allowed', 'this server fetches no such picture; send a data: URL with base64', param);
}

function readDataUrl(url: string, param: string, { maxFile }: ResolvedServerOptions): Uint8Array {
  const text = url.slice(dataUrl.exec(url)?.[0].length ?? 0);
  // Before anything is decoded.
  if ((text.length / 4) * 3 > maxFile * bytesPerMebibyte + 2) {
    throw payloadTooLarge(`a picture may have ${maxFile} MiB`, param);
  }
  if (text === '' || !base64.test(text)) throw invalidRequest('invalid_image', 'expected base64', param);
  return Buffer.from(text, 'base64');
}

function requireFew(count: number, param: string): void {
  if (count <= maxPictures) return;
  throw invalidRequest('too_many_images', `expected at most ${maxPictures} pictures, got ${count}`, param);
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
  requireFew(pictures.length, param);
  let pixels = 0;
  for (const bytes of pictures) {
    const { width, height } = await inspectImage(bytes, decodeLimits(options));
    pixels += width * height;
  }
  if (pixels > options.maxPixels) {
    throw payloadTooLarge(`the pictures have ${pixels} pixels together; at most ${options.maxPixels} are read`, param);
  }
}
