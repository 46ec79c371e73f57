/**
 * A perceptual loss by a feature net trained in the world: the model's own semantic encoder, frozen. Two pictures are alike
 * when it says the same of each of their places; a squared error of pixels alone is content with blurred things, since most
 * of a picture is ground.
 */
import type { Qwen25VLConfig } from '../models/qwen25vl/config.ts';
import { type ImageProcessorConfig, smartResize } from '../models/qwen25vl/image-processor.ts';
import { declareVisionEncoder } from '../models/qwen25vl/vision-encoder.ts';
import { visionPlacement } from '../models/qwen25vl/vision-program.ts';
import { type Declare, within } from '../nn/parameters.ts';
import {
  add,
  constant,
  divide,
  expand,
  gather,
  multiply,
  reduceMean,
  reshape,
  square,
  squareRoot,
  stopGradient,
  subtract,
  type Tensor,
  transpose,
} from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import { encodePictures, type VisionShapes } from './vision-batch.ts';

/** What looks at the pictures. */
export interface PerceptualNet {
  readonly qwen: Qwen25VLConfig;
  readonly processor: ImageProcessorConfig;
}

/**
 * Patches of pictures `[pictures, 3, side, side]` in [−1, 1] as the encoder is fed, `[patches, …]` in window order: what
 * `PatchBatch` makes of the same pictures, with gradients.
 * @throws TrainingError `training_option_invalid` where the image processor would resize them
 */
export function patchesOf(pictures: Tensor, { qwen, processor }: PerceptualNet): { patches: Tensor } & VisionShapes {
  const [count, channels, height, width] = pictures.shape as readonly number[] as [number, number, number, number];
  const { patchSize, mergeSize, temporalPatchSize, imageMean, imageStd, rescaleFactor } = processor;
  const seen = smartResize({ width, height }, patchSize * mergeSize, processor.minPixels, processor.maxPixels);
  if (seen.width !== width || seen.height !== height) {
    throw new TrainingError(
      'training_option_invalid',
      `perceptualWeight: the semantic encoder sees pictures of ${width} x ${height} as ${seen.width} x ${seen.height}; ` +
        'expected a size that it leaves as it is',
    );
  }
  const [rows, columns] = [height / patchSize, width / patchSize];
  const perChannel = (values: readonly number[]) => constant('float32', [channels, 1, 1], Float32Array.from(values));
  // Bytes are (x + 1) · 127.5; then as the image processor scales and shifts them.
  const scale = perChannel(imageStd.map((deviation) => (127.5 * rescaleFactor) / deviation));
  const shift = perChannel(imageStd.map((deviation, at) => (127.5 * rescaleFactor - imageMean[at]!) / deviation));
  const values = add(multiply(pictures, scale), shift);
  const blocks = [rows / mergeSize, mergeSize, patchSize, columns / mergeSize, mergeSize, patchSize] as const;
  const ordered = transpose(reshape(values, [count, channels, ...blocks]), [0, 2, 5, 3, 6, 1, 4, 7]);
  const patchCount = rows * columns;
  const frame = [count, patchCount, channels, 1, patchSize * patchSize] as const;
  const frames = expand(reshape(ordered, frame), [...frame.slice(0, 3), temporalPatchSize, frame[4]]);
  const grid = [1, rows, columns] as const;
  const { order } = visionPlacement([grid], qwen.vision);
  const windows = constant('int64', [patchCount], BigInt64Array.from(order, BigInt));
  const inWindows = gather(frames, windows, 1);
  return { patches: reshape(inWindows, [count * patchCount, -1]), pictures: count, grid };
}

/** Mean squared difference of what the encoder says of the pictures' places, each scaled to a mean square of 1. */
export function perceptualLoss(made: Tensor, real: Tensor, declare: Declare, net: PerceptualNet): Tensor {
  const { vision } = net.qwen;
  const encoder = declareVisionEncoder(within(declare, 'llm.visual'), vision);
  const said = (pictures: Tensor) => {
    const { patches, ...shapes } = patchesOf(pictures, net);
    const states = encodePictures(patches, encoder, shapes, vision);
    const meanSquare = reduceMean(square(states), { axes: [1], keepDims: true });
    return divide(states, squareRoot(add(meanSquare, net.qwen.text.rmsNormEps)));
  };
  return reduceMean(square(subtract(said(made), stopGradient(said(real)))));
}
