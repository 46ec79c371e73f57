/** Several pictures on one sheet, to look at them at once. */
import type { RgbImage } from './rgb-image.ts';

/** Pixels between pictures. */
const gap = 2;
const background = 0xff;

/**
 * Pictures in rows, in order, on white. Each has a cell of the largest one's size and stands in its upper left corner.
 * @param pictures at least one
 * @param most columns; default: as many as make the sheet about square
 */
export function contactSheet(pictures: readonly RgbImage[], most = Math.ceil(Math.sqrt(pictures.length))): RgbImage {
  const columns = Math.min(most, pictures.length);
  const rows = Math.ceil(pictures.length / columns);
  const cellWidth = Math.max(...pictures.map(({ width }) => width));
  const cellHeight = Math.max(...pictures.map(({ height }) => height));
  const width = columns * (cellWidth + gap) - gap;
  const height = rows * (cellHeight + gap) - gap;
  const data = new Uint8Array(width * height * 3).fill(background);
  pictures.forEach((picture, index) => {
    const left = (index % columns) * (cellWidth + gap);
    const top = Math.floor(index / columns) * (cellHeight + gap);
    for (let row = 0; row < picture.height; row++) {
      const source = picture.data.subarray(row * picture.width * 3, (row + 1) * picture.width * 3);
      data.set(source, ((top + row) * width + left) * 3);
    }
  });
  return { width, height, data };
}
