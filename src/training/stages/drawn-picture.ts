/** How the semantic encoder sees pictures of the size that the model draws. */
import { processImage } from '../../models/qwen25vl/image-processor.ts';
import type { GridThw } from '../../models/qwen25vl/positions.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { semanticTokens } from '../vision-batch.ts';

export interface DrawnPicture {
  /** Patches: time, rows, columns. */
  readonly grid: GridThw;
  /** Tokens that it becomes. */
  readonly tokens: number;
}

export function drawnPicture({ folder, imageProcessor }: StarModel): DrawnPicture {
  const { imageSize } = folder.star.pixelEncoder;
  const blank = { width: imageSize, height: imageSize, data: new Uint8Array(3 * imageSize ** 2) };
  const grid = processImage(blank, imageProcessor).gridThw;
  return { grid, tokens: semanticTokens(grid, folder.qwen.vision) };
}
