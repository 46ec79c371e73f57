/** What previews tell of held-out pictures that were written down and drawn again. */
import { contactSheet } from '../../image/contact-sheet.ts';
import { resizeImage } from '../../image/resize.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { psnrOf } from '../../image/similarity.ts';

/** Of equal pictures, in decibels: keeps a mean finite. */
const highestPsnr = 100;

/** A picture of the size that is learned, as it is where it has it. */
export function squareOf(picture: RgbImage, size: number): RgbImage {
  const fits = picture.width === size && picture.height === size;
  return fits ? picture : resizeImage(picture, size, size, 'bilinear');
}

/** Pictures in batches; those that fill none are left out. */
export function wholeBatches(pictures: readonly RgbImage[], batch: number): RgbImage[][] {
  return Array.from({ length: Math.floor(pictures.length / batch) }, (_, at) =>
    pictures.slice(at * batch, (at + 1) * batch),
  );
}

/**
 * @param pairs pictures and what became of them
 * @param shown how many are shown, side by side
 */
export function reconstructionPreview(pairs: readonly (readonly [RgbImage, RgbImage])[], shown: number) {
  const decibels = pairs.map(([picture, redrawn]) => Math.min(psnrOf(picture, redrawn), highestPsnr));
  return {
    pictures: pairs.slice(0, shown).map((pair) => contactSheet(pair, 2)),
    numbers: {
      held_out_psnr: decibels.reduce((a, b) => a + b, 0) / decibels.length,
      held_out_pictures: decibels.length,
    },
  };
}
