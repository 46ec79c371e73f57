/** What a loaded model does, the same on every platform. */
import type { PictureCodec } from '../image/codec.ts';
import type { RgbImage } from '../image/rgb-image.ts';
import type { DeviceChoice } from '../runtime/device.ts';
import { edit } from './edit.ts';
import type { PictureEvent, PictureResult, TaskWarning, TextAnswer, TextEvent } from './events.ts';
import { generate } from './generate.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { EditOptions, GenerateOptions, UnderstandOptions } from './options.ts';
import { createTask, type Task } from './task.ts';
import { type ConversationMessage, type ConversationPart, converse } from './understand.ts';

/** A picture: decoded, or a JPEG, PNG or WebP file: its bytes as a Blob, or its path (in a browser its URL). */
export type PictureSource = RgbImage | Blob | string;

/** Messages as callers give them. */
export type MessagePart = ConversationPart<PictureSource>;
export type Message = ConversationMessage<PictureSource>;

/** A loaded model. Everything slow can be awaited, or read as events through `.stream`, and takes a `signal`. */
export class StarTasks implements AsyncDisposable {
  readonly model: LoadedModel;
  /** What whoever loaded the model should know: of its files, and of what this machine lacks. */
  readonly warnings: readonly TaskWarning[];
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

  protected constructor(model: LoadedModel, warnings: readonly TaskWarning[] = []) {
    this.model = model;
    this.warnings = [
      ...model.weights.warnings.map((message) => ({ code: 'checkpoint_warning', message })),
      ...warnings,
    ];
    this.understand = createTask(async function* (pictures, question, options) {
      const list = Array.isArray(pictures) ? (pictures as readonly PictureSource[]) : [pictures as PictureSource];
      const content: MessagePart[] = [
        ...list.map((image) => ({ type: 'image' as const, image })),
        { type: 'text', text: question },
      ];
      return yield* converse(model, await readMessages(model.codec, [{ role: 'user', content }]), options);
    });
    this.chat = createTask(async function* (messages, options) {
      return yield* converse(model, await readMessages(model.codec, messages), options);
    });
    this.generate = createTask((text, options) => generate(model, text, options));
    this.edit = createTask(async function* (picture, instruction, options) {
      const source = await readPicture(model.codec, picture);
      const { mask, ...others } = options ?? {};
      const read = typeof mask === 'string' || mask instanceof Blob ? await model.codec.readAlpha(mask) : mask;
      return yield* edit(model, source, instruction, { ...others, mask: read });
    });
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

async function readPicture(codec: PictureCodec, picture: PictureSource): Promise<RgbImage> {
  return typeof picture === 'string' || picture instanceof Blob ? codec.read(picture) : picture;
}

async function readMessages(codec: PictureCodec, messages: readonly Message[]): Promise<ConversationMessage[]> {
  const result: ConversationMessage[] = [];
  for (const { role, content } of messages) {
    if (typeof content === 'string') result.push({ role, content });
    else {
      const parts = content.map(async (part) =>
        part.type === 'text' ? part : { type: 'image' as const, image: await readPicture(codec, part.image) },
      );
      result.push({ role, content: await Promise.all(parts) });
    }
  }
  return result;
}
