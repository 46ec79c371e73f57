import { expect, it } from 'vitest';
import { referencePath } from '../../test/reference-vectors.ts';
import { StarModel } from '../tasks/star-model.ts';
import { int64 } from '../tasks/token-loop.ts';
import type { TensorValue } from '../tensor/index.ts';
import { generationBatch, generationStage } from './generation-loss.ts';
import { type PictureLossSettings, trainedPictureParts } from './picture-loss.ts';
import { compileLoss } from './stage.ts';

const shapes = { batch: 1, promptTokens: 4 };
const prompt = [5, 6, 7, 8];

async function losses(model: StarModel, settings: PictureLossSettings, codes: readonly number[]) {
  const { qwen, star } = model.folder;
  const stage = generationStage(star, qwen, shapes, settings);
  const { declare, folder: weightsFolder } = model.weights;
  await using session = await model.runtime.load(compileLoss(stage, declare, { gradients: [] }), { weightsFolder });
  const feeds: Record<string, TensorValue> = generationBatch([{ prompt, codes }], star, qwen, shapes);
  if (settings.wordWeight) feeds.words = int64([1, codes.length], new Array<number>(codes.length).fill(3));
  const results = await session.run(feeds);
  const first = (name: string) => ((results[name] as TensorValue).data as Float32Array)[0]!;
  return { loss: first('loss'), nll: first('per_sample_nll') / codes.length };
}

it('spreads targets over like codes and asks for words, and reports the codes alone', async () => {
  await using model = await StarModel.open(referencePath('tiny-b', '.'), { device: 'cpu', threads: 1 });
  const { numTokens, codebookSize, codebookDim } = model.folder.star.pixelEncoder;
  const codes = new Array<number>(numTokens).fill(2);
  const plain = await losses(model, {}, codes);
  expect(plain.loss).toBeCloseTo(plain.nll, 5);

  const worded = await losses(model, { wordWeight: 1 }, codes);
  const doubled = await losses(model, { wordWeight: 2 }, codes);
  expect(worded.nll).toBeCloseTo(plain.nll, 5);
  expect(worded.loss - plain.loss).toBeGreaterThan(1);
  expect(doubled.loss - plain.loss).toBeCloseTo(2 * (worded.loss - plain.loss), 3);

  // All places have one code: the spread loss is the sum over codes of their shares times their own losses.
  const distance = 0.5;
  const smoothed = await losses(model, { smoothing: { weight: 0.5, distance } }, codes);
  const whole = await losses(model, { smoothing: { weight: 1, distance } }, codes);
  expect(smoothed.nll).toBeCloseTo(plain.nll, 5);
  expect(smoothed.loss).toBeCloseTo((plain.loss + whole.loss) / 2, 4);
  const narrow = await losses(model, { smoothing: { weight: 1, distance: 1e-4 } }, codes);
  expect(narrow.loss).toBeCloseTo(plain.loss, 3);
  const embedding = await model.weights.read('pixel_encoder.quantize.embedding.weight');
  const row = (code: number) => embedding.subarray(code * codebookDim, (code + 1) * codebookDim);
  const unit = (values: Float32Array) => values.map((value) => value / Math.hypot(...values));
  const own = model.folder.star.pixelEncoder.l2Norm ? unit(row(2)) : row(2);
  const weights = Array.from({ length: codebookSize }, (_, code) => {
    const other = model.folder.star.pixelEncoder.l2Norm ? unit(row(code)) : row(code);
    return Math.exp(-other.reduce((sum, value, at) => sum + (value - own[at]!) ** 2, 0) / distance);
  });
  // The head's bias is what tells codes apart here as well: a loss of the shares' entropy at least.
  const total = weights.reduce((a, b) => a + b, 0);
  const entropy = weights.reduce((sum, value) => sum - (value / total) * Math.log(Math.max(value / total, 1e-30)), 0);
  expect(whole.loss).toBeGreaterThan(entropy);
});

it('trains the base where it is asked to, and never the semantic encoder or the tokenizer', async () => {
  await using model = await StarModel.open(referencePath('tiny-b', '.'), { device: 'cpu', threads: 1 });
  const { star, qwen } = model.folder;
  const frozen = [...trainedPictureParts(star, qwen, 'generate').keys()];
  const unfrozen = [...trainedPictureParts(star, qwen, 'generate', 'base too').keys()];
  expect(frozen.some((name) => name.startsWith('llm.'))).toBe(false);
  expect(unfrozen).toEqual(
    expect.arrayContaining([...frozen, 'llm.model.embed_tokens.weight', 'llm.model.norm.weight']),
  );
  expect(unfrozen.some((name) => /^llm\.visual|^pixel_encoder/.test(name))).toBe(false);
});
