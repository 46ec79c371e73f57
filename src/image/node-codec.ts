/** Picture files with sharp (libvips). Node only. */
import type { PictureCodec } from './codec.ts';
import { decodeAlpha, decodeImage, readImageFile } from './decode.ts';
import { encodePng } from './png.ts';
import { saveImage } from './save.ts';

export const nodeCodec: PictureCodec = {
  read: async (source) => decodeImage(await bytesOf(source)),
  readAlpha: async (source) => decodeAlpha(await bytesOf(source)),
  encodePng,
  save: saveImage,
};

async function bytesOf(source: string | Blob): Promise<Uint8Array> {
  return typeof source === 'string' ? readImageFile(source) : new Uint8Array(await source.arrayBuffer());
}
