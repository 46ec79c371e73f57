/** The public face: one model that understands, generates and edits. */
import { readImage } from '../image/decode.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import type { DeviceChoice } from '../runtime/device.ts';
import { edit } from './edit.ts';
import type { PictureEvent, PictureResult, TextAnswer, TextEvent } from './events.ts';
import { generate } from './generate.ts';
import type { EditOptions, GenerateOptions, UnderstandOptions } from './options.ts';
import { type LoadOptions, StarModel } from './star-model.ts';
import { createTask, type Task } from './task.ts';
import { type ConversationMessage, converse } from './understand.ts';

/** A picture: decoded, or the path of a JPEG, PNG or WebP file. */
export type PictureSource = RgbImage | string;

/** Parts of a message as callers give them. */
export type MessagePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly image: PictureSource };

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly MessagePart[];
}

/**
 * A loaded model. Everything slow can be awaited, or read as events through `.stream`, and takes a `signal`.
 *
 * ```ts
 * await using star = await Star.load('nano');
 * const { images } = await star.generate('two red apples', { seed: 7 });
 * await images[0].save('apples.png');
 * ```
 */
export class Star implements AsyncDisposable {
  readonly model: StarModel;
  /** Answers a question about one picture or several. */
  readonly understand: Task<
    [PictureSource | readonly PictureSource[], string, UnderstandOptions?],
    TextEvent,
    TextAnswer
  >;
  /** Answers the last turn of a conversation of several turns and pictures. */
  readonly chat: Task<[readonly Message[], UnderstandOptions?], TextEvent, TextAnswer>;
  /** Draws a text. */
  readonly generate: Task<[string, GenerateOptions?], PictureEvent, PictureResult>;
  /** Redraws a picture as an instruction says. */
  readonly edit: Task<[PictureSource, string, EditOptions?], PictureEvent, PictureResult>;

  private constructor(model: StarModel) {
    this.model = model;
    this.understand = createTask(async function* (pictures, question, options) {
      const list = Array.isArray(pictures) ? (pictures as readonly PictureSource[]) : [pictures as PictureSource];
      const content: MessagePart[] = [
        ...list.map((image) => ({ type: 'image' as const, image })),
        { type: 'text', text: question },
      ];
      return yield* converse(model, await readMessages([{ role: 'user', content }]), options);
    });
    this.chat = createTask(async function* (messages, options) {
      return yield* converse(model, await readMessages(messages), options);
    });
    this.generate = createTask((text, options) => generate(model, text, options));
    this.edit = createTask(async function* (picture, instruction, options) {
      return yield* edit(model, await readPicture(picture), instruction, options);
    });
  }

  /**
   * Opens a model folder in the published layout, or the package's own model by its name; its programs load when first
   * used.
   * @param model a folder's path, or `nano`
   */
  static async load(model: string, options?: LoadOptions): Promise<Star> {
    return new Star(await StarModel.open(model, options));
  }

  get device(): DeviceChoice {
    return this.model.runtime.device;
  }

  /** Frees the sessions and the worker thread; later calls throw `DisposedError`. */
  dispose(): Promise<void> {
    return this.model.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

async function readPicture(picture: PictureSource): Promise<RgbImage> {
  return typeof picture === 'string' ? readImage(picture) : picture;
}

async function readMessages(messages: readonly Message[]): Promise<ConversationMessage[]> {
  const result: ConversationMessage[] = [];
  for (const { role, content } of messages) {
    if (typeof content === 'string') result.push({ role, content });
    else {
      const parts = content.map(async (part) =>
        part.type === 'text' ? part : { type: 'image' as const, image: await readPicture(part.image) },
      );
      result.push({ role, content: await Promise.all(parts) });
    }
  }
  return result;
}
