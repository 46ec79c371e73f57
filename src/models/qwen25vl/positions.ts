/**
 * M-RoPE: positions of three axes, and the rotary tables that follow from them.
 *
 * `mropePositions` is `get_rope_index_25` for images (star/models/rope_2d.py, and transformers' `get_rope_index`): text
 * advances all three axes by one a token; an image's tokens share their time and count rows and columns from where the
 * image begins; what follows goes on from the largest position plus one.
 * `rotaryTables` is `Qwen2_5_VLRotaryEmbedding` of transformers, rounded to float32 at each step as torch does.
 */
import { PromptError } from './prompt-error.ts';

/** Time, rows and columns of an image in patches, as the image processor gives them (`image_grid_thw`). */
export type GridThw = readonly [time: number, height: number, width: number];

export interface PositionTokens {
  readonly imageToken: number;
  readonly videoToken: number;
  readonly visionStart: number;
}

export interface MropePositions {
  /** `[3, sequence]`: time, height, width. */
  readonly positions: Int32Array;
  readonly sequence: number;
  /** The position, equal on all axes, of the token that comes next. */
  readonly next: number;
}

export interface RotaryTables {
  /** `[tokens, headDim / 2]`: both halves of a head turn by the same angles. */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * The positions of a prompt.
 * @param ids `[sequence]` token ids; an image is a run of image tokens right after a vision start.
 * @param grids the grid of each image, in order.
 * @param spatialMergeSize patches on a side of the block that makes a token.
 * @throws PromptError when runs of image tokens and grids do not match, and for videos.
 */
export function mropePositions(
  ids: readonly number[],
  tokens: PositionTokens,
  grids: readonly GridThw[],
  spatialMergeSize: number,
): MropePositions {
  const sequence = ids.length;
  const positions = new Int32Array(3 * sequence);
  let index = 0;
  let image = 0;
  let next = 0;
  while (index < sequence) {
    const id = ids[index]!;
    if (id === tokens.videoToken) {
      throw new PromptError('prompt_invalid', `token ${index}: videos are not supported; give frames as images`, {
        index,
      });
    }
    if (id !== tokens.imageToken) {
      for (let axis = 0; axis < 3; axis++) positions[axis * sequence + index] = next;
      next++;
      index++;
      continue;
    }
    if (ids[index - 1] !== tokens.visionStart) {
      throw new PromptError('prompt_invalid', `token ${index}: an image token that does not follow a vision start`, {
        index,
      });
    }
    const [height, width] = mergedSize(grids[image], image, spatialMergeSize);
    const run = runLength(ids, index);
    if (run !== height * width) {
      throw new PromptError(
        'prompt_invalid',
        `image ${image}: ${run} image tokens in the prompt; its grid gives ${height} x ${width}`,
        { image, run, height, width },
      );
    }
    for (let offset = 0; offset < run; offset++, index++) {
      positions[index] = next;
      positions[sequence + index] = next + Math.floor(offset / width);
      positions[2 * sequence + index] = next + (offset % width);
    }
    next += Math.max(height, width);
    image++;
  }
  if (image !== grids.length) {
    throw new PromptError('prompt_invalid', `${grids.length} grids given; the prompt shows ${image} images`, {
      given: grids.length,
      shown: image,
    });
  }
  return { positions, sequence, next };
}

/**
 * Cosines and sines for the text decoder.
 * @param positions `[3, tokens]`.
 * @param headDim even.
 * @param theta base of the frequencies.
 * @param mropeSection how many of the `headDim / 2` frequencies, from the fastest on, follow time, height and width.
 */
export function rotaryTables(
  positions: Int32Array,
  headDim: number,
  theta: number,
  mropeSection: readonly [number, number, number],
): RotaryTables {
  const half = headDim / 2;
  const [time, height, width] = mropeSection;
  if (time + height + width !== half || positions.length % 3 !== 0) {
    throw new RangeError(
      `rotaryTables: sections ${mropeSection.join(' + ')} and ${positions.length} positions; expected sections that sum to ${half} and three axes of positions`,
    );
  }
  const count = positions.length / 3;
  const frequencies = inverseFrequencies(headDim, theta);
  const cos = new Float32Array(count * half);
  const sin = new Float32Array(count * half);
  for (let token = 0; token < count; token++) {
    for (let frequency = 0; frequency < half; frequency++) {
      const axis = frequency < time ? 0 : frequency < time + height ? 1 : 2;
      const angle = Math.fround(frequencies[frequency]! * Math.fround(positions[axis * count + token]!));
      cos[token * half + frequency] = Math.cos(angle);
      sin[token * half + frequency] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/**
 * `1 / theta^(2 i / dim)` for i below `dim / 2`, in float32: `1.0 / (base ** (torch.arange(0, dim, 2) / dim))`.
 */
export function inverseFrequencies(dim: number, theta: number): Float32Array {
  return Float32Array.from({ length: dim / 2 }, (_, index) => {
    const exponent = Math.fround((2 * index) / dim);
    return 1 / Math.fround(Math.fround(theta) ** exponent);
  });
}

function mergedSize(grid: GridThw | undefined, image: number, spatialMergeSize: number): [number, number] {
  if (grid === undefined)
    throw new PromptError('prompt_invalid', `image ${image} of the prompt has no grid`, { image });
  const [time, rows, columns] = grid;
  const height = rows / spatialMergeSize;
  const width = columns / spatialMergeSize;
  if (time !== 1 || ![height, width].every((side) => Number.isSafeInteger(side) && side > 0)) {
    throw new PromptError(
      'prompt_invalid',
      `image ${image}: grid ${grid.join(' x ')}; expected time 1 and sides divisible by ${spatialMergeSize}`,
      { image, grid },
    );
  }
  return [height, width];
}

function runLength(ids: readonly number[], start: number): number {
  let end = start;
  while (end < ids.length && ids[end] === ids[start]) end++;
  return end - start;
}
