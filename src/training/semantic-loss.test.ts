import { expect, it } from 'vitest';
import { referencePath } from '../../test/reference-vectors.ts';
import { readImage } from '../image/decode.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import { processImage } from '../models/qwen25vl/image-processor.ts';
import { encodeSemantic } from '../tasks/pictures.ts';
import { StarModel } from '../tasks/star-model.ts';
import type { TensorValue } from '../tensor/index.ts';
import { semanticStage } from './semantic-loss.ts';
import { compileLoss } from './stage.ts';
import { PatchBatch, semanticTokens } from './vision-batch.ts';

const heads = { word: [5, 9, 17, 33], colour: [40, 41], style: [7, 50, 51] };
type Head = keyof typeof heads;
/** Which tokens of a picture are asked. */
const asked: Record<Head, (at: number) => boolean> = {
  word: (at) => at % 3 !== 0,
  colour: (at) => at % 2 === 0,
  style: (at) => at % 5 === 0,
};
const names = Object.keys(heads) as Head[];

it('asks each token of each picture through the base’s norm and embeddings', async () => {
  await using model = await StarModel.open(referencePath('tiny-a', '.'), { device: 'cpu', threads: 1 });
  const { qwen } = model.folder;
  const first = await readImage(referencePath('tiny-a', 'expected/image.png'));
  const second: RgbImage = { ...first, data: first.data.map((level) => 255 - level) };
  const { gridThw: grid } = processImage(first, model.imageProcessor);
  const perPicture = semanticTokens(grid, qwen.vision);

  const loss = async (images: readonly RgbImage[]) => {
    const shapes = { pictures: images.length, grid, heads };
    const count = images.length * perPicture;
    const vector = (value: (at: number) => number): TensorValue => ({
      dtype: 'float32',
      shape: [count],
      data: Float32Array.from({ length: count }, (_, at) => value(at % perPicture)),
    });
    const targets = (classes: number): TensorValue => ({
      dtype: 'int64',
      shape: [count],
      data: BigInt64Array.from({ length: count }, (_, at) => BigInt((at % perPicture) % classes)),
    });
    const program = compileLoss(semanticStage(qwen, shapes), model.weights.declare, { gradients: [] });
    await using session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
    const results = await session.run({
      patches: new PatchBatch(shapes, model.imageProcessor, qwen.vision).fill(images),
      ...Object.fromEntries(
        names.flatMap((head) => [
          [`${head}_targets`, targets(heads[head].length)],
          [`${head}_weights`, vector((at) => (asked[head](at) ? 1 : 0))],
        ]),
      ),
    });
    return (results.loss!.data as Float32Array)[0]!;
  };

  // The same in plain numbers, from the encoder that the tasks run.
  const embedding = await model.weights.read('llm.model.embed_tokens.weight');
  const norm = await model.weights.read('llm.model.norm.weight');
  const { hiddenSize, rmsNormEps } = qwen.text;
  const surpriseOf = (states: Float32Array, ids: readonly number[], target: number) => {
    const scale = 1 / Math.sqrt(states.reduce((sum, value) => sum + value ** 2, 0) / hiddenSize + rmsNormEps);
    const logits = ids.map((id) =>
      states.reduce((sum, value, at) => sum + value * scale * norm[at]! * embedding[id * hiddenSize + at]!, 0),
    );
    return Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[target]!;
  };
  const expected = async (image: RgbImage) => {
    const { embeddings } = await encodeSemantic(model, image, Number.POSITIVE_INFINITY);
    return names.reduce((total, head) => {
      const places = Array.from({ length: perPicture }, (_, at) => at).filter(asked[head]);
      const surprises = places.map((at) => {
        const states = (embeddings.data as Float32Array).subarray(at * hiddenSize, (at + 1) * hiddenSize);
        return surpriseOf(states, heads[head], at % heads[head].length);
      });
      return total + surprises.reduce((a, b) => a + b, 0) / surprises.length;
    }, 0);
  };

  const alone = [await expected(first), await expected(second)] as const;
  expect(await loss([first])).toBeCloseTo(alone[0], 4);
  expect(await loss([first, second])).toBeCloseTo((alone[0] + alone[1]) / 2, 4);
  expect(Math.abs(alone[0] - alone[1])).toBeGreaterThan(1e-3);
});
