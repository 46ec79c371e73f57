/** The semantic encoder inside a training program: a batch of pictures of one size, whose placement is fixed. */

import type { RgbImage } from '../image/rgb-image.ts';
import type { Qwen25VLVisionConfig } from '../models/qwen25vl/config.ts';
import { type ImageProcessorConfig, processImage } from '../models/qwen25vl/image-processor.ts';
import type { GridThw } from '../models/qwen25vl/positions.ts';
import { type VisionEncoder, visionEncoder } from '../models/qwen25vl/vision-encoder.ts';
import { reorderPatches, visionPlacement } from '../models/qwen25vl/vision-program.ts';
import { constant, type Tensor, type TensorValue } from '../tensor/index.ts';
import type { DataPort } from './stage.ts';

/** Pictures of a step as the semantic encoder sees them. */
export interface VisionShapes {
  /** Pictures of a step, at least 1. */
  readonly pictures: number;
  /** Patches of each picture: time (1), rows, columns. */
  readonly grid: GridThw;
}

/** Tokens that a picture of the grid becomes. */
export function semanticTokens([time, rows, columns]: GridThw, { spatialMergeSize }: Qwen25VLVisionConfig): number {
  return (time * rows * columns) / spatialMergeSize ** 2;
}

/** Patches of all pictures, in window order. */
export function patchPort({ pictures, grid }: VisionShapes, config: Qwen25VLVisionConfig): DataPort {
  const count = pictures * grid[0] * grid[1] * grid[2];
  const { inChannels, temporalPatchSize, patchSize } = config;
  return { name: 'patches', dtype: 'float32', shape: [count, inChannels * temporalPatchSize * patchSize ** 2] };
}

/** `patches` of the port to embeddings `[pictures * tokens, outHiddenSize]`, picture by picture in reading order. */
export function encodePictures(
  patches: Tensor,
  encoder: VisionEncoder,
  { pictures, grid }: VisionShapes,
  config: Qwen25VLVisionConfig,
): Tensor {
  const placement = visionPlacement(new Array<GridThw>(pictures).fill(grid), config);
  const fixed = ({ dtype, shape, data }: TensorValue) => constant(dtype, shape, data as Float32Array);
  return visionEncoder(patches, encoder, config, {
    rotary: {
      cosine: fixed(placement.cosine),
      sine: fixed(placement.sine),
      positions: fixed(placement.positions),
    },
    windowPatches: fixed(placement.window_patches),
    windowMask: fixed(placement.window_mask),
    patchPlaces: fixed(placement.patch_places),
    tokenOrder: fixed(placement.token_order),
    images: pictures,
  });
}

/** Fills the port: each picture through the image processor; a missing one is left zero. */
export class PatchBatch {
  readonly #config: Qwen25VLVisionConfig;
  readonly #processor: ImageProcessorConfig;
  readonly #shapes: VisionShapes;
  readonly #order: Int32Array;

  constructor(shapes: VisionShapes, processor: ImageProcessorConfig, config: Qwen25VLVisionConfig) {
    this.#config = config;
    this.#processor = processor;
    this.#shapes = shapes;
    this.#order = visionPlacement([shapes.grid], config).order;
  }

  /** @throws RangeError for a picture that the processor gives another grid than the program's. */
  fill(images: readonly (RgbImage | undefined)[]): TensorValue {
    const { shape } = patchPort(this.#shapes, this.#config);
    const data = new Float32Array(shape[0]! * shape[1]!);
    const size = data.length / this.#shapes.pictures;
    images.forEach((image, index) => {
      if (!image) return;
      const { pixelValues, gridThw } = processImage(image, this.#processor);
      if (gridThw.join() !== this.#shapes.grid.join()) {
        const expected = this.#shapes.grid.join(' x ');
        throw new RangeError(`picture ${index} has ${gridThw.join(' x ')} patches, expected ${expected}`);
      }
      data.set(reorderPatches(pixelValues, this.#order).data as Float32Array, index * size);
    });
    return { dtype: 'float32', shape, data };
  }
}
