import { expect, it } from 'vitest';
import { referencePath } from '../../test/reference-vectors.ts';
import { imageToFloat, type RgbImage } from '../image/rgb-image.ts';
import { encodeSemantic } from '../tasks/pictures.ts';
import { StarModel } from '../tasks/star-model.ts';
import { compile, input } from '../tensor/index.ts';
import { uniform } from '../tensor/random.ts';
import { patchesOf, perceptualLoss } from './perceptual-loss.ts';
import { PatchBatch } from './vision-batch.ts';

const side = 112;
const picture = (seed: number): RgbImage => ({
  width: side,
  height: side,
  data: Uint8Array.from({ length: 3 * side * side }, (_, at) => Math.floor(256 * uniform(seed, 1, at))),
});
const pictures = [picture(1), picture(2)];
const shape = [2, 3, side, side] as const;
const values = (images: readonly RgbImage[]) => ({
  dtype: 'float32' as const,
  shape,
  data: Float32Array.from(images.flatMap((image) => [...imageToFloat(image)])),
});
const openModel = () => StarModel.open(referencePath('tiny-a', '.'), { device: 'cpu', threads: 1 });

it('cuts pictures into the patches that the image processor makes', async () => {
  await using model = await openModel();
  const { qwen } = model.folder;
  const image = input('image', 'float32', shape);
  const { patches, ...shapes } = patchesOf(image, { qwen, processor: model.imageProcessor });
  const program = compile({ name: 'patches', inputs: [image], outputs: { patches } });
  await using session = await model.runtime.load(program);
  const made = (await session.run({ image: values(pictures) })).patches!.data as Float32Array;
  const expected = new PatchBatch(shapes, model.imageProcessor, qwen.vision).fill(pictures).data as Float32Array;
  expect(made.length).toBe(expected.length);
  const furthest = made.reduce((most, value, at) => Math.max(most, Math.abs(value - expected[at]!)), 0);
  expect(furthest).toBeLessThan(2e-6);
});

it('is the squared difference of what the encoder says, each place scaled alike', async () => {
  await using model = await openModel();
  const { qwen } = model.folder;
  const [made, real] = [input('made', 'float32', shape), input('real', 'float32', shape)];
  const loss = perceptualLoss(made, real, model.weights.declare, { qwen, processor: model.imageProcessor });
  const program = compile({ name: 'perceptual', inputs: [made, real], outputs: { loss } });
  await using session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
  const run = async (a: readonly RgbImage[], b: readonly RgbImage[]) =>
    ((await session.run({ made: values(a), real: values(b) })).loss!.data as Float32Array)[0]!;

  expect(await run(pictures, pictures)).toBe(0);
  const { hiddenSize, rmsNormEps } = qwen.text;
  const said = async (image: RgbImage) => {
    const { embeddings } = await encodeSemantic(model, image, Number.POSITIVE_INFINITY);
    const states = embeddings.data as Float32Array;
    return states.map((value, at) => {
      const own = states.subarray(at - (at % hiddenSize), at - (at % hiddenSize) + hiddenSize);
      return value / Math.sqrt(own.reduce((sum, each) => sum + each ** 2, 0) / hiddenSize + rmsNormEps);
    });
  };
  const [first, second] = [await said(pictures[0]!), await said(pictures[1]!)];
  const expected = first.reduce((sum, value, at) => sum + (value - second[at]!) ** 2, 0) / first.length;
  expect(await run(pictures, [...pictures].reverse())).toBeCloseTo(expected, 4);
});

it('refuses a size that the image processor changes', async () => {
  await using model = await openModel();
  const { qwen } = model.folder;
  const odd = input('odd', 'float32', [1, 3, 64, 64]);
  expect(() => patchesOf(odd, { qwen, processor: model.imageProcessor })).toThrow(/expected a size/);
});
