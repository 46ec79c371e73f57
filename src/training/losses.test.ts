import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import {
  type ReferenceTensor,
  readReference,
  readReferenceMeta,
  referencePath,
  referenceVariants,
} from '../../test/reference-vectors.ts';
import { loadChatFormat, loadTokenizer } from '../models/qwen25vl/folder.ts';
import { type ModelFolder, openModelFolder } from '../models/star/folder.ts';
import { buildGenerationPrompt } from '../models/star/prompt.ts';
import { openStarWeights } from '../models/star/weights.ts';
import type { CompiledProgram, TensorValue } from '../tensor/index.ts';
import { compileGenerationLoss, generationBatch } from './generation-loss.ts';
import { compileTokenizerLoss } from './tokenizer-loss.ts';

async function run(program: CompiledProgram, folder: string, feeds: Readonly<Record<string, TensorValue>>) {
  const session = await InferenceSession.create(program.model, {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: { session: { model_external_initializers_file_folder_path: folder } },
  });
  const tensors = Object.entries(feeds).map(([name, { dtype, shape, data }]) => {
    return [name, new OrtTensor(dtype as 'float32', data as Float32Array, shape)] as const;
  });
  const results = await session.run(Object.fromEntries(tensors));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, { data, dims }]) => [name, { shape: [...dims], data: data as Float32Array }]),
  );
}

/** Largest difference relative to the expected tensor's largest entry. */
function relativeError(actual: ReferenceTensor | undefined, expected: ReferenceTensor): number {
  expect(actual?.shape).toEqual(expected.shape);
  const largest = Array.from(expected.data, Math.abs).reduce((a, b) => Math.max(a, b), 0);
  const apart = Array.from(expected.data, (value, index) => Math.abs(value - actual!.data[index]!));
  // A NaN would pass unseen through a maximum of the others.
  return apart.every(Number.isFinite) ? apart.reduce((a, b) => Math.max(a, b), 0) / largest : Number.NaN;
}

async function generationCase(variant: (typeof referenceVariants)[number]) {
  const folder = await openModelFolder(referencePath(variant, '.'));
  const format = await loadChatFormat(folder.languageModelFolder, await loadTokenizer(folder.languageModelFolder));
  const { train_generation } = readReferenceMeta(variant) as { train_generation: { prompts: string[] } };
  const expected = readReference(variant, 'train_generation');
  const { numTokens } = folder.star.pixelEncoder;
  const samples = train_generation.prompts.map((text, row) => ({
    prompt: buildGenerationPrompt(format, text).conditional,
    codes: expected.targets!.data.slice(row * numTokens, (row + 1) * numTokens) as Int32Array,
  }));
  return { folder, expected, samples };
}

const gradientsOf = (tensors: Readonly<Record<string, unknown>>) =>
  Object.keys(tensors).filter((name) => name.startsWith('grad.'));

async function tokenizerCase(folder: ModelFolder) {
  const weights = await openStarWeights(folder);
  const gradients: Record<string, string> = {
    grad_encoder_conv_in: 'pixel_encoder.encoder.conv_in.weight',
    grad_encoder_mid_attn_q: 'pixel_encoder.encoder.mid.1.q.weight',
    grad_codebook: 'pixel_encoder.quantize.embedding.weight',
    grad_decoder_conv_out: 'pixel_encoder.decoder.conv_out.weight',
    grad_decoder_block0_norm1: 'pixel_encoder.decoder.conv_blocks.0.res.0.norm1.weight',
  };
  return { weights, gradients };
}

describe.each(referenceVariants)('%s', (variant) => {
  it('computes the loss and every gradient of the generation stage', async () => {
    const { folder, expected, samples } = await generationCase(variant);
    const weights = await openStarWeights(folder);
    const longest = Math.max(...samples.map(({ prompt }) => prompt.length));
    // Longer than the prompts, so that every row is padded.
    const shapes = { batch: samples.length, promptTokens: longest + 3 };
    const program = compileGenerationLoss(weights.declare, folder.star, folder.qwen, shapes);
    const actual = await run(program, weights.folder, generationBatch(samples, folder.star, folder.qwen, shapes));
    expect(gradientsOf(actual).sort()).toEqual(gradientsOf(expected).sort());
    for (const name of ['loss', 'per_sample_nll', ...gradientsOf(expected)]) {
      expect(relativeError(actual[name], expected[name]!), name).toBeLessThan(2e-5);
    }
  });

  it.each([true, false])(
    'computes the losses and gradients of the tokenizer, features given: %s',
    async (givenFeatures) => {
      const folder = await openModelFolder(referencePath(variant, '.'));
      const { weights, gradients } = await tokenizerCase(folder);
      const expected = readReference(variant, 'vq');
      const { image, pre_quant } = expected;
      const program = compileTokenizerLoss(
        weights.declare,
        folder.star.pixelEncoder,
        { batch: image!.shape[0]!, imageSize: image!.shape[2]!, givenFeatures },
        {
          gradients: Object.values(gradients),
          commitmentWeight: 0.25,
          entropyWeight: 0.1,
          entropyTemperature: 0.01,
        },
      );
      const feeds: Record<string, TensorValue> = { picture: { dtype: 'float32', ...image! } };
      if (givenFeatures) feeds.pre_quant = { dtype: 'float32', ...pre_quant! };
      const actual = await run(program, weights.folder, feeds);
      expect(Array.from(actual.codes!.data, Number)).toEqual(Array.from(expected.indices!.data));
      const errors: Record<string, number> = {};
      for (const name of ['recon_mse', 'vq_loss', 'commit_loss', 'entropy_loss']) {
        errors[name] = relativeError(actual[name], expected[name]!);
      }
      for (const [name, parameter] of Object.entries(gradients)) {
        errors[name] = relativeError(actual[`grad.${parameter}`], expected[name]!);
      }
      // The entropy's temperature of 0.01 multiplies rounding by 100 before a softmax: from features of its own the published
      // code in float64 is 1.6e-4 away from these vectors, from their features 3e-5.
      const amplified = givenFeatures ? 5e-5 : 5e-4;
      const limits: Record<string, number> = {
        grad_codebook: amplified,
        grad_encoder_conv_in: amplified,
        grad_encoder_mid_attn_q: amplified,
      };
      for (const [name, error] of Object.entries(errors)) expect(error, name).toBeLessThan(limits[name] ?? 1e-5);
    },
  );

  it('gives samples of a batch what each one has alone, whatever the lengths of their prompts', async () => {
    const { folder, samples } = await generationCase(variant);
    const { star, qwen } = folder;
    const weights = await openStarWeights(folder);
    const mixed = [samples[0]!, { ...samples[1]!, prompt: samples[1]!.prompt.slice(9) }];
    const loss = (rows: typeof mixed, promptTokens: number) => {
      const shapes = { batch: rows.length, promptTokens };
      const program = compileGenerationLoss(weights.declare, star, qwen, shapes);
      return run(program, weights.folder, generationBatch(rows, star, qwen, shapes));
    };
    const together = await loss(mixed, mixed[0]!.prompt.length);
    const alone = await Promise.all(mixed.map((row) => loss([row], row.prompt.length)));
    expect(together.per_sample_nll!.data[1]).not.toBeCloseTo(together.per_sample_nll!.data[0]!, 1);
    for (const name of ['loss', ...gradientsOf(together)]) {
      const data = alone[0]![name]!.data.map((value, index) => (value + alone[1]![name]!.data[index]!) / 2);
      expect(relativeError(together[name], { shape: alone[0]![name]!.shape, data }), name).toBeLessThan(1e-5);
    }
  });

  it('has no gradients of frozen parts', async () => {
    const { folder, samples } = await generationCase(variant);
    const weights = await openStarWeights(folder);
    const shapes = { batch: samples.length, promptTokens: 40 };
    for (const name of [
      'llm.model.embed_tokens.weight',
      'llm.model.layers.0.mlp.up_proj.weight',
      'pixel_encoder.quantize.embedding.weight',
    ]) {
      expect(() =>
        compileGenerationLoss(weights.declare, folder.star, folder.qwen, shapes, { gradients: [name] }),
      ).toThrow(/does not train/);
    }
    const program = compileGenerationLoss(weights.declare, folder.star, folder.qwen, shapes);
    const trained = program.outputs.map(({ name }) => name).filter((name) => name.startsWith('grad.'));
    expect(trained.filter((name) => /^grad\.(llm|pixel_encoder)\./.test(name))).toEqual([]);
    expect(trained).not.toEqual([]);
  });
});

describe('a batch of the generation stage', () => {
  it('refuses what does not fit', async () => {
    const { folder, samples } = await generationCase('tiny-a');
    const { star, qwen } = folder;
    const [sample] = samples;
    const batch = (changed: Partial<(typeof samples)[0]>, promptTokens = 60) =>
      generationBatch([{ ...sample!, ...changed }], star, qwen, { batch: 1, promptTokens });
    expect(() => batch({})).not.toThrow();
    expect(() => batch({}, sample!.prompt.length - 1)).toThrow(/prompt of/);
    expect(() => batch({ prompt: [] })).toThrow(/prompt of 0/);
    expect(() => batch({ prompt: [qwen.text.vocabSize] })).toThrow(/token/);
    expect(() => batch({ codes: sample!.codes.slice(1) })).toThrow(/35 codes/);
    expect(() => batch({ codes: sample!.codes.map(() => -1) })).toThrow(/code -1/);
    expect(() => generationBatch(samples, star, qwen, { batch: 3, promptTokens: 60 })).toThrow(/2 samples/);
  });
});
