/** Pictures of any size as squares, and mirrored by chance. */
import { type ResizeFilter, resizeImage } from '../../image/resize.ts';
import { checkImage, checkSize, type RgbImage } from '../../image/rgb-image.ts';
import { uniform } from '../../tensor/random.ts';
import { DataError } from '../error.ts';

export interface SquareTransform {
  /** Side of the result, in pixels, from 1. */
  readonly size: number;
  /**
   * `centre` and `random` keep the largest square, from the middle or from a place by chance; `pad` keeps the whole
   * picture and fills what is left. Default `centre`.
   */
  readonly crop?: 'centre' | 'random' | 'pad';
  /** Probability of mirroring left and right, 0..1. Default 0: captions may speak of left and right. */
  readonly flip?: number;
  /** Pillow's filter. Default `bicubic`. */
  readonly filter?: ResizeFilter;
  /** Colour of `pad`, 0..255 each. Default white. */
  readonly fill?: readonly [number, number, number];
}

/** Numbers in [0, 1) that decide a transform; pictures that belong together share them. */
export interface TransformChance {
  readonly crop: number;
  readonly flip: number;
}

/** Streams of `uniform` that no other maker of data takes: this number above, the epoch below. */
const transformStream = 2 ** 40;

/** The chance of the sample at a place. */
export function transformChance(seed: number, epoch: number, position: number): TransformChance {
  const draw = (which: number) => uniform(seed, transformStream + epoch, position * 2 + which);
  return { crop: draw(0), flip: draw(1) };
}

/**
 * A picture as a square: cropped, then resized as Pillow does, then mirrored.
 * @throws ImageError for a picture or size that is not valid, DataError `data_option_invalid` for `flip` beyond 0..1
 */
export function squarePicture(image: RgbImage, transform: SquareTransform, chance: TransformChance): RgbImage {
  const { size, crop = 'centre', flip = 0, filter = 'bicubic', fill = [255, 255, 255] } = transform;
  checkImage(image, 'squarePicture');
  checkSize(size, size, 'squarePicture');
  if (!(flip >= 0 && flip <= 1)) {
    throw new DataError('data_option_invalid', `flip: expected a probability in 0..1, got ${flip}`);
  }
  const square =
    crop === 'pad'
      ? padded(image, size, filter, fill)
      : resizeImage(cropped(image, crop === 'random' ? chance.crop : 0.5), size, size, filter);
  return chance.flip < flip ? mirrored(square) : square;
}

/** The largest square; `where` in [0, 1) moves it along the longer side, 0.5 is the middle. */
function cropped(image: RgbImage, where: number): RgbImage {
  const { width, height, data } = image;
  const side = Math.min(width, height);
  if (width === height) return image;
  const start = Math.floor(where * (Math.max(width, height) - side + 1));
  const [left, top] = width > height ? [start, 0] : [0, start];
  const target = new Uint8Array(side * side * 3);
  for (let row = 0; row < side; row++) {
    const from = ((top + row) * width + left) * 3;
    target.set(data.subarray(from, from + side * 3), row * side * 3);
  }
  return { width: side, height: side, data: target };
}

// Resized before it is padded, so that the filter does not draw the fill into the picture's edge.
function padded(image: RgbImage, size: number, filter: ResizeFilter, fill: readonly number[]): RgbImage {
  const scale = size / Math.max(image.width, image.height);
  const width = Math.max(1, Math.round(image.width * scale));
  const height = Math.max(1, Math.round(image.height * scale));
  const inner = resizeImage(image, width, height, filter);
  const target = new Uint8Array(size * size * 3);
  for (let byte = 0; byte < target.length; byte++) target[byte] = fill[byte % 3]!;
  const left = Math.floor((size - width) / 2);
  const top = Math.floor((size - height) / 2);
  for (let row = 0; row < height; row++) {
    target.set(inner.data.subarray(row * width * 3, (row + 1) * width * 3), ((top + row) * size + left) * 3);
  }
  return { width: size, height: size, data: target };
}

function mirrored({ width, height, data }: RgbImage): RgbImage {
  const target = new Uint8Array(data.length);
  for (let row = 0, out = 0; row < height; row++) {
    for (let column = width - 1; column >= 0; column--, out += 3) {
      const from = (row * width + column) * 3;
      target[out] = data[from]!;
      target[out + 1] = data[from + 1]!;
      target[out + 2] = data[from + 2]!;
    }
  }
  return { width, height, data: target };
}
