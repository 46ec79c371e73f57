/** Contact sheets: pictures side by side, each in a frame whose colour is its verdict. */
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
const frame = 3;
const gap = 3;

/**
 * Pictures row by row, from the top left.
 * @param columns default: as near a square as can be
 * @param scale whole number by which pixels are repeated; default: sides of at least 96
 * @throws EvaluationError `evaluation_empty`
 */
export function contactSheet(
  pictures: readonly JudgedPicture[],
  { columns = Math.ceil(Math.sqrt(pictures.length)), scale }: { columns?: number; scale?: number } = {},
): RgbImage {
  if (pictures.length === 0) throw new EvaluationError('evaluation_empty', 'contact sheet: no pictures');
  for (const { image } of pictures) checkImage(image, 'contactSheet');
  const [widest, highest] = (['width', 'height'] as const).map((side) =>
    Math.max(...pictures.map(({ image }) => image[side])),
  ) as [number, number];
  const factor = scale ?? Math.max(1, Math.ceil(96 / Math.max(widest, highest)));
  const cell = { width: widest * factor + 2 * frame + gap, height: highest * factor + 2 * frame + gap };
  const across = Math.min(columns, pictures.length);
  const width = across * cell.width + gap;
  const height = Math.ceil(pictures.length / across) * cell.height + gap;
  const data = new Uint8Array(width * height * 3).fill(255);
  pictures.forEach(({ image, verdict }, index) => {
    const left = gap + (index % across) * cell.width;
    const top = gap + Math.floor(index / across) * cell.height;
    const [shownWidth, shownHeight] = [image.width * factor, image.height * factor];
    for (let y = 0; y < shownHeight + 2 * frame; y++) {
      for (let x = 0; x < shownWidth + 2 * frame; x++) {
        const [column, row] = [x - frame, y - frame];
        const inside = column >= 0 && row >= 0 && column < shownWidth && row < shownHeight;
        const from = (Math.floor(row / factor) * image.width + Math.floor(column / factor)) * 3;
        const to = ((top + y) * width + left + x) * 3;
        for (let channel = 0; channel < 3; channel++) {
          data[to + channel] = inside ? image.data[from + channel]! : frames[verdict][channel]!;
        }
      }
    }
  });
  return { width, height, data };
}
