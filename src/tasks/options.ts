/**
 * What a caller may set, one schema a task: the library, the command line and the server check options with these.
 * Nothing is clamped: a value out of range is an error that names it.
 */
import { z } from 'zod';
import type { AlphaPlane } from '../image/mask.ts';
import type { GuidanceWindow } from '../models/lumina2/guidance.ts';
import type { GenerationConfig } from '../models/qwen25vl/generation-config.ts';
import type { PictureSampling } from '../models/star/config.ts';
import { TaskError } from './error.ts';

const seed = z
  .int()
  .min(0)
  .max(Number.MAX_SAFE_INTEGER)
  .describe('Seed of the draws; image i uses seed + i. Default: random.');
const temperature = z.number().min(0).max(100).describe('Divides the logits; 0 is greedy.');
const topK = z.int().min(0).describe('Draw among the k likeliest tokens; 0 keeps all.');
const topP = z
  .number()
  .gt(0)
  .max(1)
  .describe('Draw among the likeliest tokens whose probabilities reach p; 1 keeps all.');
const stopText = z.string().min(1).max(256);
const signal = z.custom<AbortSignal>((value) => value instanceof AbortSignal, 'expected an AbortSignal').optional();
const onAbort = z
  .enum(['throw', 'keep'])
  .default('throw')
  .describe('What an abort does: throw, or end with what is done.');

const guidance = z.number().min(0).max(1000);
const guidanceWindow = z.custom<GuidanceWindow>(isWindow, 'expected two numbers, 0 <= from < to <= 2').optional();

function isWindow(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2 || value.some((end) => typeof end !== 'number')) return false;
  const [from, to] = value as [number, number];
  return from >= 0 && from < to && to <= 2;
}

/**
 * Options of the diffusion decoder alone. Their defaults depend on the task and the decoder, see `draw-diffusion.ts`; a small
 * one is a decoder whose captions the base reads.
 */
const diffusionOptions = {
  steps: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe(
      'Denoising steps of the diffusion decoder. Default 40 to generate, 50 to edit; with a small one what it is made for, else 8.',
    ),
  resolution: z
    .int()
    .min(1)
    .max(1 << 14)
    .optional()
    .describe("Pixels on a side of the diffusion decoder's picture. Default 1024, or the most that it can."),
  diffusionGuidance: guidance
    .optional()
    .describe(
      'How much the diffusion decoder heeds the text; 1 is off. Default 4.5 to generate, 3 to edit; 1 with a small one.',
    ),
  imageGuidance: guidance
    .optional()
    .describe(
      'How much it heeds the tokens, or in an edit the source (a small one both); 1 is off. Default 1.05 to generate, 1.8 to edit; 1 with a ' +
        'small one.',
    ),
  vqGuidance: guidance
    .optional()
    .describe(
      'How much the diffusion decoder heeds the tokens of an edit; 0 is off. Not for generating. Default 1; 0 with a small one, which is told tokens and source together.',
    ),
  guidanceWindow: guidanceWindow.describe(
    'When the diffusion guidance holds: in step s of n if from < s/n < to, so 0,1 leaves out the last. Default 0,1.',
  ),
  imageGuidanceWindow: guidanceWindow.describe('The same for the image guidance. Default 0,1.'),
};

export const diffusionOptionNames = Object.keys(diffusionOptions) as readonly (keyof typeof diffusionOptions)[];

/** How codes are drawn where neither the caller nor the model says: the published README's settings. */
export const publishedSampling = {
  guidance: 1.1,
  topK: 1000,
  topP: 0.8,
  temperature: 1,
  reasoning: false,
  reasoningTemperature: 0,
} as const;

/** How a model's pictures are drawn where nothing is asked for. */
export function samplingDefaults(
  sampling: Readonly<Record<'generate' | 'edit', PictureSampling>>,
  task: 'generate' | 'edit',
): Required<Defined<PictureSampling>> {
  const own = Object.entries(sampling[task]).filter(([, value]) => value !== undefined);
  return { ...publishedSampling, ...Object.fromEntries(own) };
}

type Defined<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

/** Picture options. Defaults of sampling and reasoning are the model's, else the published ones: `parsePictureOptions`. */
export const pictureOptionsSchema = z.strictObject({
  seed: seed.optional(),
  count: z.int().min(1).max(64).default(1).describe('Images at once. Default 1.'),
  guidance: guidance
    .default(publishedSampling.guidance)
    .describe("Classifier-free guidance; 1 is off. Default the model's, else 1.1."),
  topK: topK
    .default(publishedSampling.topK)
    .describe("Draw among the k likeliest codes; 0 keeps all. Default the model's, else 1000."),
  topP: topP
    .default(publishedSampling.topP)
    .describe(
      "Draw among the likeliest codes whose probabilities reach p; 1 keeps all. Default the model's, else 0.8.",
    ),
  temperature: temperature
    .default(publishedSampling.temperature)
    .describe("Divides the logits; 0 is greedy. Default the model's, else 1."),
  reasoning: z
    .boolean()
    .default(publishedSampling.reasoning)
    .describe("Let the base answer first and draw its answer. Default the model's, else false."),
  reasoningTemperature: temperature
    .default(publishedSampling.reasoningTemperature)
    .describe("Of the thought; 0 is greedy, and then all images share it. Default the model's, else 0."),
  reasoningMaxTokens: z.int().min(1).max(4096).default(256).describe('Longest thought, in tokens. Default 256.'),
  repetitionPenalty: z
    .number()
    .positive()
    .optional()
    .describe("Of the thought. Default: the folder's generation_config.json."),
  decoder: z.enum(['vq', 'diffusion']).default('vq').describe('What turns codes into pixels. Default vq.'),
  ...diffusionOptions,
  preview: z
    .enum(['none', 'linear', 'decoder'])
    .default('none')
    .describe(
      'A picture after each row: a linear map, or the VQ decoder; decoder also gives one after each denoising step, for ' +
        "which the diffusion decoder's autoencoder is in memory beside its transformer. Default none.",
    ),
  signal,
  onAbort,
});

/** Options of answering; defaults are the folder's `generation_config.json`. */
export const understandOptionsSchema = z.strictObject({
  seed: seed.optional(),
  maxNewTokens: z.int().min(1).max(32_768).default(256).describe('Longest answer, in tokens. Default 256.'),
  temperature: temperature.optional(),
  topK: topK.optional(),
  topP: topP.optional(),
  repetitionPenalty: z.number().positive().max(100).optional().describe('Above 1 repeats less; 1 is off.'),
  stop: z
    .union([z.array(stopText).max(4), stopText.transform((text) => [text])], {
      error: 'expected a text of 1 to 256 characters, or up to four',
    })
    .default([])
    .describe('Texts, four at most, before which the answer ends. Default none.'),
  signal,
  onAbort,
});

export type PictureOptions = z.input<typeof pictureOptionsSchema>;
export type GenerateOptions = Omit<PictureOptions, 'vqGuidance'>;
/** @typeParam Mask as the caller has it: decoded, or a file. */
export type EditOptions<Mask = MaskSource> = PictureOptions & {
  /**
   * Transparent where the picture may change, of the source's size; where it is opaque, the source's pixels are pasted back.
   * Default: all may change.
   */
  readonly mask?: Mask | undefined;
};
/** A mask: decoded, or a PNG or WebP file with transparency: its bytes as a Blob, or its path (in a browser its URL). */
export type MaskSource = AlphaPlane | Blob | string;
export type UnderstandOptions = z.input<typeof understandOptionsSchema>;
export type ResolvedPictureOptions = z.output<typeof pictureOptionsSchema>;
export type ResolvedUnderstandOptions = z.output<typeof understandOptionsSchema>;

/** Checks options; throws `TaskError` with one line that names the option, what was expected and what was got. */
export function parseOptions<Schema extends z.ZodType>(
  schema: Schema,
  options: unknown,
  task: string,
): z.output<Schema> {
  const result = schema.safeParse(options ?? {});
  if (result.success) return result.data;
  const [issue] = result.error.issues as [z.core.$ZodIssue];
  const name = issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue.path.join('.');
  const given = issue.path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)?.[key], options);
  const got = issue.code === 'unrecognized_keys' ? '' : `, got ${JSON.stringify(given) ?? String(given)}`;
  throw new TaskError('option_invalid', `${task}: option ${name}: ${issue.message}${got}`, { option: name });
}

/**
 * `parseOptions` for pictures: options that the chosen decoder or the task has no use for are refused too.
 * @param sampling the model's own defaults
 */
export function parsePictureOptions(
  options: object | undefined,
  task: 'generate' | 'edit',
  sampling: Readonly<Record<'generate' | 'edit', PictureSampling>> = { generate: {}, edit: {} },
): ResolvedPictureOptions {
  const given = Object.entries(options ?? {}).filter(([, value]) => value !== undefined);
  const defaults = samplingDefaults(sampling, task);
  const resolved = parseOptions(pictureOptionsSchema, { ...defaults, ...Object.fromEntries(given) }, task);
  const refuse = (option: string, message: string) => {
    throw new TaskError('option_invalid', `${task}: option ${option}: ${message}`, { option });
  };
  const unused = diffusionOptionNames.find((name) => resolved[name] !== undefined);
  if (resolved.decoder === 'vq' && unused !== undefined) {
    refuse(unused, 'expected the decoder diffusion, which alone takes it, got decoder vq');
  }
  if (task === 'generate' && resolved.vqGuidance !== undefined) {
    refuse('vqGuidance', 'expected an edit; a picture without a source heeds its tokens by imageGuidance');
  }
  return resolved;
}

/** How a token is drawn: what the engine is fed. */
export interface Sampling {
  readonly temperature: number;
  /** 1 is greedy. */
  readonly topK: number;
  readonly topP: number;
  readonly repetitionPenalty: number;
}

/** Draw settings for a vocabulary of `size`; temperature 0 becomes the choice among one. */
export function samplingOf(
  options: { temperature: number; topK: number; topP: number; repetitionPenalty?: number },
  size: number,
): Sampling {
  const greedy = options.temperature === 0;
  return {
    temperature: greedy ? 1 : options.temperature,
    topK: greedy ? 1 : options.topK === 0 ? size : Math.min(options.topK, size),
    topP: options.topP,
    repetitionPenalty: options.repetitionPenalty ?? 1,
  };
}

/** Text settings: what the caller sets, else the folder's `generation_config.json`. */
export function textSampling(
  options: ResolvedUnderstandOptions,
  folder: GenerationConfig,
  vocabSize: number,
): Sampling {
  const temperature = options.temperature ?? (folder.doSample ? folder.temperature : 0);
  return samplingOf(
    {
      temperature,
      topK: options.topK ?? folder.topK,
      topP: options.topP ?? folder.topP,
      repetitionPenalty: options.repetitionPenalty ?? folder.repetitionPenalty,
    },
    vocabSize,
  );
}
