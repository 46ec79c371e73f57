/**
 * The page itself as backend: a model folder beside it, run by `starstack/browser` in a web worker. No server computes
 * anything; see docs/browser.md.
 */
import {
  BrowserError,
  type BrowserLoadOptions,
  type PictureEvent as Drawing,
  type EditOptions,
  Star,
} from '../../../src/browser.ts';
import { ConfigError } from '../../../src/models/config-error.ts';
import { optionNameOf } from '../../../src/tasks/field-names.ts';
import { describeFolder } from '../../../src/tasks/model-description.ts';
import { isPreviewDue } from '../../../src/tasks/preview-pace.ts';
import { requestFaultOf } from '../../../src/tasks/request-fault.ts';
import { follow } from '../../../src/tasks/task.ts';
import { TurnQueue } from '../../../src/tasks/turn-queue.ts';
import type {
  Backend,
  ChosenSettings,
  EditOrder,
  LoadingProgress,
  PictureEvent,
  PictureOrder,
  Question,
  TextEvent,
} from './backend.ts';
import { BackendError, backendErrorOf } from './backend-error.ts';
import type { ModelDescription } from './model-description.ts';
import { itemsOf } from './stream-items.ts';
import { descriptionOf } from './wire.ts';

/** More than the studio asks for at once. */
const maxQueue = 64;
/** Of a conversation: each is computed anew with every question. */
const maxPictures = 16;

type Queued = { readonly type: 'queued'; readonly position: number };
type Begin = (star: Star, options: EditOptions) => ReturnType<Star['edit']['stream']>;

export class BrowserBackend implements Backend {
  readonly place = 'browser';
  readonly #model: string;
  readonly #options: BrowserLoadOptions;
  readonly #queue = new TurnQueue(maxQueue, (retryAfter) => new BackendError('busy', '', { retryAfter }));
  #star: Star | undefined;
  #loading = false;

  /** @param model URL of a model folder with a manifest, against the page's own */
  constructor(model: string, options: BrowserLoadOptions = {}) {
    this.#model = model;
    this.#options = options;
  }

  /** Loads the model, or takes it from the browser's cache, where that is not done yet. */
  async describe(signal: AbortSignal, tell?: (progress: LoadingProgress) => void): Promise<ModelDescription> {
    if (this.#star) return describe(this.#star);
    if (this.#loading) throw loading();
    this.#loading = true;
    try {
      this.#star = await Star.load(this.#model, { ...this.#options, signal, onProgress: tell });
      return describe(this.#star);
    } catch (error) {
      throw failureOf(error, signal);
    } finally {
      this.#loading = false;
    }
  }

  generate(order: PictureOrder, signal: AbortSignal): AsyncIterable<PictureEvent> {
    return this.#draw(order, signal, (star, options) => star.generate.stream(order.prompt, options));
  }

  edit(order: EditOrder, signal: AbortSignal): AsyncIterable<PictureEvent> {
    return this.#draw(order, signal, (star, options) =>
      star.edit.stream(order.source, order.prompt, { ...options, mask: order.mask }),
    );
  }

  ask({ turns, seed, settings }: Question, signal: AbortSignal): AsyncIterable<TextEvent> {
    const messages = turns.map(({ role, text, pictures }) => {
      const images = pictures.map((image) => ({ type: 'image' as const, image }));
      return { role, content: images.length === 0 ? text : [...images, { type: 'text' as const, text }] };
    });
    return this.#inTurn<TextEvent>(signal, async (star, ended, tell) => {
      let told = '';
      const say = (text: string) => {
        if (text !== '') tell({ type: 'token-delta', text });
        told += text;
      };
      const events = star.chat.stream(messages, { ...optionsOf(settings), seed, signal: ended });
      const { answer, finishReason, promptTokens, tokenIds } = await follow(events, (event) => {
        if (event.type === 'token-delta') say(event.text);
      });
      // The last bytes of a character that was cut off come with the end.
      say(answer.slice(told.length));
      const cut = finishReason === 'length' ? 'length' : 'stop';
      tell({ type: 'text-end', finishReason: cut, promptTokens, answerTokens: tokenIds.length });
    });
  }

  #draw(order: PictureOrder, signal: AbortSignal, begin: Begin): AsyncIterable<PictureEvent> {
    const { seed, settings, preview } = order;
    return this.#inTurn<PictureEvent>(signal, async (star, ended, tell) => {
      const kind = preview.count > 0 ? preview.kind : 'none';
      const options: EditOptions = { ...optionsOf(settings), seed, preview: kind, signal: ended };
      let totalTokens = 1;
      let shown = 0;
      const { images, thought, warnings } = await follow(begin(star, options), async (event: Drawing) => {
        switch (event.type) {
          case 'picture-start':
            totalTokens = event.totalTokens;
            tell({ type: 'picture-start', seed: event.seed, totalTokens });
            break;
          case 'preview-available': {
            if (!isPreviewDue(event, { count: preview.count, shown, totalTokens })) break;
            shown++;
            tell({
              type: 'preview-available',
              picture: pngBlob(await star.model.codec.encodePng(event.previews[0]!, {})),
            });
            break;
          }
          case 'reasoning-delta':
          case 'picture-progress':
          case 'diffusion-progress':
            tell(event);
            break;
        }
      });
      const [image] = images;
      const drawn = {
        png: pngBlob(await image!.toPng()),
        seed: image!.seed,
        warnings: warnings.map(({ message }) => message),
        ...(thought === undefined ? {} : { thought }),
      };
      tell({ type: 'image-end', image: drawn });
    });
  }

  /**
   * Runs work when its turn comes, and gives what it tells. An abort is heard at once; the next order's turn comes when the
   * engine has stopped, a row later.
   */
  async *#inTurn<Event>(
    signal: AbortSignal,
    work: (star: Star, ended: AbortSignal, tell: (event: Event) => void) => Promise<void>,
  ): AsyncGenerator<Event | Queued, void, void> {
    const star = this.#star;
    if (!star) throw loading();
    const leaving = new AbortController();
    const ended = AbortSignal.any([signal, leaving.signal]);
    const events = new ReadableStream<Event | Queued>({
      start: (stream) => {
        const tell = (event: Event | Queued) => {
          if (!ended.aborted) stream.enqueue(event);
        };
        ended.addEventListener('abort', () => stream.error(ended.reason), { once: true });
        this.#queue
          .run(
            ended,
            () => work(star, ended, tell),
            (position) => tell({ type: 'queued', position }),
          )
          .then(() => {
            if (!ended.aborted) stream.close();
          })
          .catch((error: unknown) => stream.error(error));
      },
      cancel: (reason) => leaving.abort(reason),
    });
    try {
      yield* itemsOf(events);
    } catch (error) {
      throw failureOf(error, signal);
    }
  }
}

function describe(star: Star): ModelDescription {
  const { device, model, warnings } = star;
  const { threads } = model.runtime;
  const limits = { max_queue_size: maxQueue, max_images: maxPictures };
  return {
    ...descriptionOf({ ...describeFolder(model.folder), limits }),
    device: device.chosen === 'webgpu' ? { kind: 'webgpu' } : { kind: 'wasm', threads },
    notes: [device.reason, ...warnings.map(({ message }) => message)],
  };
}

/** Settings by the names that the library has for them. */
function optionsOf(settings: ChosenSettings): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [optionNameOf(name), value]));
}

function loading(): BackendError {
  return new BackendError('loading', '');
}

function failureOf(error: unknown, signal: AbortSignal): BackendError {
  if (signal.aborted || error instanceof BackendError) return backendErrorOf(error, signal);
  const fault = requestFaultOf(error);
  if (fault) {
    const { message, param } = fault;
    return new BackendError('refused', message, { cause: error, ...(param === undefined ? {} : { setting: param }) });
  }
  const message = error instanceof Error ? error.message : String(error);
  // What a site answers in place of a model's files is no configuration.
  const fetching =
    error instanceof ConfigError || (error instanceof BrowserError && error.code !== 'browser_insecure_context');
  return new BackendError(fetching ? 'download' : 'engine', message, { cause: error });
}

function pngBlob(bytes: Uint8Array): Blob {
  return new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'image/png' });
}
