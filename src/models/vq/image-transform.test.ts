import { expect, it } from 'vitest';
import { readReference, referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { readImage } from '../../image/decode.ts';
import { vqPixelValues } from './image-transform.ts';

it.each(referenceVariants)('equals the published transform in every bit: %s', async (variant) => {
  const expected = readReference(variant, 'edit').vq_pixel_values!;
  const image = await readImage(referencePath(variant, 'expected/image.png'));
  const values = vqPixelValues(image, expected.shape[3]!);
  expect(values.shape).toEqual(expected.shape);
  expect(values.data).toEqual(expected.data);
});

it('refuses a size that is none', () => {
  const image = { width: 2, height: 2, data: new Uint8Array(12) };
  expect(() => vqPixelValues(image, 0)).toThrowError(/expected whole sizes/);
});
