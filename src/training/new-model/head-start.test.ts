import { expect, it } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { StarModel } from '../../tasks/star-model.ts';
import { headFromCodebook } from './head-start.ts';

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, at) => sum + value * b[at]!, 0);
const distance = (a: Float32Array, b: Float32Array) => Math.hypot(...a.map((value, at) => value - b[at]!));

it('starts the head as a projection of the codebook, as large as other weights', async () => {
  await using model = await StarModel.open(referencePath('tiny-b', '.'), { device: 'cpu', threads: 1 });
  const { codes, hiddenSize } = model.folder.star.outputHead;
  const { codebookDim } = model.folder.star.pixelEncoder;
  const head = await headFromCodebook(model, [codes, hiddenSize], 3);
  const embedding = await model.weights.read('pixel_encoder.quantize.embedding.weight');
  const row = (of: Float32Array, width: number, at: number) => of.subarray(at * width, (at + 1) * width);
  expect(Math.sqrt(dot(head, head) / head.length)).toBeCloseTo(0.02, 2);
  expect(await headFromCodebook(model, [codes, hiddenSize], 3)).toEqual(head);
  expect(await headFromCodebook(model, [codes, hiddenSize], 4)).not.toEqual(head);
  // A random projection keeps distances in proportion, more or less.
  const pairs = Array.from({ length: 200 }, (_, at) => [at % codes, (at * 7 + 1) % codes] as const).filter(
    ([a, b]) => a !== b,
  );
  const ratios = pairs.map(
    ([a, b]) =>
      distance(row(head, hiddenSize, a), row(head, hiddenSize, b)) /
      distance(row(embedding, codebookDim, a), row(embedding, codebookDim, b)),
  );
  const mean = ratios.reduce((sum, value) => sum + value, 0) / ratios.length;
  for (const ratio of ratios) expect(Math.abs(ratio / mean - 1)).toBeLessThan(0.8);
});
