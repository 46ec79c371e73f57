import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { float32, furthest, maskOf, openTransformer, row, zeros } from '../../test/lumina2/transformer.ts';
import { readReference, referenceVariants } from '../../test/reference-vectors.ts';
import { overlayPrefixes } from '../models/lumina2/weights.ts';
import type { Declare } from '../nn/parameters.ts';
import { Runtime } from '../runtime/index.ts';
import { normal, type TensorValue } from '../tensor/index.ts';
import { type AlignmentShapes, alignmentStage, compileAlignmentLoss } from './alignment-loss.ts';
import type { LossOptions } from './stage.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await Runtime.create({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.dispose());

const published = (name: string) => `${overlayPrefixes.transformer}.${name}`;

/** The largest difference over the largest of what is expected. */
function relativeError(actual: Float32Array, expected: Float32Array | Int32Array): number {
  return furthest(actual, expected) / Array.from(expected, Math.abs).reduce((a, b) => Math.max(a, b), 0);
}

async function open(variant: (typeof referenceVariants)[number]) {
  const { config, pixelEncoder, weights } = await openTransformer(variant);
  const expected = readReference(variant, 'train_diffusion');
  const text = readReference(variant, 'diffusion_text_encoder');
  const captionTokens = text.prompt_embeds!.shape[1]!;
  const captionLength = Array.from(text.prompt_attention_mask!.data).reduce((sum, value) => sum + value, 0);
  const feeds = {
    latents: float32(expected.clean_latents!),
    noise: float32(expected.noise!),
    sigma: float32(expected.sigma!),
    code_embeddings: float32(expected.gen_image_embeds!),
    source_latents: zeros(expected.clean_latents!.shape),
    caption: float32(text.prompt_embeds!),
    caption_mask: maskOf([captionLength], captionTokens),
  };
  const models = { transformer: config, pixelEncoder };
  const sizes = { latentSize: expected.clean_latents!.shape[3]!, captionTokens };
  const declare: Declare = (name, shape) => weights.declare(name.slice(published('').length), shape);
  const load = async (shapes: Omit<AlignmentShapes, keyof typeof sizes>, options?: LossOptions) => {
    const program = compileAlignmentLoss(declare, models, { ...sizes, ...shapes }, options);
    const session = await runtime.load(program, { weightsFolder: weights.folder });
    return async (step: Readonly<Record<string, TensorValue>>) => {
      const outputs = await session.run(step);
      return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
    };
  };
  return { expected, feeds, captionLength, weights, load, stage: alignmentStage(models, { ...sizes, batch: 1 }) };
}

describe('the alignment stage', () => {
  it.each(referenceVariants)('computes the loss, the prediction and the gradients of %s', async (variant) => {
    const { expected, feeds, load } = await open(variant);
    const gradients = Object.keys(expected).flatMap((name) => (name.startsWith('grad.') ? [name.slice(5)] : []));
    expect(gradients.length).toBe(8);
    const run = await load({ batch: 1, reportPrediction: true }, { gradients: gradients.map(published) });
    const actual = await run(feeds);
    expect(furthest(actual.prediction!, expected.prediction!.data)).toBeLessThan(1e-5);
    expect(relativeError(actual.loss!, expected.loss!.data)).toBeLessThan(1e-6);
    expect(actual.per_sample_mse).toEqual(actual.loss);
    for (const name of gradients) {
      const error = relativeError(actual[`grad.${published(name)}`]!, expected[`grad.${name}`]!.data);
      expect(error, name).toBeLessThan(1e-5);
    }
  });

  it('trains all of the transformer, and gives pictures of a batch what each gives alone', async () => {
    const { feeds, captionLength, weights, load, stage } = await open('tiny-b');
    const trained = [...stage.trained.keys()];
    expect(trained).toEqual([...weights.entries.keys()].map(published));
    const random = ({ shape }: TensorValue, seed: number): TensorValue => {
      const data = zeros([2, ...shape.slice(1)]);
      return { ...data, data: (data.data as Float32Array).map((_, at) => normal(seed, 0, at)) };
    };
    const both: Record<string, TensorValue> = {
      latents: random(feeds.latents, 1),
      noise: random(feeds.noise, 2),
      sigma: float32({ shape: [2], data: Float32Array.of(0.25, 0.9) }),
      code_embeddings: random(feeds.code_embeddings, 3),
      source_latents: random(feeds.source_latents, 4),
      caption: random(feeds.caption, 5),
      caption_mask: maskOf([captionLength, 0], feeds.caption.shape[1]!),
    };
    const together = await (await load({ batch: 2 }))(both);
    const runAlone = await load({ batch: 1 });
    const rowOf = (index: number) =>
      Object.fromEntries(Object.entries(both).map(([name, value]) => [name, row(value, index)]));
    const alone = [await runAlone(rowOf(0)), await runAlone(rowOf(1))];
    expect(together.per_sample_mse![0]).not.toBeCloseTo(together.per_sample_mse![1]!, 2);
    for (const name of ['loss', ...trained.map((name) => `grad.${name}`)]) {
      const mean = alone[0]![name]!.map((value, at) => (value + alone[1]![name]![at]!) / 2);
      // NaN, and so a failure, where a gradient is 0 throughout.
      expect(relativeError(together[name]!, mean), name).toBeLessThan(5e-5);
    }
    // In decibels each sample pulls by what its error is relative to.
    const errors = Array.from(together.per_sample_mse!, (error) => error + 3e-4);
    const decibels = await (await load({ batch: 2, loss: 'psnr' }))(both);
    expect(decibels.per_sample_mse).toEqual(together.per_sample_mse);
    expect(decibels.loss![0]).toBeCloseTo(5 * errors.reduce((sum, error) => sum + Math.log10(error), 0), 4);
    for (const name of trained.map((each) => `grad.${each}`)) {
      const pulls = alone[0]![name]!.map(
        (value, at) => (5 / Math.LN10) * (value / errors[0]! + alone[1]![name]![at]! / errors[1]!),
      );
      expect(relativeError(decibels[name]!, pulls), name).toBeLessThan(5e-5);
    }
  });
});
