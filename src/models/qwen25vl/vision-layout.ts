/**
 * The order and the borders of patches in the vision encoder: `get_vision_window_index`, `get_vision_position_ids` and
 * the axial rotary embedding of transformers' Qwen2.5-VL.
 *
 * Patches come from the image processor by merge blocks (2 x 2 patches that become one token). Most layers attend within
 * windows of the image, so the blocks are put in the order of their windows first, and back at the end. Windows at the
 * right and lower border are smaller where the image is no multiple of them.
 */
import type { Qwen25VLVisionConfig } from './config.ts';
import { type GridThw, inverseFrequencies, type RotaryTables } from './positions.ts';
import { PromptError } from './prompt-error.ts';

export interface VisionLayout {
  readonly patches: number;
  /** Merge blocks: the number of tokens that come out. */
  readonly tokens: number;
  /** `[tokens]`: place k in window order holds block `windowIndex[k]`. */
  readonly windowIndex: Int32Array;
  /** `[tokens]`: block b lies at place `inverseWindowIndex[b]` in window order. */
  readonly inverseWindowIndex: Int32Array;
  /** Patches of each window, in window order; they sum to `patches`. */
  readonly windowLengths: Int32Array;
  /** Patches of each frame, for the layers that attend to all of it; they sum to `patches`. */
  readonly frameLengths: Int32Array;
  /** `[patches, headDim / 2]`, by merge blocks (before windowing): first the row's frequencies, then the column's. */
  readonly rotary: RotaryTables;
}

export type VisionLayoutConfig = Pick<
  Qwen25VLVisionConfig,
  'patchSize' | 'spatialMergeSize' | 'windowSize' | 'headDim' | 'ropeTheta'
>;

/** Far above what the image processor lets through; a bound on what is allocated. */
const maximumPatches = 1 << 22;

/**
 * The layout of one or several images that pass the encoder together.
 * @param grids patches of each image: time, rows, columns; sides are multiples of the merge size.
 * @throws PromptError for sides that are not.
 */
export function visionLayout(grids: readonly GridThw[], config: VisionLayoutConfig): VisionLayout {
  const merge = config.spatialMergeSize;
  let patches = 0;
  for (const grid of grids) patches += checkedPatches(grid, merge);
  if (patches === 0 || patches > maximumPatches) {
    throw new PromptError('prompt_invalid', `${patches} patches; expected 1 to ${maximumPatches}`, { patches });
  }
  const tokens = patches / merge ** 2;
  const windowIndex = new Int32Array(tokens);
  const windowLengths: number[] = [];
  const frameLengths: number[] = [];
  const windowSide = Math.floor(Math.floor(config.windowSize / merge) / config.patchSize);
  let firstBlock = 0;
  let place = 0;
  for (const [time, rows, columns] of grids) {
    const height = rows / merge;
    const width = columns / merge;
    for (let frame = 0; frame < time; frame++) {
      frameLengths.push(rows * columns);
      for (let top = 0; top < height; top += windowSide) {
        for (let left = 0; left < width; left += windowSide) {
          const bottom = Math.min(top + windowSide, height);
          const right = Math.min(left + windowSide, width);
          for (let row = top; row < bottom; row++) {
            for (let column = left; column < right; column++) windowIndex[place++] = firstBlock + row * width + column;
          }
          windowLengths.push((bottom - top) * (right - left) * merge ** 2);
        }
      }
      firstBlock += height * width;
    }
  }
  const inverseWindowIndex = new Int32Array(tokens);
  windowIndex.forEach((block, index) => {
    inverseWindowIndex[block] = index;
  });
  return {
    patches,
    tokens,
    windowIndex,
    inverseWindowIndex,
    windowLengths: Int32Array.from(windowLengths),
    frameLengths: Int32Array.from(frameLengths),
    rotary: visionRotary(grids, patches, config),
  };
}

function visionRotary(grids: readonly GridThw[], patches: number, config: VisionLayoutConfig): RotaryTables {
  const merge = config.spatialMergeSize;
  const quarter = config.headDim / 4;
  const frequencies = inverseFrequencies(config.headDim / 2, config.ropeTheta);
  const cos = new Float32Array(patches * 2 * quarter);
  const sin = new Float32Array(patches * 2 * quarter);
  let cell = 0;
  const turn = (position: number) => {
    for (const frequency of frequencies) {
      const angle = Math.fround(frequency * position);
      cos[cell] = Math.cos(angle);
      sin[cell++] = Math.sin(angle);
    }
  };
  for (const [time, rows, columns] of grids) {
    for (let frame = 0; frame < time; frame++) {
      for (let top = 0; top < rows; top += merge) {
        for (let left = 0; left < columns; left += merge) {
          for (let inner = 0; inner < merge ** 2; inner++) {
            turn(top + Math.floor(inner / merge));
            turn(left + (inner % merge));
          }
        }
      }
    }
  }
  return { cos, sin };
}

function checkedPatches(grid: GridThw, merge: number): number {
  const [time, rows, columns] = grid;
  const whole = grid.every((side) => Number.isSafeInteger(side) && side > 0 && side <= maximumPatches);
  if (!whole || rows % merge !== 0 || columns % merge !== 0) {
    throw new PromptError('prompt_invalid', `grid ${grid.join(' x ')}: expected sides divisible by ${merge}`, { grid });
  }
  return time * rows * columns;
}
