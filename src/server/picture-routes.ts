/** `POST /v1/images/generations` and `POST /v1/images/edits`. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { decodeAlpha, decodeImage } from '../image/decode.ts';
import { encodeImage } from '../image/encode.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import type { PictureEvent, PictureResult, TaskWarning } from '../tasks/events.ts';
import { GeneratedImage } from '../tasks/generated-image.ts';
import { isPreviewDue } from '../tasks/preview-pace.ts';
import type { Star } from '../tasks/star.ts';
import { follow } from '../tasks/task.ts';
import { parseBody, requireModel } from './body.ts';
import { type EditForm, readEditForm } from './edit-form.ts';
import { invalidRequest } from './error.ts';
import { EventStream } from './event-stream.ts';
import type { Exchange, ServerContext } from './exchange.ts';
import { bytesPerMebibyte } from './options.ts';
import { decodeLimits, inspectPictures, readImageUrls } from './picture-input.ts';
import {
  editFormSchema,
  editRequestSchema,
  generationRequestSchema,
  orderOf,
  type PictureOrder,
  type PictureRequest,
  urlOf,
} from './picture-request.ts';

type PictureStream = AsyncGenerator<PictureEvent, PictureResult, void>;

/** A picture route's work, once its request is understood. */
interface PictureWork {
  /** Begins the names of the stream's events. */
  readonly kind: 'image_generation' | 'image_edit';
  readonly request: PictureRequest;
  readonly warnings: readonly TaskWarning[];
  /** Called when the turn has come. */
  begin(): Promise<PictureStream>;
}

export async function answerGeneration(
  context: ServerContext,
  exchange: Exchange,
  asked: FastifyRequest,
  reply: FastifyReply,
) {
  const star = context.star();
  const request = parseBody(generationRequestSchema, asked.body) as PictureRequest;
  const { options, warnings } = orderFor(star, request);
  const begin = async () => star.generate.stream(request.prompt, { ...options, signal: exchange.signal });
  return answer(context, exchange, reply, { kind: 'image_generation', request, warnings, begin });
}

export async function answerEdit(
  context: ServerContext,
  exchange: Exchange,
  asked: FastifyRequest,
  reply: FastifyReply,
) {
  const star = context.star();
  const { request, images, mask } = await readEdit(context, asked, exchange.signal);
  const { options, warnings } = orderFor(star, request);
  const [first] = images;
  if (first === undefined) throw invalidRequest('missing_required_parameter', 'image: missing', 'image');
  if (images.length > 1) {
    throw invalidRequest('too_many_images', `image: the model edits one picture, got ${images.length}`, 'image');
  }
  await inspectPictures([first], 'image', context.options);
  if (mask) await inspectPictures([mask], 'mask', context.options);
  const limits = decodeLimits(context.options);
  const begin = async () => {
    const source = await decodeImage(first, limits);
    const alpha = mask && (await decodeAlpha(mask, limits));
    return star.edit.stream(source, request.prompt, { ...options, mask: alpha, signal: exchange.signal });
  };
  return answer(context, exchange, reply, { kind: 'image_edit', request, warnings, begin });
}

function orderFor(star: Star, request: PictureRequest): PictureOrder {
  const { star: config } = star.model.folder;
  requireModel(request.model, config.modelName);
  return orderOf(request, config.pixelEncoder.imageSize);
}

async function readEdit(
  { options }: ServerContext,
  asked: FastifyRequest,
  signal: AbortSignal,
): Promise<{ request: PictureRequest; images: EditForm['images']; mask?: Uint8Array }> {
  if (asked.isMultipart()) {
    const { fields, ...files } = await readEditForm(asked, options.maxFile * bytesPerMebibyte, signal);
    return { request: parseBody(editFormSchema, fields) as PictureRequest, ...files };
  }
  const request = parseBody(editRequestSchema, asked.body);
  const named = request.images.map((image, index) => ({ image, param: `images.${index}` }));
  if (request.mask) named.push({ image: request.mask, param: 'mask' });
  const urls = named.map(({ image, param }) => ({ url: urlOf(image, param), param }));
  const files = await readImageUrls(urls, options, signal);
  const [images, mask] = [files.slice(0, request.images.length), files[request.images.length]];
  return { request: request as unknown as PictureRequest, images, ...(mask ? { mask } : {}) };
}

async function answer(context: ServerContext, exchange: Exchange, reply: FastifyReply, work: PictureWork) {
  const { request } = work;
  if (!request.stream) {
    const { result, usage } = await exchange.inTurn(
      () => draw(context, exchange, work),
      (position) => reply.header('x-queue-position', position),
    );
    const warnings = [...work.warnings, ...result.warnings];
    return {
      created: unixTime(),
      ...describe(request, result.images[0]!),
      data: await Promise.all(
        result.images.map(async (image) => ({
          b64_json: await base64Of(image, request),
          // The picture shows the thought, and not the prompt as it was given.
          ...(image.recipe.thought === undefined ? {} : { revised_prompt: image.recipe.thought }),
          seed: image.seed,
        })),
      ),
      usage,
      ...(warnings.length > 0 ? { warnings } : {}),
    };
  }
  const stream = new EventStream(reply, context.options.heartbeat);
  try {
    const told = request.progress ? stream : undefined;
    const queued = (position: number) => {
      if (told) told.send({ type: `${work.kind}.queued`, queue_position: position }, `${work.kind}.queued`);
      else stream.comment(`queued ${position}`);
    };
    const { result, usage } = await exchange.inTurn(() => draw(context, exchange, work, stream), queued);
    const image = result.images[0]!;
    const type = `${work.kind}.completed`;
    const warnings = [...work.warnings, ...result.warnings];
    stream.send(
      {
        type,
        b64_json: await base64Of(image, request),
        created_at: unixTime(),
        ...describe(request, image),
        usage,
        seed: image.seed,
        ...(image.recipe.thought === undefined ? {} : { revised_prompt: image.recipe.thought }),
        ...(warnings.length > 0 ? { warnings } : {}),
      },
      type,
    );
    stream.end();
  } catch (error) {
    stream.fail(error);
    throw error;
  }
  return reply;
}

/** Draws in the request's turn, telling of it where it is streamed. */
async function draw(context: ServerContext, exchange: Exchange, work: PictureWork, stream?: EventStream) {
  const { metrics } = context;
  const { kind, request } = work;
  const partials = request.partial_images;
  const started = performance.now();
  let start: Extract<PictureEvent, { type: 'picture-start' }> | undefined;
  let done = 0;
  let shown = 0;
  let thoughtTokens = 0;
  const tell = (name: string, data: object) => {
    if (request.progress) stream?.send({ type: `${kind}.${name}`, ...data }, `${kind}.${name}`);
  };
  const result = await follow(await work.begin(), async (event) => {
    switch (event.type) {
      case 'reasoning-delta':
        thoughtTokens++;
        metrics.textTokens.inc();
        tell('reasoning', { delta: event.text });
        break;
      case 'picture-start':
        start = event;
        tell('started', { seed: event.seed, total_tokens: event.totalTokens });
        break;
      case 'picture-progress':
        if (done === 0)
          metrics.firstTokenSeconds.observe({ route: exchange.route }, (performance.now() - started) / 1000);
        metrics.imageTokens.inc((event.doneTokens - done) * start!.count);
        done = event.doneTokens;
        tell('progress', { done_tokens: done, total_tokens: event.totalTokens });
        break;
      case 'diffusion-progress':
        tell('progress', { done_steps: event.doneSteps, total_steps: event.totalSteps });
        break;
      case 'preview-available': {
        const pace = { count: partials, shown, totalTokens: start!.totalTokens };
        if (!stream || !isPreviewDue(event, pace)) break;
        const image = event.previews[0]!;
        const type = `${kind}.partial_image`;
        const b64_json = await base64Of(image, request);
        const fields = { partial_image_index: shown++, created_at: unixTime(), ...describe(request, image) };
        stream.send({ type, b64_json, ...fields }, type);
        break;
      }
    }
  });
  const { promptTokens, sourceTokens, count, totalTokens } = start!;
  const output = totalTokens * count + thoughtTokens;
  const usage = {
    total_tokens: promptTokens + output,
    input_tokens: promptTokens,
    output_tokens: output,
    input_tokens_details: { text_tokens: promptTokens - sourceTokens, image_tokens: sourceTokens },
  };
  return { result, usage };
}

/** Fields that events and answers share. */
function describe(request: PictureRequest, { width, height }: RgbImage) {
  const { quality, output_format } = request;
  return { size: `${width}x${height}`, quality, background: 'opaque', output_format };
}

async function base64Of(image: RgbImage, { output_format: format, output_compression: quality }: PictureRequest) {
  const bytes =
    format === 'png' && image instanceof GeneratedImage
      ? await image.toPng()
      : await encodeImage(image, format, { quality });
  return Buffer.from(bytes).toString('base64');
}

function unixTime(): number {
  return Math.floor(Date.now() / 1000);
}
