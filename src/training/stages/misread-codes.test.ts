import { describe, expect, test } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { StarModel } from '../../tasks/star-model.ts';
import { uniform } from '../../tensor/random.ts';
import { MisreadCodes } from './misread-codes.ts';

describe('misread codes', () => {
  test('are those that look alike, the more others the larger the distance', async () => {
    await using model = await StarModel.open(referencePath('tiny-b', '.'), { device: 'cpu', threads: 1 });
    const { numTokens, codebookSize, codebookDim, l2Norm } = model.folder.star.pixelEncoder;
    const table = Float32Array.from(await model.weights.read('pixel_encoder.quantize.embedding.weight'));
    const embedding = (code: number) => {
      const row = table.subarray(code * codebookDim, (code + 1) * codebookDim);
      return l2Norm ? row.map((value) => value / Math.hypot(...row)) : row;
    };
    const apart = (a: number, b: number) => {
      const [one, other] = [embedding(a), embedding(b)];
      return one.reduce((sum, value, at) => sum + (value - other[at]!) ** 2, 0);
    };
    const pictures = Array.from({ length: 4 }, (_, row) =>
      Array.from({ length: numTokens }, (_, place) => (row * 977 + place * 31) % codebookSize),
    );
    const misread = new MisreadCodes(model);
    const at = async (distance: number) =>
      misread.of(
        pictures,
        pictures.map((_, row) => ({ distance, chance: (place) => uniform(5, row, place) })),
      );
    expect(await at(1e-9)).toEqual(pictures);

    // Each place against the sum of shares computed here.
    const nearest = Math.min(...Array.from({ length: codebookSize - 1 }, (_, other) => apart(0, other + 1)));
    const distance = 2 * nearest;
    const some = await at(distance);
    for (const [row, codes] of pictures.entries()) {
      for (const [place, code] of codes.entries()) {
        const shares = Array.from({ length: codebookSize }, (_, other) => Math.exp(-apart(code, other) / distance));
        const whole = shares.reduce((sum, share) => sum + share, 0);
        const drawn = some[row]![place]!;
        const below = shares.slice(0, drawn).reduce((sum, share) => sum + share, 0) / whole;
        const chance = uniform(5, row, place);
        expect(chance).toBeGreaterThan(below - 1e-4);
        expect(chance).toBeLessThan(below + shares[drawn]! / whole + 1e-4);
      }
    }

    // So far that all look alike.
    const any = await at(1e9);
    for (const [row, codes] of any.entries()) {
      for (const [place, code] of codes.entries()) {
        expect(Math.abs(code - uniform(5, row, place) * codebookSize)).toBeLessThanOrEqual(1);
      }
    }
    expect(await misread.of([], [])).toEqual([]);
  }, 60_000);
});
