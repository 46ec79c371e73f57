/** Picture files with sharp (libvips). Node only. */
import type { PictureCodec } from './codec.ts';
import { decodeImage, readImage } from './decode.ts';
import { encodePng } from './png.ts';
import { saveImage } from './save.ts';

export const nodeCodec: PictureCodec = {
  read: async (source) =>
    typeof source === 'string' ? readImage(source) : decodeImage(new Uint8Array(await source.arrayBuffer())),
  encodePng,
  save: saveImage,
};
