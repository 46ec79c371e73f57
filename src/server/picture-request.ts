/** What clients may ask of `/v1/images/*`: OpenAI's fields, and beside them the options of the tasks by their names. */
import { z } from 'zod';
import type { TaskWarning } from '../tasks/events.ts';
import { fieldNameOf, optionNameOf } from '../tasks/field-names.ts';
import { type GenerateOptions, type PictureOptions, pictureOptionsSchema } from '../tasks/options.ts';
import { invalidRequest } from './error.ts';
import { maxPictures } from './options.ts';

/** Options that have another name in OpenAI's API, or none. */
const own: ReadonlySet<string> = new Set(['count', 'preview', 'signal', 'onAbort']);

/**
 * The options of a task as fields of a request: `top_k` for `topK`. Without their defaults: those of the model go before the
 * published ones, and only the task knows them.
 */
function taskFields(schema: z.ZodObject): Record<string, z.ZodType> {
  const entries = Object.entries(schema.shape).filter(([name]) => !own.has(name));
  return Object.fromEntries(entries.map(([name, type]) => [fieldNameOf(name), withoutDefault(type as z.ZodType)]));
}

function withoutDefault(type: z.ZodType): z.ZodType {
  if (!(type instanceof z.ZodDefault)) return type;
  const bare = (type.unwrap() as z.ZodType).optional();
  return type.description === undefined ? bare : bare.describe(type.description);
}

const commonFields = {
  prompt: z.string().min(1).max(32_000).describe('What the picture shall show, or what to change.'),
  model: z.string().optional().describe('The id that /v1/models gives. Default: the one that is served.'),
  n: z.int().min(1).max(10).default(1).describe('Pictures; one where they are streamed. Default 1.'),
  size: z
    .string()
    .regex(/^(auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/, 'expected auto or WIDTHxHEIGHT')
    .default('auto')
    .describe("auto, or the model's own; with the diffusion decoder any that it can. Default auto."),
  quality: z
    .enum(['auto', 'standard', 'low', 'medium', 'high', 'hd'])
    .default('auto')
    .describe('Steps of the diffusion decoder: low 20, high and hd 80, else its default. Default auto.'),
  response_format: z
    .enum(['b64_json', 'url'])
    .default('b64_json')
    .describe('Only b64_json is supported. Default that.'),
  output_format: z.enum(['png', 'jpeg', 'webp']).default('png').describe('PNG carries its recipe. Default png.'),
  output_compression: z.int().min(1).max(100).optional().describe('Quality of JPEG and WebP. Default 95.'),
  background: z
    .enum(['auto', 'opaque', 'transparent'])
    .default('auto')
    .describe('transparent is refused. Default auto.'),
  moderation: z.enum(['auto', 'low']).optional().describe('Without effect.'),
  style: z.enum(['vivid', 'natural']).optional().describe('Without effect.'),
  user: z.string().max(512).optional().describe('Without effect.'),
  stream: z.boolean().default(false).describe('Answer as server-sent events. Default false.'),
  partial_images: z
    .int()
    .min(0)
    .max(64)
    .default(0)
    .describe('Unfinished pictures in the stream, evenly spaced; OpenAI knows 0 to 3. Default 0.'),
  preview: z
    .enum(['linear', 'decoder'])
    .default('linear')
    .describe('How they are made: a linear map, or decoded. Default linear.'),
  progress: z
    .boolean()
    .default(false)
    .describe(
      'Also stream the place in the queue, the thought, the start with its seed, and the tokens done, as events of our own. ' +
        'Default false.',
    ),
};

export const generationRequestSchema = z.strictObject({ ...commonFields, ...taskFields(pictureOptionsSchema) });

const imageReference = z.union([
  z.string().min(1),
  z.strictObject({ image_url: z.string().min(1).optional(), file_id: z.string().optional() }),
]);

const editFields = {
  input_fidelity: z.enum(['high', 'low']).optional().describe('Without effect.'),
  ...commonFields,
  ...taskFields(pictureOptionsSchema),
};

/** An edit whose pictures came as files. */
export const editFormSchema = z.strictObject(editFields);

/** An edit whose pictures are data URLs. */
export const editRequestSchema = z.strictObject({
  ...editFields,
  images: z.array(imageReference).min(1).max(maxPictures).describe('One picture: {image_url}, a data URL.'),
  mask: imageReference.optional().describe('Transparent where the picture may change; of its size.'),
});

export type ImageReference = z.output<typeof imageReference>;
export type PictureRequest = z.output<typeof generationRequestSchema>;

/** The data URL of a reference. */
export function urlOf(reference: ImageReference, param: string): string {
  if (typeof reference === 'string') return reference;
  const { image_url: url, file_id: file } = reference;
  if (file !== undefined) throw invalidRequest('unsupported_value', 'this server keeps no files; use image_url', param);
  if (url === undefined) throw invalidRequest('missing_required_parameter', 'expected image_url', param);
  return url;
}

/** What a request asks of the task, and what of it has no effect. */
export interface PictureOrder {
  /** Of `generate`, or of `edit`. */
  readonly options: PictureOptions & GenerateOptions;
  readonly warnings: readonly TaskWarning[];
}

const qualitySteps: Readonly<Record<string, number>> = { low: 20, high: 80, hd: 80 };
const withoutEffect = ['moderation', 'style', 'user', 'input_fidelity'];

/**
 * Turns a checked request into options.
 * @param nativeSize side of the VQ decoder's pictures, in pixels
 * @throws ServerError for what is known and not supported
 */
export function orderOf(request: PictureRequest, nativeSize: number): PictureOrder {
  refuseUnsupported(request);
  const fields = new Map<string, unknown>(Object.entries(request));
  const options: Record<string, unknown> = { count: request.n };
  for (const name of fields.keys()) {
    if (!Object.hasOwn(commonFields, name) && name !== 'input_fidelity' && name !== 'images' && name !== 'mask') {
      options[optionNameOf(name)] = fields.get(name);
    }
  }
  const warnings: TaskWarning[] = withoutEffect
    .filter((name) => fields.get(name) !== undefined)
    .map((name) => ({ code: 'field_without_effect', message: `${name} has no effect on this server` }));
  const diffusion = options.decoder === 'diffusion';
  if (request.size !== 'auto') {
    const [width, height] = request.size.split('x').map(Number) as [number, number];
    const fits = width === height && (diffusion ? (options.resolution ?? width) === width : width === nativeSize);
    if (!fits) {
      const sizes = diffusion ? 'a square, as resolution says where that is given' : `${nativeSize}x${nativeSize}`;
      throw invalidRequest('invalid_value', `size: expected auto or ${sizes}, got ${request.size}`, 'size');
    }
    if (diffusion) options.resolution = width;
  }
  const steps = qualitySteps[request.quality];
  if (diffusion && steps !== undefined) options.steps ??= steps;
  else if (!diffusion && !['auto', 'standard'].includes(request.quality)) {
    warnings.push({ code: 'field_without_effect', message: 'quality has an effect on the diffusion decoder alone' });
  }
  options.preview = request.stream && request.partial_images > 0 ? request.preview : 'none';
  return { options: options as PictureOrder['options'], warnings };
}

function refuseUnsupported({ response_format, background, stream, n }: PictureRequest): void {
  if (response_format === 'url') {
    throw invalidRequest(
      'unsupported_value',
      'response_format: this server keeps no files; use b64_json',
      'response_format',
    );
  }
  if (background === 'transparent') {
    throw invalidRequest('unsupported_value', 'background: the model draws no transparency', 'background');
  }
  if (stream && n > 1) {
    throw invalidRequest('unsupported_value', 'n: a stream shows one picture; ask for one, or without stream', 'n');
  }
}
