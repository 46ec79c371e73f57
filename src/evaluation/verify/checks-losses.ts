/** Checks of the VQ tokenizer, and of the losses and gradients that train it and the generator. */
import { buildGenerationPrompt } from '../../models/star/prompt.ts';
import { codebookName } from '../../models/vq/tokenizer.ts';
import { int64 } from '../../tasks/token-loop.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { compileGenerationLoss, generationBatch } from '../../training/generation-loss.ts';
import { compileTokenizerLoss } from '../../training/tokenizer-loss.ts';
import type { Check, CheckContext } from './check.ts';
import { type ExpectedFile, VerifyError } from './expected.ts';
import type { Compared, RowSheet, Tolerance } from './rows.ts';
import { runOnce } from './runs.ts';

export const gradientTolerance: Tolerance = { tolerance: 1e-4, measure: 'relative' };

/**
 * For gradients of the tokenizer from its own features, which differ in their last digits (3e-6, in any float32
 * implementation): the entropy loss makes a ten-thousandth of that. The authors' code in float64 is 1.6e-4 away from vectors
 * it made in float32, and in float32 on another processor 2.8e-4; more with longer features, see `amplifiedTolerance`.
 */
const endToEndTolerance: Tolerance = { tolerance: 1e-3, measure: 'relative' };

/** Parameters whose gradients the vectors of the tokenizer hold. */
const tokenizerGradients: Readonly<Record<string, string>> = {
  grad_codebook: codebookName,
  grad_encoder_conv_in: 'encoder.conv_in.weight',
  grad_encoder_mid_attn_q: 'encoder.mid.1.q.weight',
  grad_decoder_conv_out: 'decoder.conv_out.weight',
  grad_decoder_block0_norm1: 'decoder.conv_blocks.0.res.0.norm1.weight',
};

/** Settings of the published configuration, with which the vectors were made. */
const tokenizerLoss = { commitmentWeight: 0.25, entropyWeight: 0.1, entropyTemperature: 0.01 };

/**
 * For gradients that pass through the entropy loss, a softmax over squared distances at temperature 0.01. A distance is made
 * of |z|² + |e|² and 2 z·e, each at most twice the largest |z|² where codes are as long as features, and each rounded: two
 * implementations differ in it by up to 8 · 2⁻²⁴ · |z|², and the softmax divides that by its temperature. The authors' code in
 * float32 is 3e-5 away from itself in float64 at tiny-a, where |z|² is 6 in the mean; of 42 tokenizers of random weights at
 * most 1.5e-3, at 37. Roundings rarely add up: where the bound is below 1e-3 all of ten folders stayed below 1e-4, which is asked
 * there. Where features are longer still, the nearest code takes nearly all the weight: hence the upper bound.
 * @param features before quantization, `[batch, codebookDim, rows, columns]`.
 */
export function amplifiedTolerance({ shape, data }: Compared): Tolerance {
  const [batch, dim] = shape as [number, number];
  const places = data.length / (batch * dim);
  const lengths = new Float64Array(batch * places);
  for (let index = 0; index < data.length; index++) {
    const picture = Math.floor(index / (dim * places));
    lengths[picture * places + (index % places)]! += Number(data[index]) ** 2;
  }
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  const bound = (8 * 2 ** -24 * longest) / tokenizerLoss.entropyTemperature;
  return bound > 1e-3 ? { tolerance: Math.min(bound, 3e-3), measure: 'relative' } : gradientTolerance;
}

const vq: Check = async (context, file, sheet) => {
  const { model } = context;
  await sheet.part('encoder', async () => {
    const encoder = await model.session('vqEncoder');
    const encoded = (await encoder.run({ picture: file.tensor('image') })) as Record<string, TensorValue>;
    sheet.numbers('features before quantization', encoded.pre_quant, 'pre_quant');
    sheet.tokens('codes', encoded.codes!.data, 'indices');
  });
  await sheet.part('decoder', async () => {
    const { shape, data } = file.tensor('indices', 2);
    const decoder = await model.session('vqDecoder');
    const feeds = { codes: int64(shape, Array.from(data, Number)) };
    const decoded = (await decoder.run(feeds)) as Record<string, TensorValue>;
    sheet.numbers('codes as embeddings', decoded.quantized, 'quantized');
    sheet.numbers('reconstruction', decoded.picture, 'reconstruction');
  });
  await sheet.part('losses', () => tokenizerLosses(context, file, sheet));
};

async function tokenizerLosses(context: CheckContext, file: ExpectedFile, sheet: RowSheet): Promise<void> {
  const { weights, folder } = context.model;
  const { pixelEncoder } = folder.star;
  const picture = file.tensor('image', 4);
  const { imageSize } = pixelEncoder;
  const [batch] = picture.shape as [number];
  if (batch < 1 || picture.shape.slice(1).join() !== [3, imageSize, imageSize].join()) {
    const message = `image has shape [${picture.shape}], expected [pictures, 3, ${imageSize}, ${imageSize}]`;
    throw new VerifyError('expected_invalid', message, { shape: picture.shape });
  }
  const gradients = Object.values(tokenizerGradients).map((name) => `pixel_encoder.${name}`);
  const options = { gradients, ...tokenizerLoss };
  const compileWith = (givenFeatures: boolean) =>
    compileTokenizerLoss(weights.declare, pixelEncoder, { batch, imageSize, givenFeatures }, options);
  // From the file's features on, as the reconstruction starts from the file's codes: the features have their own row.
  const features = file.tensor('pre_quant', 4);
  const given = await runOnce(context, compileWith(true), { picture, pre_quant: features });
  const own = await runOnce(context, compileWith(false), { picture });
  for (const name of ['recon_mse', 'vq_loss', 'commit_loss', 'entropy_loss']) sheet.numbers(name, own[name], name);
  const amplified = amplifiedTolerance(features);
  const twice = { ...amplified, tolerance: 2 * amplified.tolerance };
  const endToEnd = twice.tolerance > endToEndTolerance.tolerance ? twice : endToEndTolerance;
  for (const [name, parameter] of Object.entries(tokenizerGradients)) {
    const gradient = `grad.pixel_encoder.${parameter}`;
    // No entropy loss comes to the decoder.
    const decoder = parameter.startsWith('decoder.');
    sheet.numbers(name, given[gradient], name, decoder ? gradientTolerance : amplified);
    sheet.numbers(`${name}, from own features`, own[gradient], name, decoder ? endToEndTolerance : endToEnd);
  }
}

const trainGeneration: Check = async (context, file, sheet) => {
  const { weights, folder, chat } = context.model;
  const { star, qwen } = folder;
  const { numTokens } = star.pixelEncoder;
  const { prompts, unused } = context.meta.part('train_generation');
  const targets = Array.from(file.tensor('targets', 2).data, Number);
  if (targets.length !== prompts.length * numTokens) {
    const message = `targets: ${targets.length} codes, expected ${prompts.length} prompts of ${numTokens}`;
    throw new VerifyError('expected_invalid', message);
  }
  const samples = prompts.map((prompt, row) => ({
    prompt: buildGenerationPrompt(chat, prompt).conditional,
    codes: targets.slice(row * numTokens, (row + 1) * numTokens),
  }));
  const shapes = { batch: samples.length, promptTokens: Math.max(...samples.map(({ prompt }) => prompt.length)) };
  const program = compileGenerationLoss(weights.declare, star, qwen, shapes);
  const results = await runOnce(context, program, generationBatch(samples, star, qwen, shapes));
  sheet.numbers('loss', results.loss, 'loss');
  sheet.numbers('loss by sample', results.per_sample_nll, 'per_sample_nll');
  const trained = Object.keys(results).filter((name) => name.startsWith('grad.'));
  for (const name of trained) {
    // PyTorch gives no gradient where ours is zero.
    if (file.has(name) || !unused.some((parameter) => name === `grad.${parameter}` || name === parameter)) {
      sheet.numbers(name, results[name], name, gradientTolerance);
    } else sheet.tokens(`${name}: zero`, results[name]!.data, new Array<number>(results[name]!.data.length).fill(0));
  }
  for (const name of file.names()) {
    if (name.startsWith('grad.') && !trained.includes(name)) {
      file.tensor(name);
      sheet.fail(name, 'the model trains no such parameter');
    }
  }
};

export const lossChecks: Readonly<Record<string, Check>> = { vq, train_generation: trainGeneration };
