/** Checks of what STAR adds: tokenizer, generation, reasoning, editing, and the losses of their training. */
import path from 'node:path';
import { readImage } from '../../image/decode.ts';
import { encodeChat } from '../../models/qwen25vl/chat.ts';
import { buildGenerationPrompt, buildReasoningPrompt, templateFrame } from '../../models/star/prompt.ts';
import { vqPixelValues } from '../../models/vq/image-transform.ts';
import { codebookName } from '../../models/vq/tokenizer.ts';
import { editPrompt } from '../../tasks/edit.ts';
import { guidedPrompt } from '../../tasks/generate.ts';
import { decodeCodes, encodeCodes } from '../../tasks/pictures.ts';
import { int64 } from '../../tasks/token-loop.ts';
import { picturePrompt } from '../../tasks/understand.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { compileGenerationLoss, generationBatch } from '../../training/generation-loss.ts';
import { compileTokenizerLoss } from '../../training/tokenizer-loss.ts';
import type { Check } from './check.ts';
import { drive, promptText, runBase } from './checks-base.ts';
import type { Compared } from './rows.ts';

const relative = 1e-4;

/** Channels first to last: `[n, 3, h, w]` to `[n, h, w, 3]`. */
function channelsLast({ shape, data }: TensorValue): Compared {
  const [count, channels, height, width] = shape as [number, number, number, number];
  const result = new Float32Array(data.length);
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < height * width; p++) {
        result[(n * height * width + p) * channels + c] = Number(data[(n * channels + c) * height * width + p]);
      }
    }
  }
  return { shape: [count, height, width, channels], data: result };
}

/** Generation at one guidance; the vectors always have both rows, so the shortcut of guidance 1 is not taken. */
const generate =
  (guidance: number): Check =>
  async (context, expected, sheet) => {
    const { model } = context;
    const prompt = guidedPrompt(buildGenerationPrompt(model.chat, promptText(context)));
    const images = expected('tokens').shape[0]!;
    const maxTokens = model.folder.star.pixelEncoder.numTokens;
    const result = await drive(context, prompt, { drawPicture: true, images, guidance, maxTokens });
    if (context.names.includes('prefill_embeds')) {
      sheet.numbers('prompt embeddings', result.promptEmbeddings as Compared, expected('prefill_embeds') as Compared);
      const { hidden } = await runBase(context, result.promptEmbeddings as Compared, prompt.positions);
      sheet.numbers('base hidden states', hidden as Compared, expected('prefill_base_hidden') as Compared);
    }
    sheet.numbers('guided logits', result.logits, expected('logits') as Compared);
    sheet.tokens('tokens', result.tokens.flat(), expected('tokens').data);
    if (context.names.includes('image')) {
      const picture = await decodeCodes(model, result.tokens);
      sheet.numbers('picture', channelsLast(picture), expected('image') as Compared);
    }
  };

const reasoning: Check = async (context, expected, sheet) => {
  const { model, meta } = context;
  const { chat, folder } = model;
  sheet.tokens('template in front of the prompt', templateFrame(chat).prefix, meta.reasoning.template_prefix_ids);
  const ids = encodeChat(chat, [{ role: 'user', content: meta.reasoning.prompt }]);
  const maxTokens = meta.reasoning.answer_max_new_tokens;
  const thought = await drive(context, picturePrompt(model, ids, []), {
    drawPicture: false,
    images: 1,
    guidance: 1,
    maxTokens,
  });
  sheet.numbers(
    'embeddings of the question',
    thought.promptEmbeddings as Compared,
    expected('prefill_embeds') as Compared,
  );
  const answer = chat.tokenizer.decode(thought.tokens[0]!, { skipSpecialTokens: true });
  sheet.text('answer', answer, meta.reasoning.answer);
  const prompt = buildReasoningPrompt(chat, meta.reasoning.prompt, answer);
  sheet.text('prompt made of the answer', prompt.answerPrompt ?? '', meta.reasoning.answer_prompt);
  const run = {
    drawPicture: true,
    images: 1,
    guidance: reasoningGuidance,
    maxTokens: folder.star.pixelEncoder.numTokens,
  };
  const result = await drive(context, guidedPrompt(prompt), run);
  sheet.numbers('guided logits', result.logits, expected('logits') as Compared);
  sheet.tokens('tokens', result.tokens.flat(), expected('tokens').data);
};

/** Guidance of the vectors, found by trying: no file carries it. */
const reasoningGuidance = 2;
const editGuidance = 2;

const edit: Check = async (context, expected, sheet) => {
  const { model, meta, folder } = context;
  const { pixelEncoder } = model.folder.star;
  const image = await readImage(path.join(folder, 'image.png'));
  const pixels = vqPixelValues(image, pixelEncoder.imageSize);
  sheet.numbers('pixels of the source', pixels as Compared, expected('vq_pixel_values') as Compared);
  sheet.tokens('codes of the source', await encodeCodes(model, image), expected('vq_indices').data);
  const prompt = await editPrompt(model, image, meta.edit.instruction);
  sheet.tokens('M-RoPE positions', prompt.positions, expected('prefill_position_ids').data);
  sheet.tokens('next position', new Array(3).fill(prompt.nextPosition), expected('step1_position_ids').data);
  const maxTokens = pixelEncoder.numTokens;
  const result = await drive(context, prompt, { drawPicture: true, images: 1, guidance: editGuidance, maxTokens });
  sheet.numbers('prompt embeddings', result.promptEmbeddings as Compared, expected('prefill_embeds') as Compared);
  sheet.numbers('guided logits', result.logits, expected('logits') as Compared);
  sheet.tokens('tokens', result.tokens.flat(), expected('tokens').data);
  sheet.numbers('picture', channelsLast(await decodeCodes(model, result.tokens)), expected('image') as Compared);
};

/** Parameters whose gradients the vectors hold. */
const tokenizerGradients: Readonly<Record<string, string>> = {
  grad_codebook: codebookName,
  grad_encoder_conv_in: 'encoder.conv_in.weight',
  grad_encoder_mid_attn_q: 'encoder.mid.1.q.weight',
  grad_decoder_conv_out: 'decoder.conv_out.weight',
  grad_decoder_block0_norm1: 'decoder.conv_blocks.0.res.0.norm1.weight',
};

const vq: Check = async ({ model, names }, expected, sheet) => {
  const { star } = model.folder;
  const image = expected('image');
  const encoder = await model.session('vqEncoder');
  const encoded = await encoder.run({ picture: image });
  sheet.numbers('features before quantization', encoded.pre_quant as Compared, expected('pre_quant') as Compared);
  sheet.tokens('codes', (encoded.codes as TensorValue).data, expected('indices').data);
  const decoder = await model.session('vqDecoder');
  const { shape, data } = expected('indices');
  const decoded = await decoder.run({ codes: int64(shape, Array.from(data as Int32Array)) });
  sheet.numbers('codes as embeddings', decoded.quantized as Compared, expected('quantized') as Compared);
  sheet.numbers('reconstruction', decoded.picture as Compared, expected('reconstruction') as Compared);

  const gradients = Object.keys(tokenizerGradients).filter((name) => names.includes(name));
  const program = compileTokenizerLoss(
    model.weights.declare,
    star.pixelEncoder,
    { batch: image.shape[0]!, imageSize: image.shape[2]! },
    {
      gradients: gradients.map((name) => `pixel_encoder.${tokenizerGradients[name]}`),
      commitmentWeight: 0.25,
      entropyWeight: 0.1,
      entropyTemperature: 0.01,
    },
  );
  const session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
  const results = (await session.run({ picture: image })) as Record<string, TensorValue>;
  await session.dispose();
  for (const name of ['recon_mse', 'vq_loss', 'commit_loss', 'entropy_loss']) {
    sheet.numbers(name, results[name] as Compared, expected(name) as Compared);
  }
  for (const name of gradients) {
    const actual = results[`grad.pixel_encoder.${tokenizerGradients[name]}`] as Compared;
    sheet.numbers(name, actual, expected(name) as Compared, relative, 'relative');
  }
};

const trainGeneration: Check = async ({ model, meta, names }, expected, sheet) => {
  const { star, qwen } = model.folder;
  const { numTokens } = star.pixelEncoder;
  const targets = expected('targets').data as Int32Array;
  const samples = meta.train_generation.prompts.map((prompt, row) => ({
    prompt: buildGenerationPrompt(model.chat, prompt).conditional,
    codes: targets.slice(row * numTokens, (row + 1) * numTokens),
  }));
  const shapes = { batch: samples.length, promptTokens: Math.max(...samples.map(({ prompt }) => prompt.length)) };
  const program = compileGenerationLoss(model.weights.declare, star, qwen, shapes);
  const session = await model.runtime.load(program, { weightsFolder: model.weights.folder });
  const results = (await session.run(generationBatch(samples, star, qwen, shapes))) as Record<string, TensorValue>;
  await session.dispose();
  sheet.numbers('loss', results.loss as Compared, expected('loss') as Compared);
  sheet.numbers('loss by sample', results.per_sample_nll as Compared, expected('per_sample_nll') as Compared);
  const gradients = names.filter((name) => name.startsWith('grad.'));
  for (const name of gradients) {
    const actual = results[name];
    if (actual) sheet.numbers(name, actual as Compared, expected(name) as Compared, relative, 'relative');
    else sheet.fail(name, 'the model has no such trained parameter');
  }
};

/** A check for each file of `expected/` that is supported. */
export const pictureChecks: Readonly<Record<string, Check>> = {
  vq,
  generate_cfg1: generate(1),
  generate_cfg3: generate(3),
  generate_n3: generate(2),
  generate_reasoning: reasoning,
  edit,
  train_generation: trainGeneration,
};
