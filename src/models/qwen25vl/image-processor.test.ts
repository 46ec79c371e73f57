import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readReference, referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { readImage } from '../../image/decode.ts';
import { resizeImage } from '../../image/resize.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { enlargeToMinimum, processImage, smartResize } from './image-processor.ts';
import { parseImageProcessorConfig } from './image-processor-config.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../../test/images/smart-resize.json', import.meta.url), 'utf8'),
) as readonly [number, number, number, number, number, number, number, number][];

const file = 'checkpoints/Qwen2.5-VL-tiny-Instruct/preprocessor_config.json';
const published = JSON.parse(readFileSync(referencePath('tiny-a', file), 'utf8')) as Record<string, unknown>;

function imageOf(width: number, height: number): RgbImage {
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 97) & 255) };
}

describe.each(referenceVariants)('processImage on %s', (variant) => {
  const config = parseImageProcessorConfig(JSON.parse(readFileSync(referencePath(variant, file), 'utf8')), file);
  const expected = readReference(variant, 'vision');

  it.each([
    ['image.png', 'pixel_values', 'grid_thw'],
    ['image_odd_size.png', 'odd_pixel_values', 'odd_grid_thw'],
  ])('%s equals the reference in every bit', async (name, pixels, grid) => {
    const image = await readImage(referencePath(variant, `expected/${name}`));
    const { pixelValues, gridThw } = processImage(image, config);
    expect(gridThw).toEqual([...expected[grid]!.data]);
    expect(pixelValues.shape).toEqual(expected[pixels]!.shape);
    expect(pixelValues.data).toEqual(expected[pixels]!.data);
  });
});

describe('sizes', () => {
  it('are those of transformers and of the published script', () => {
    for (const [width, height, least, most, toWidth, toHeight, minimumWidth, minimumHeight] of golden) {
      const place = `${width} x ${height} in ${least} to ${most}`;
      expect(smartResize({ width, height }, 28, least, most), place).toEqual({ width: toWidth, height: toHeight });
      if (width < 28 || height < 28) {
        const enlarged = enlargeToMinimum(imageOf(width, height));
        expect([enlarged.width, enlarged.height], place).toEqual([minimumWidth, minimumHeight]);
      }
    }
  });

  it('are refused when they lie more than 200 times apart', () => {
    const refusal = expect.objectContaining({ code: 'image_ratio_too_large' });
    expect(() => smartResize({ width: 201, height: 1 }, 28, 3136, 50176)).toThrowError(refusal);
    expect(() => enlargeToMinimum(imageOf(3, 1000))).toThrowError(refusal);
    expect(smartResize({ width: 200, height: 1 }, 28, 3136, 50176)).toEqual({ width: 812, height: 28 });
  });
});

describe('enlargeToMinimum', () => {
  it('uses Lanczos, and returns a large enough image as it is', () => {
    const small = imageOf(20, 23);
    expect(enlargeToMinimum(small)).toEqual(resizeImage(small, 28, 32, 'lanczos'));
    const large = imageOf(28, 28);
    expect(enlargeToMinimum(large)).toBe(large);
  });
});

describe('parseImageProcessorConfig', () => {
  const parse = (changes: Record<string, unknown>) => parseImageProcessorConfig({ ...published, ...changes }, file);

  it('reads the published form', () => {
    expect(parse({})).toEqual({
      minPixels: 3136,
      maxPixels: 50176,
      patchSize: 14,
      temporalPatchSize: 2,
      mergeSize: 2,
      imageMean: [0.48145466, 0.4578275, 0.40821073],
      imageStd: [0.26862954, 0.26130258, 0.27577711],
      rescaleFactor: 1 / 255,
    });
  });

  it('reads the newer form, in which the range is a size', () => {
    const { min_pixels, max_pixels, ...rest } = published;
    const newer = { ...rest, size: { shortest_edge: 12544, longest_edge: 802816 }, do_resize: true, resample: 3 };
    expect(parseImageProcessorConfig(newer, file)).toMatchObject({ minPixels: 12544, maxPixels: 802816 });
    expect(parse({ size: newer.size })).toMatchObject({ minPixels: 3136, maxPixels: 50176 });
    expect(parseImageProcessorConfig(rest, file)).toMatchObject({ minPixels: 3136, maxPixels: 1003520 });
  });

  it.each([
    [{ do_resize: false }, 'do_resize'],
    [{ do_normalize: false }, 'do_normalize'],
    [{ do_center_crop: true }, 'do_center_crop'],
    [{ resample: 2 }, 'resample'],
    [{ image_std: [0.2, 0, 0.2] }, 'image_std'],
    [{ image_mean: [0.5] }, 'image_mean'],
    [{ patch_size: 0 }, 'patch_size'],
    [{ min_pixels: 60000 }, 'min_pixels'],
    [{ max_pixels: null, size: { height: 224, width: 224 } }, 'size.longest_edge'],
    [{ image_processor_type: 'CLIPImageProcessor' }, 'image_processor_type'],
  ])('refuses %j', (changes, key) => {
    const refusal = expect.objectContaining({ code: 'config_invalid', path: expect.stringContaining(key) });
    expect(() => parse(changes)).toThrowError(refusal);
  });
});
