/** Checks of the diffusion decoder: its parts, its pictures, and the loss and gradients that train it. */
import { captionFeeds, framePrompt, tokenizeCaption } from '../../models/lumina2/gemma2-prompt.ts';
import { zeroLatents } from '../../models/lumina2/vae-programs.ts';
import { overlayPrefixes } from '../../models/lumina2/weights.ts';
import type { Declare } from '../../nn/parameters.ts';
import { type Diffusion, diffuse, requireResolution, scheduleOf } from '../../tasks/diffuse.ts';
import {
  captionTokensOf,
  type DiffusionDecoder,
  type DiffusionProgram,
  type DiffusionSizes,
  loadProgram,
  openDiffusionDecoder,
} from '../../tasks/diffusion-decoder.ts';
import { int64 } from '../../tasks/token-loop.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { compileAlignmentLoss } from '../../training/alignment-loss.ts';
import type { Check, CheckContext } from './check.ts';
import { gradientTolerance } from './checks-losses.ts';
import { compileTransformerCheck } from './programs.ts';
import { runOnce } from './runs.ts';

/** Of one pass through a part. */
const onePass = { tolerance: 5e-4 };
/** Of the latents after some steps, each of which passes on the error of those before. */
const severalSteps = { tolerance: 2e-3 };
/** Of the picture in [0, 1] that is made of the last ones. */
const finished = { tolerance: 5e-3 };

/** With which the vectors were made. */
const window = [0, 1] as const;

const textEncoder: Check = async (context, _file, sheet) => {
  const decoder = await openDiffusionDecoder(context.model);
  const { prompt, system_prompt, max_sequence_length, resolution } = context.meta.part('diffusion');
  for (const [what, text, tensors] of [
    ['prompt', framePrompt(prompt, system_prompt), ['prompt_attention_mask', 'prompt_embeds']],
    ['negative prompt', '', ['negative_attention_mask', 'negative_prompt_embeds']],
  ] as const) {
    await sheet.part(what, async () => {
      const feeds = captionFeeds([tokenizeCaption(text, decoder.tokenizer, max_sequence_length)]);
      sheet.tokens(`${what}: mask`, feeds.mask.data, tensors[0]);
      const sizes = { resolution, captionTokens: max_sequence_length };
      const { states } = await runPart(context, decoder, 'text encoder', sizes, feeds);
      sheet.numbers(`${what}: states`, states, tensors[1], onePass);
    });
  }
};

const vae: Check = async (context, file, sheet) => {
  const decoder = await openDiffusionDecoder(context.model);
  const picture = file.tensor('image', 4);
  const resolution = picture.shape[3]!;
  requireResolution('verify', decoder, resolution);
  const sizes = { resolution, captionTokens: captionTokensOf(decoder) };
  const { shape } = file.tensor('moments_mean', 4);
  const encoded = await runPart(context, decoder, 'vae encoder', sizes, { picture, noise: zeroLatents(shape) });
  sheet.numbers('mean of the latents', encoded.mean, 'moments_mean', onePass);
  sheet.numbers('logarithm of their variance', encoded.logvar, 'moments_logvar', onePass);
  const decoded = await runPart(context, decoder, 'vae decoder', sizes, { latents: encoded.latents! });
  sheet.numbers('picture of the mean', decoded.picture, 'decoded', onePass);
};

const transformer: Check = async (context, file, sheet) => {
  const { config, weights } = (await openDiffusionDecoder(context.model)).transformer;
  const states = file.tensor('hidden_states', 4);
  const { codebookDim: codeChannels } = context.model.folder.star.pixelEncoder;
  const feeds = {
    states,
    timestep: file.tensor('timestep'),
    caption: file.tensor('encoder_hidden_states'),
    caption_mask: wide(file.tensor('encoder_attention_mask')),
  };
  const program = compileTransformerCheck(weights.declare, config, codeChannels, states.shape);
  const { sample } = await runOnce(context, program, feeds);
  sheet.numbers('prediction', sample, 'sample', onePass);
};

/** The whole decoder, from the embeddings of codes to the picture. */
const picture =
  (task: 'generate' | 'edit'): Check =>
  async (context, file, sheet) => {
    const decoder = await openDiffusionDecoder(context.model);
    const meta = context.meta.part('diffusion');
    const start = file.tensor('init_latents', 4);
    const { guidance_scale, img_guidance_scale } = meta[task];
    const diffusion: Diffusion = {
      task,
      text: meta.prompt,
      systemPrompt: meta.system_prompt,
      codes: file.tensor('gen_image_embeds', 3),
      ...(task === 'edit' ? { source: batchOfOne(file.tensor('source_image', 3)) } : {}),
      steps: meta.steps,
      guidance: {
        text: guidance_scale,
        image: img_guidance_scale,
        codes: meta.edit.vq_guidance_scale,
        textWindow: window,
        imageWindow: window,
      },
      seed: 0,
      resolution: meta.resolution,
      captionTokens: meta.max_sequence_length,
      start,
    };
    if (task === 'generate') {
      const { sigmas, timesteps } = scheduleOf(decoder, diffusion);
      sheet.numbers('noise levels', { shape: [sigmas.length], data: sigmas }, 'sigmas');
      sheet.numbers('timesteps', { shape: [timesteps.length], data: timesteps }, 'timesteps');
    }
    const latents = { shape: [meta.steps, ...start.shape], data: new Float32Array(meta.steps * start.data.length) };
    const run = diffuse(context.model, decoder, diffusion);
    let step = await run.next();
    for (let at = 0; !step.done; at++, step = await run.next()) {
      latents.data.set((await step.value.latents()).data as Float32Array, at * start.data.length);
    }
    sheet.numbers('latents after each step', latents, 'step_latents', severalSteps);
    const { shape, data } = step.value;
    const levels = (data as Float32Array).map((level) => Math.min(1, Math.max(0, level / 2 + 0.5)));
    sheet.numbers('picture', { shape, data: levels }, 'image', finished);
  };

const trainDiffusion: Check = async (context, file, sheet) => {
  const { model, meta } = context;
  const decoder = await openDiffusionDecoder(model);
  const { config, weights } = decoder.transformer;
  const { pixelEncoder } = model.folder.star;
  const { prompt, system_prompt, max_sequence_length: captionTokens } = meta.part('diffusion');
  const latents = file.tensor('clean_latents', 4);
  const [batch, , , latentSize] = latents.shape as [number, number, number, number];
  const sizes = { resolution: latentSize * decoder.vae.config.downsampling, captionTokens };
  const embeddings = file.tensor('gen_image_embeds', 3);
  const { maps } = await runPart(context, decoder, 'embedding maps', sizes, { embeddings });
  sheet.numbers('embeddings of the codes, resized', maps, 'interpolated_vq', onePass);

  const caption = tokenizeCaption(framePrompt(prompt, system_prompt), decoder.tokenizer, captionTokens);
  const words = captionFeeds(new Array<typeof caption>(batch).fill(caption));
  const { states } = await runPart(context, decoder, 'text encoder', sizes, words);
  const gradients = file.names().filter((name) => name.startsWith('grad.'));
  const known = gradients.filter((name) => weights.entries.has(parameterOf(name)));
  const program = compileAlignmentLoss(
    withoutPrefix(weights.declare),
    { transformer: config, pixelEncoder },
    { batch, latentSize, captionTokens, reportPrediction: true },
    { gradients: known.map((name) => published(parameterOf(name))) },
  );
  const results = await runOnce(context, program, {
    latents,
    noise: file.tensor('noise'),
    sigma: file.tensor('sigma'),
    code_embeddings: embeddings,
    source_latents: zeroLatents(latents.shape),
    caption: states!,
    caption_mask: words.mask,
  });
  sheet.numbers('loss', results.loss, 'loss', onePass);
  sheet.numbers('prediction', results.prediction, 'prediction', onePass);
  for (const name of gradients) {
    const gradient = results[`grad.${published(parameterOf(name))}`];
    if (known.includes(name)) sheet.numbers(name, gradient, name, gradientTolerance);
    else {
      file.tensor(name);
      sheet.fail(name, 'the diffusion transformer has no such parameter');
    }
  }
};

/** Runs a program of the decoder once and lets it go. */
async function runPart(
  { model }: CheckContext,
  decoder: DiffusionDecoder,
  name: DiffusionProgram,
  sizes: DiffusionSizes,
  feeds: Readonly<Record<string, TensorValue>>,
): Promise<Record<string, TensorValue>> {
  await using turn = await loadProgram(model, decoder, name, sizes);
  return (await turn.session.run(feeds)) as Record<string, TensorValue>;
}

const parameterOf = (gradient: string) => gradient.slice('grad.'.length);

/** The name in a STAR checkpoint, which the stage uses, of what the transformer calls `name`. */
const published = (name: string) => `${overlayPrefixes.transformer}.${name}`;

const withoutPrefix =
  (declare: Declare): Declare =>
  (name, shape) =>
    declare(name.slice(published('').length), shape);

const wide = ({ shape, data }: TensorValue) => int64(shape, Array.from(data, Number));

const batchOfOne = (value: TensorValue): TensorValue => ({ ...value, shape: [1, ...value.shape] });

export const diffusionChecks: Readonly<Record<string, Check>> = {
  diffusion_text_encoder: textEncoder,
  diffusion_vae: vae,
  diffusion_transformer: transformer,
  diffusion_generate: picture('generate'),
  diffusion_edit: picture('edit'),
  train_diffusion: trainDiffusion,
};
