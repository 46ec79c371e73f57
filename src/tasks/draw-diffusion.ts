/** Drawn tokens to pictures through the diffusion decoder: the caller's settings, checked beforehand, and its steps as events. */
import type { RgbImage } from '../image/rgb-image.ts';
import type { TensorValue } from '../tensor/index.ts';
import {
  captionOf,
  type Diffusion,
  type DiffusionProgress,
  diffuse,
  requireResolution,
  scheduleOf,
} from './diffuse.ts';
import {
  captionTokensOf,
  type DiffusionDecoder,
  largestResolution,
  openDiffusionDecoder,
} from './diffusion-decoder.ts';
import { AbortedError, TaskError } from './error.ts';
import type { PictureEvent, TaskWarning } from './events.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { ResolvedPictureOptions } from './options.ts';
import { toImages } from './pictures.ts';
import type { RecipeSetting } from './recipe.ts';

/** What `generate_images` and `generate_images_edit` of star/models/model.py give the pipeline. */
const published = {
  generate: { steps: 40, text: 4.5, image: 1.05, codes: 0 },
  edit: { steps: 50, text: 3, image: 1.8, codes: 1 },
  resolution: 1024,
  window: [0, 1],
} as const;

/** Of a decoder whose captions the base reads: small, and trained for few steps, which need no guidance. */
const small = {
  generate: { steps: 8, text: 1, image: 1, codes: 0 },
  edit: { steps: 8, text: 1, image: 1, codes: 0 },
} as const;

/** The diffusion decoder that was chosen, and what it is asked for. */
export interface ChosenDiffusion {
  readonly decoder: DiffusionDecoder;
  readonly settings: Pick<Diffusion, 'task' | 'steps' | 'guidance' | 'resolution' | 'captionTokens'>;
}

/** What it is asked to draw. */
export interface DiffusionDrawing extends ChosenDiffusion {
  readonly text: string;
  /** Of an edit. */
  readonly source?: RgbImage;
}

/**
 * The diffusion decoder where the options choose it, checked as far as can be before anything is computed.
 * @throws TaskError `not_supported` for a model without one, `option_invalid` for a resolution or steps that it cannot do; and
 *   what opening it throws.
 */
export async function chooseDiffusion(
  model: LoadedModel,
  task: 'generate' | 'edit',
  options: ResolvedPictureOptions,
): Promise<ChosenDiffusion | undefined> {
  if (options.decoder === 'vq') return undefined;
  const decoder = await openDiffusionDecoder(model);
  const defaults = (decoder.textEncoder.kind === 'base' ? small : published)[task];
  const settings: ChosenDiffusion['settings'] = {
    task,
    steps: options.steps ?? decoder.steps ?? defaults.steps,
    guidance: {
      text: options.diffusionGuidance ?? defaults.text,
      image: options.imageGuidance ?? defaults.image,
      codes: options.vqGuidance ?? defaults.codes,
      textWindow: options.guidanceWindow ?? published.window,
      imageWindow: options.imageGuidanceWindow ?? published.window,
    },
    resolution: options.resolution ?? Math.min(published.resolution, largestResolution(decoder)),
    captionTokens: captionTokensOf(decoder),
  };
  requireResolution(task, decoder, settings.resolution);
  requireSchedule(decoder, settings);
  return { decoder, settings };
}

function requireSchedule(decoder: DiffusionDecoder, settings: ChosenDiffusion['settings']): void {
  try {
    scheduleOf(decoder, settings);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const { task, steps, resolution } = settings;
    const message = `${task}: option steps: ${steps} at ${resolution} pixels is no denoising: ${cause.message}`;
    throw new TaskError('option_invalid', message, { option: 'steps' }, { cause });
  }
}

/** What a recipe needs to denoise the same way again, by the names of the options. */
export function diffusionSettings({ settings }: ChosenDiffusion): Record<string, RecipeSetting> {
  const { task, steps, resolution, guidance } = settings;
  return {
    steps,
    resolution,
    diffusionGuidance: guidance.text,
    imageGuidance: guidance.image,
    ...(task === 'edit' ? { vqGuidance: guidance.codes } : {}),
    guidanceWindow: guidance.textWindow,
    imageGuidanceWindow: guidance.imageWindow,
  };
}

/**
 * Warns of text that the decoder will not read.
 * @throws PromptError for a text that is longer than its tokenizer reads.
 */
export function captionWarnings({ decoder, settings, text }: DiffusionDrawing): TaskWarning[] {
  const { captionTokens } = settings;
  const { dropped } = captionOf(decoder, { text, captionTokens });
  if (dropped === 0) return [];
  const message = `the diffusion decoder reads ${captionTokens} tokens of text; the last ${dropped} found no place`;
  return [{ code: 'caption_cut', message }];
}

/** Pictures, or how far an abort let them come that was to keep what is done. */
export interface Diffused {
  readonly pictures?: readonly RgbImage[];
  readonly doneSteps: number;
  readonly totalSteps: number;
}

/** Denoises the pictures of the drawn codes `[pictures][places]`; picture i starts from the noise of `seed + i`. */
export async function* drawDiffusion(
  model: LoadedModel,
  { decoder, settings, text, source }: DiffusionDrawing,
  codes: readonly (readonly number[])[],
  seed: number,
  { preview, signal, onAbort }: ResolvedPictureOptions,
): AsyncGenerator<PictureEvent, Diffused, void> {
  const diffusion = { ...settings, text, codes, seed, signal, ...(source ? { source } : {}) };
  const totalSteps = settings.steps;
  let doneSteps = 0;
  let made: TensorValue | undefined;
  const steps = async function* (): AsyncGenerator<DiffusionProgress, void, void> {
    made = yield* diffuse(model, decoder, diffusion);
  };
  try {
    for await (const progress of steps()) {
      doneSteps = progress.doneSteps;
      yield { type: 'diffusion-progress', doneSteps, totalSteps };
      if (preview === 'decoder' && doneSteps < totalSteps) {
        const previews = roundedImages(await progress.picture());
        yield { type: 'preview-available', doneTokens: codes[0]!.length, doneSteps, previews };
      }
    }
  } catch (error) {
    if (onAbort === 'keep' && error instanceof AbortedError) return { doneSteps, totalSteps };
    throw error;
  }
  return { pictures: roundedImages(made!), doneSteps, totalSteps };
}

/** Levels as diffusers makes them, rounded where `toImages` cuts; half a level is 1 / 255 of the range from −1 to 1. */
function roundedImages(picture: TensorValue): RgbImage[] {
  return toImages({
    dtype: 'float32',
    shape: picture.shape,
    data: (picture.data as Float32Array).map((x) => x + 1 / 255),
  });
}
