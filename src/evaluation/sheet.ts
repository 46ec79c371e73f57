/** Contact sheets: pictures side by side, each in a frame whose colour is its verdict. */
import { contactSheet } from '../image/contact-sheet.ts';
import { checkImage, type RgbImage } from '../image/rgb-image.ts';
import { EvaluationError } from './error.ts';

export interface JudgedPicture {
  readonly image: RgbImage;
  readonly verdict: 'right' | 'partly' | 'wrong' | 'none';
  /** What was asked for and what was found, for lists beside the sheet. */
  readonly text: string;
}

const frames: Readonly<Record<JudgedPicture['verdict'], readonly [number, number, number]>> = {
  right: [0x2e, 0xa0, 0x43],
  partly: [0xe3, 0xb3, 0x41],
  wrong: [0xcf, 0x22, 0x2e],
  none: [0x6e, 0x77, 0x81],
};
/** Pixels around a picture. */
const frame = 3;

/**
 * Pictures row by row, from the top left, each in its frame.
 * @param columns default: as near a square as can be
 * @param scale whole number by which pixels are repeated; default: sides of at least 96
 * @throws EvaluationError `evaluation_empty`
 */
export function judgedSheet(
  pictures: readonly JudgedPicture[],
  { columns, scale }: { columns?: number; scale?: number } = {},
): RgbImage {
  if (pictures.length === 0) throw new EvaluationError('evaluation_empty', 'contact sheet: no pictures');
  for (const { image } of pictures) checkImage(image, 'judgedSheet');
  const widest = Math.max(...pictures.flatMap(({ image }) => [image.width, image.height]));
  const factor = scale ?? Math.max(1, Math.ceil(96 / widest));
  return contactSheet(
    pictures.map((picture) => framed(picture, factor)),
    columns,
  );
}

/** A picture with each pixel `factor` times as wide and high, in a frame of its verdict's colour. */
function framed({ image, verdict }: JudgedPicture, factor: number): RgbImage {
  const width = image.width * factor + 2 * frame;
  const height = image.height * factor + 2 * frame;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = [Math.floor((x - frame) / factor), Math.floor((y - frame) / factor)];
      const inside = column >= 0 && row >= 0 && column < image.width && row < image.height;
      const from = (row * image.width + column) * 3;
      data.set(inside ? image.data.subarray(from, from + 3) : frames[verdict], (y * width + x) * 3);
    }
  }
  return { width, height, data };
}
