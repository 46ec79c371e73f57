import { expect, it } from 'vitest';
import { referencePath } from '../../test/reference-vectors.ts';
import { buildGenerationPrompt } from '../models/star/prompt.ts';
import { StarModel } from '../tasks/star-model.ts';
import { int64 } from '../tasks/token-loop.ts';
import type { TensorValue } from '../tensor/index.ts';
import { adapterStage } from './adapter-loss.ts';
import { generationBatch } from './generation-loss.ts';
import { compileLoss } from './stage.ts';

const promptTokens = 24;

async function losses(model: StarModel, words: readonly number[], codes: readonly number[], embeddingWeight: number) {
  const { qwen, star } = model.folder;
  const { declare, folder: weightsFolder } = model.weights;
  const shapes = { batch: 1, promptTokens, embeddingWeight };
  const stage = adapterStage(star, qwen, shapes);
  expect([...stage.trained.keys()].every((name) => name.startsWith('pixel_adapter.'))).toBe(true);
  await using session = await model.runtime.load(compileLoss(stage, declare, { gradients: [] }), { weightsFolder });
  const { conditional } = buildGenerationPrompt(model.chat, 'a cat');
  const feeds = generationBatch([{ prompt: conditional.slice(-promptTokens), codes }], star, qwen, shapes);
  const result = await session.run({ ...feeds, words: int64([1, words.length], words) });
  return ((result.loss as TensorValue).data as Float32Array)[0]!;
}

it('asks the base for the words of the places, and the adapter for their embeddings', async () => {
  await using model = await StarModel.open(referencePath('tiny-b', '.'), { device: 'cpu', threads: 1 });
  const places = model.folder.star.pixelEncoder.numTokens;
  const codes = Array.from({ length: places }, (_, at) => at % 7);
  const [words, others] = [3, 4].map((word) => new Array<number>(places).fill(word));
  const [plain, weighted, doubled] = [
    await losses(model, words!, codes, 0),
    await losses(model, words!, codes, 1),
    await losses(model, words!, codes, 2),
  ];
  // A base of random weights says every word about as often as any other.
  expect(plain).toBeGreaterThan(0.5 * Math.log(model.folder.qwen.text.vocabSize));
  expect(weighted).toBeGreaterThan(plain);
  expect(doubled - plain).toBeCloseTo(2 * (weighted - plain), 3);
  expect(await losses(model, others!, codes, 0)).not.toBeCloseTo(plain, 3);
});
