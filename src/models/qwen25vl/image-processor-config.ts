/** The image processor's settings: Hugging Face `preprocessor_config.json`. */

import { z } from 'zod';
import { parseConfig, requireConfig } from '../config-error.ts';
import type { ImageProcessorConfig } from './image-processor.ts';

// The caps keep a stranger's file from asking for more memory than there is; published values are far below.
const pixelCount = z
  .int()
  .min(1)
  .max(2 ** 26);
const patchSide = z.int().min(1).max(256);
const repeats = z.int().min(1).max(16);
const fraction = z.number().min(-1e3).max(1e3);
const threeMeans = z.tuple([fraction, fraction, fraction]);
const deviation = fraction.positive();
const threeDeviations = z.tuple([deviation, deviation, deviation]);
const on = z.literal(true).default(true);
const off = z.literal(false).nullish();

// Every key that would change pixels is here; those that only other programs read (`processor_class`, ...) pass.
const schema = z.object({
  image_processor_type: z.enum(['Qwen2VLImageProcessor', 'Qwen2VLImageProcessorFast']).optional(),
  min_pixels: pixelCount.nullish(),
  max_pixels: pixelCount.nullish(),
  size: z.object({ shortest_edge: pixelCount.nullish(), longest_edge: pixelCount.nullish() }).nullish(),
  patch_size: patchSide.default(14),
  temporal_patch_size: repeats.default(2),
  merge_size: repeats.default(2),
  image_mean: threeMeans.default([0.48145466, 0.4578275, 0.40821073]),
  image_std: threeDeviations.default([0.26862954, 0.26130258, 0.27577711]),
  rescale_factor: deviation.default(1 / 255),
  // Pillow's BICUBIC.
  resample: z.literal(3).default(3),
  do_resize: on,
  do_rescale: on,
  do_normalize: on,
  // Images arrive here as RGB, so either value is fulfilled.
  do_convert_rgb: z.boolean().nullish(),
  do_center_crop: off,
  do_pad: off,
});

/**
 * The normal form of a `preprocessor_config.json`; absent keys take the defaults of transformers.
 * The range of pixels may stand as `min_pixels` and `max_pixels` or, in newer files, as `size.shortest_edge` and
 * `size.longest_edge`; the former win. `Qwen2VLImageProcessorFast` is read too, though that one resizes with torch and
 * so differs from ours by a level here and there. The published scripts put 12,544 and 802,816 (28 x 28 x 16 and
 * x 1024) in the place of the file's range.
 * @throws ConfigError naming the key at fault, also where the file asks for a processing that this one does not do.
 */
export function parseImageProcessorConfig(value: unknown, file: string): ImageProcessorConfig {
  const config = parseConfig(schema, value, file);
  const { size } = config;
  const minPixels = config.min_pixels ?? (size ? size.shortest_edge : 56 * 56);
  const maxPixels = config.max_pixels ?? (size ? size.longest_edge : 28 * 28 * 1280);
  const none = (path: string) => ({ path, expected: 'a number of pixels', got: 'nothing' });
  requireConfig(typeof minPixels === 'number', file, none('size.shortest_edge'));
  requireConfig(typeof maxPixels === 'number', file, none('size.longest_edge'));
  requireConfig(minPixels <= maxPixels, file, {
    path: config.min_pixels == null ? 'size.shortest_edge' : 'min_pixels',
    expected: `at most the upper limit of ${maxPixels} pixels`,
    got: `${minPixels}`,
  });
  return {
    minPixels,
    maxPixels,
    patchSize: config.patch_size,
    temporalPatchSize: config.temporal_patch_size,
    mergeSize: config.merge_size,
    imageMean: config.image_mean,
    imageStd: config.image_std,
    rescaleFactor: config.rescale_factor,
  };
}
