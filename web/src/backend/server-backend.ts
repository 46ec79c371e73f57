/** `starstack serve` as backend; see docs/server.md. */
import type { Backend, ChosenSettings, EditOrder, PictureEvent, PictureOrder, Question, TextEvent } from './backend.ts';
import { BackendError, backendErrorOf } from './backend-error.ts';
import { readEventStream, type StreamItem } from './event-stream.ts';
import { isRecord, type ModelDescription, numberOf } from './model-description.ts';
import { errorOf, fieldsOf, modelOf, pngOf, stringOf, warningsOf } from './wire.ts';

export class ServerBackend implements Backend {
  readonly place: string;
  readonly #base: string;
  readonly #key: () => string;

  /**
   * @param base the server's address, without a path
   * @param key asked at each request; empty where none is known
   */
  constructor(base: string, key: () => string) {
    this.#base = base;
    this.place = new URL(base).host;
    this.#key = key;
  }

  async describe(signal: AbortSignal): Promise<ModelDescription> {
    try {
      return modelOf(await (await this.#fetch('/v1/models', { signal })).json());
    } catch (error) {
      throw backendErrorOf(error, signal);
    }
  }

  generate(order: PictureOrder, signal: AbortSignal): AsyncIterable<PictureEvent> {
    const body = JSON.stringify(pictureFields(order));
    return this.#draw('/v1/images/generations', 'image_generation', json(body), signal);
  }

  edit(order: EditOrder, signal: AbortSignal): AsyncIterable<PictureEvent> {
    const form = new FormData();
    for (const [name, value] of Object.entries(pictureFields(order))) {
      form.set(name, typeof value === 'string' ? value : JSON.stringify(value));
    }
    form.set('image', order.source, 'picture');
    if (order.mask) form.set('mask', order.mask, 'mask.png');
    return this.#draw('/v1/images/edits', 'image_edit', { method: 'POST', body: form }, signal);
  }

  async *ask({ turns, seed, settings }: Question, signal: AbortSignal): AsyncIterable<TextEvent> {
    const messages = await Promise.all(
      turns.map(async ({ role, text, pictures }) => {
        if (pictures.length === 0) return { role, content: text };
        const urls = await Promise.all(pictures.map(dataUrl));
        const images = urls.map((url) => ({ type: 'image_url', image_url: { url } }));
        return { role, content: [...images, { type: 'text', text }] };
      }),
    );
    const fields = { ...settings, messages, seed, stream: true, stream_options: { include_usage: true } };
    let finishReason: 'stop' | 'length' = 'stop';
    for await (const item of this.#stream('/v1/chat/completions', json(JSON.stringify(fields)), signal)) {
      if (item.type === 'comment') {
        const position = /^queued (\d+)$/.exec(item.text)?.[1];
        if (position !== undefined) yield { type: 'queued', position: Number(position) };
        continue;
      }
      if (item.data === '[DONE]') break;
      const { choices, usage } = fieldsOf(item.data);
      const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
      if (isRecord(choice)) {
        const text = isRecord(choice.delta) ? stringOf(choice.delta.content) : '';
        if (text !== '') yield { type: 'token-delta', text };
        if (choice.finish_reason === 'length') finishReason = 'length';
      } else if (isRecord(usage)) {
        const promptTokens = numberOf(usage.prompt_tokens) ?? 0;
        const answerTokens = numberOf(usage.completion_tokens) ?? 0;
        yield { type: 'text-end', finishReason, promptTokens, answerTokens };
        return;
      }
    }
    throw brokenOff(signal);
  }

  async *#draw(path: string, kind: string, request: RequestInit, signal: AbortSignal): AsyncIterable<PictureEvent> {
    for await (const item of this.#stream(path, request, signal)) {
      if (item.type === 'comment') continue;
      const event = pictureEventOf(fieldsOf(item.data), kind);
      if (event) yield event;
      if (event?.type === 'image-end') return;
    }
    throw brokenOff(signal);
  }

  async *#stream(path: string, request: RequestInit, signal: AbortSignal): AsyncGenerator<StreamItem, void, void> {
    try {
      const { body } = await this.#fetch(path, { ...request, signal });
      if (body === null) throw new BackendError('failed', `${path}: expected a stream, got an empty answer`);
      yield* readEventStream(body);
    } catch (error) {
      // Fetch throws a TypeError when the connection is lost while the body is read.
      throw error instanceof TypeError && !signal.aborted ? brokenOff(signal) : backendErrorOf(error, signal);
    }
  }

  /** @throws BackendError, and the signal's reason */
  async #fetch(path: string, request: RequestInit): Promise<Response> {
    const headers = new Headers(request.headers);
    const key = this.#key();
    if (key !== '') headers.set('authorization', `Bearer ${key}`);
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#base), { ...request, headers });
    } catch (cause) {
      if (request.signal?.aborted) throw cause;
      throw new BackendError('unreachable', `${this.place}${path}`, { cause });
    }
    if (response.ok) return response;
    const retryAfter = response.headers.get('retry-after');
    const body: unknown = await response.json().catch(() => undefined);
    throw errorOf(response.status, body, retryAfter === null ? undefined : Number(retryAfter));
  }
}

/** The fields that a generation and an edit have in common. */
function pictureFields({ prompt, seed, settings, preview }: PictureOrder): Record<string, unknown> {
  const chosen: ChosenSettings = settings;
  return {
    ...chosen,
    prompt,
    seed,
    stream: true,
    progress: true,
    partial_images: preview.count,
    preview: preview.kind,
  };
}

function pictureEventOf(fields: Readonly<Record<string, unknown>>, kind: string): PictureEvent | undefined {
  const number = (name: string) => numberOf(fields[name]) ?? 0;
  switch (fields.type) {
    case `${kind}.queued`:
      return { type: 'queued', position: number('queue_position') };
    case `${kind}.reasoning`:
      return { type: 'reasoning-delta', text: stringOf(fields.delta) };
    case `${kind}.started`:
      return { type: 'picture-start', seed: number('seed'), totalTokens: number('total_tokens') };
    case `${kind}.progress`:
      return 'done_steps' in fields
        ? { type: 'diffusion-progress', doneSteps: number('done_steps'), totalSteps: number('total_steps') }
        : { type: 'picture-progress', doneTokens: number('done_tokens'), totalTokens: number('total_tokens') };
    case `${kind}.partial_image`:
      return { type: 'preview-available', picture: pngOf(fields.b64_json) };
    case `${kind}.completed`: {
      const thought = fields.revised_prompt;
      const image = {
        png: pngOf(fields.b64_json),
        seed: number('seed'),
        warnings: warningsOf(fields.warnings),
        ...(typeof thought === 'string' ? { thought } : {}),
      };
      return { type: 'image-end', image };
    }
    default:
      return undefined;
  }
}

function json(body: string): RequestInit {
  return { method: 'POST', body, headers: { 'content-type': 'application/json' } };
}

function brokenOff(signal: AbortSignal): BackendError {
  return signal.aborted ? new BackendError('aborted', '') : new BackendError('broken-off', '');
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
