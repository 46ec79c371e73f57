/** From VQ codes to finished pictures through the diffusion decoder: what generating and editing share. */
import type { RgbImage } from '../image/rgb-image.ts';
import { type CaptionTokens, captionFeeds, tokenizeCaption } from '../models/lumina2/gemma2-prompt.ts';
import {
  type DiffusionGuidance,
  guidedBranches,
  type ToldPicture,
  type WeightedBranch,
} from '../models/lumina2/guidance.ts';
import { type NoiseSchedule, noiseSchedule } from '../models/lumina2/scheduler.ts';
import { latentNoise, latentStreams, zeroLatents } from '../models/lumina2/vae-programs.ts';
import { vqPixelValues } from '../models/vq/image-transform.ts';
import type { RemoteTensor } from '../runtime/remote-tensor.ts';
import type { TensorValue } from '../tensor/index.ts';
import {
  captionTokensFor,
  type DiffusionDecoder,
  type DiffusionProgram,
  type DiffusionSizes,
  largestResolution,
  loadProgram,
  type ProgramTurn,
  resolutionStep,
} from './diffusion-decoder.ts';
import { AbortedError, TaskError } from './error.ts';
import type { LoadedModel } from './loaded-model.ts';
import { float32, int64 } from './token-loop.ts';

export interface Diffusion extends DiffusionSizes {
  readonly task: 'generate' | 'edit';
  /** What the text encoder reads. */
  readonly text: string;
  /** Default: the pipeline's own. */
  readonly systemPrompt?: string;
  /** Of each picture, row by row; or embeddings in their place, `[pictures, places, codebookDim]`. */
  readonly codes: readonly (readonly number[])[] | TensorValue;
  /** Of an edit: a picture of any size, or as the autoencoder takes it, `[1, 3, resolution, resolution]` in [−1, 1]. */
  readonly source?: RgbImage | TensorValue;
  readonly steps: number;
  readonly guidance: DiffusionGuidance;
  /** Seed of the first picture; picture i starts from the noise of `seed + i`. */
  readonly seed: number;
  /** What the denoising starts from, in place of the seed's noise: `[pictures, latentChannels, rows, columns]`. */
  readonly start?: TensorValue;
  readonly signal?: AbortSignal | undefined;
}

export interface DiffusionProgress {
  readonly doneSteps: number;
  readonly totalSteps: number;
  /** `[pictures, latentChannels, rows, columns]` after the step. */
  readonly latents: () => Promise<TensorValue>;
  /**
   * What the autoencoder makes of these latents, `[pictures, 3, resolution, resolution]` in [−1, 1]. It is loaded beside the
   * transformer when it is first asked for, and stays until the end.
   */
  readonly picture: () => Promise<TensorValue>;
}

/**
 * Checks what can be checked before anything is computed.
 * @throws TaskError `option_invalid` for a resolution that the decoder cannot draw.
 */
export function requireResolution(task: string, decoder: DiffusionDecoder, resolution: number): void {
  const step = resolutionStep(decoder);
  const most = largestResolution(decoder);
  if (resolution % step === 0 && resolution <= most) return;
  throw new TaskError(
    'option_invalid',
    `${task}: option resolution: expected a multiple of ${step} up to ${most}, got ${resolution}`,
    { option: 'resolution' },
  );
}

/** The text as the text encoder reads it; `dropped` of its tokens found no place. */
export function captionOf(
  decoder: DiffusionDecoder,
  { text, systemPrompt, captionTokens }: Pick<Diffusion, 'text' | 'systemPrompt' | 'captionTokens'>,
): CaptionTokens {
  return captionTokensFor(decoder, text, captionTokens, systemPrompt);
}

/** The noise levels of a denoising. @throws RangeError for steps of which the decoder's schedule makes nothing. */
export function scheduleOf(
  decoder: DiffusionDecoder,
  { steps, resolution }: Pick<Diffusion, 'steps' | 'resolution'>,
): NoiseSchedule {
  return noiseSchedule(decoder.scheduler, steps, (resolution / resolutionStep(decoder)) ** 2);
}

/**
 * Decodes; tells each step of the denoising. Programs are loaded one after another and leave when they are done.
 * @returns the pictures, `[pictures, 3, resolution, resolution]` in [−1, 1]
 * @throws AbortedError before a step once the signal is aborted; after the last one the picture is finished.
 */
export async function* diffuse(
  model: LoadedModel,
  decoder: DiffusionDecoder,
  diffusion: Diffusion,
): AsyncGenerator<DiffusionProgress, TensorValue, void> {
  const { task, codes, resolution, seed } = diffusion;
  requireResolution(task, decoder, resolution);
  const load = (name: DiffusionProgram) => loadProgram(model, decoder, name, diffusion);
  const { latentChannels, downsampling } = decoder.vae.config;
  const side = resolution / downsampling;
  const pictures = 'shape' in codes ? codes.shape[0]! : codes.length;
  const shape = [pictures, latentChannels, side, side];

  heedAbort(diffusion);
  const { maps, draft } = await mapsOf(load, codes);
  const told = {
    codes: maps!,
    ...(await referenceLatents(load, diffusion, draft, shape)),
    ...(await captionStates(load, decoder, diffusion)),
  };
  let vae: ProgramTurn | undefined;
  const decode = async (latents: Latents) => {
    vae ??= await load('vae decoder');
    return (await vae.session.run({ latents }, { outputs: ['picture'] })).picture as TensorValue;
  };
  try {
    const start = diffusion.start ?? latentNoise(shape, seed, latentStreams.start);
    return await decode(yield* denoise(load, decoder, start, told, diffusion, decode));
  } finally {
    await vae?.[Symbol.asyncDispose]();
  }
}

type Load = (name: DiffusionProgram) => Promise<ProgramTurn>;
type Latents = TensorValue | RemoteTensor;

function heedAbort({ task, signal }: Diffusion): void {
  if (signal?.aborted) throw new AbortedError(task, signal.reason);
}

/** From noise to the latents of pictures. */
async function* denoise(
  load: Load,
  decoder: DiffusionDecoder,
  start: TensorValue,
  told: Readonly<Record<string, TensorValue>>,
  diffusion: Diffusion,
  decode: (latents: Latents) => Promise<TensorValue>,
): AsyncGenerator<DiffusionProgress, TensorValue, void> {
  const { task, guidance, steps } = diffusion;
  const schedule = scheduleOf(decoder, diffusion);
  const picture = toldPicture(decoder, task === 'edit');
  heedAbort(diffusion);
  await using denoiser = await load('denoiser');
  let latents: Latents = start;
  try {
    for (let step = 0; step < steps; step++) {
      heedAbort(diffusion);
      const branches = guidedBranches(picture, guidance, step, steps);
      const feeds = { ...told, ...stepFeeds(schedule, step, branches), latents };
      const results = await denoiser.session.run(feeds, { keep: ['next.latents'] });
      const next = results['next.latents'] as RemoteTensor;
      if ('dispose' in latents) await latents.dispose();
      latents = next;
      yield { doneSteps: step + 1, totalSteps: steps, latents: () => next.read(), picture: () => decode(next) };
    }
    return 'dispose' in latents ? await latents.read() : latents;
  } finally {
    if ('dispose' in latents) await latents.dispose();
  }
}

/** The codes of a drawing; of an edit the source, as published, and from a decoder of the model's own the codes as well. */
export function toldPicture({ textEncoder }: DiffusionDecoder, edits: boolean): ToldPicture {
  return { codes: !edits || textEncoder.kind === 'base', source: edits };
}

/** The empty caption and the text's, for branches to choose from. */
async function captionStates(load: Load, decoder: DiffusionDecoder, diffusion: Diffusion) {
  const empty = tokenizeCaption('', decoder.tokenizer, diffusion.captionTokens);
  const feeds = captionFeeds([empty, captionOf(decoder, diffusion)]);
  await using encoder = await load('text encoder');
  return { captions: (await encoder.session.run(feeds)).states as TensorValue, caption_mask: feeds.mask };
}

/** `maps`, and `draft` for a decoder of a relative output. */
async function mapsOf(load: Load, codes: Diffusion['codes']) {
  const given = 'shape' in codes;
  await using program = await load(given ? 'embedding maps' : 'code maps');
  const feeds: Record<string, TensorValue> = given
    ? { embeddings: codes }
    : { codes: int64([codes.length, codes[0]!.length], codes.flat()) };
  return (await program.session.run(feeds)) as Readonly<Record<string, TensorValue>>;
}

/**
 * Latents, each the mode of its Gaussian: `source` of the source picture for each picture, zeros where there is none, and of a
 * `draft`, if there is one, for each its own.
 */
async function referenceLatents(
  load: Load,
  { source, resolution }: Diffusion,
  draft: TensorValue | undefined,
  shape: number[],
): Promise<Readonly<Record<string, TensorValue>>> {
  const sources = zeroLatents(shape);
  if (!source && !draft) return { source: sources };
  await using encoder = await load('vae encoder');
  const encode = async (picture: TensorValue) => {
    const feeds = { picture, noise: zeroLatents([picture.shape[0]!, ...shape.slice(1)]) };
    return (await encoder.session.run(feeds, { outputs: ['latents'] })).latents as TensorValue;
  };
  if (source) {
    const picture = 'shape' in source ? source : vqPixelValues(source, resolution);
    const one = (await encode(picture)).data as Float32Array;
    for (let index = 0; index < shape[0]!; index++) sources.data.set(one, index * one.length);
  }
  return { source: sources, ...(draft ? { draft: await encode(draft) } : {}) };
}

/** The feeds of one step: its branches and its place in the schedule. */
function stepFeeds({ sigmas, times }: NoiseSchedule, step: number, branches: readonly WeightedBranch[]) {
  const flags = (flag: 'codes' | 'source') => branches.map((branch) => (branch[flag] ? 1 : 0));
  const count = branches.length;
  return {
    branch_caption: int64(
      [count],
      branches.map(({ caption }) => (caption ? 1 : 0)),
    ),
    branch_codes: float32([count], flags('codes')),
    branch_source: float32([count], flags('source')),
    weights: float32(
      [1, count],
      branches.map(({ weight }) => weight),
    ),
    sigmas: float32([1], [sigmas[step]!]),
    next_sigmas: float32([1], [sigmas[step + 1]!]),
    times: float32([1], [times[step]!]),
  };
}
