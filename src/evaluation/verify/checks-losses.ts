/** Checks of the VQ tokenizer, and of the losses and gradients that train it and the generator. */
import { buildGenerationPrompt } from '../../models/star/prompt.ts';
import { codebookName } from '../../models/vq/tokenizer.ts';
import { int64 } from '../../tasks/token-loop.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { compileGenerationLoss, generationBatch } from '../../training/generation-loss.ts';
import { compileTokenizerLoss } from '../../training/tokenizer-loss.ts';
import type { Check, CheckContext } from './check.ts';
import { type ExpectedFile, VerifyError } from './expected.ts';
import type { RowSheet, Tolerance } from './rows.ts';
import { runOnce } from './runs.ts';

const gradientTolerance: Tolerance = { tolerance: 1e-4, measure: 'relative' };

/**
 * For gradients of the tokenizer from its own features. The entropy loss is a softmax at temperature 0.01: features that
 * differ in their last digits (3e-6, in any float32 implementation) move the codebook's gradient by a ten-thousandth. The
 * authors' code in float64 is 1.6e-4 away from vectors it made in float32, and in float32 on another processor 2.8e-4.
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
  const given = await runOnce(context, compileWith(true), { picture, pre_quant: file.tensor('pre_quant', 4) });
  const own = await runOnce(context, compileWith(false), { picture });
  for (const name of ['recon_mse', 'vq_loss', 'commit_loss', 'entropy_loss']) sheet.numbers(name, own[name], name);
  for (const [name, parameter] of Object.entries(tokenizerGradients)) {
    const gradient = `grad.pixel_encoder.${parameter}`;
    sheet.numbers(name, given[gradient], name, gradientTolerance);
    sheet.numbers(`${name}, from own features`, own[gradient], name, endToEndTolerance);
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
