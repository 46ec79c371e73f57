/**
 * Conversations into token ids, through the model folder's own Jinja chat template.
 *
 * Texts of messages are data: `<|im_end|>` typed by a user becomes the tokens of its characters, never the control token.
 * To tell the two apart the template is rendered with a mark in place of each text. Added tokens are recognised only in
 * what the template wrote; the rest of the template and the texts are encoded together, since the tokenizer merges
 * across their border (a text that begins with a newline joins the newline of `user\n`). For texts without the spelling
 * of an added token the ids are those of the reference, which encodes the whole rendered string.
 *
 * A template reaches nothing but its inputs, yet nothing bounds how long it runs: a hostile one can loop. Texts cannot
 * make a sound one do so.
 */
import { Template } from '@huggingface/jinja';
import { ConfigError } from '../config-error.ts';
import { PromptError } from './prompt-error.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly ChatPart[];
}

export type ChatPart = { readonly type: 'image' } | { readonly type: 'text'; readonly text: string };

export interface RenderOptions {
  /** Ends with the opening of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
}

/** A tokenizer with a chat template. */
export interface ChatFormat {
  readonly tokenizer: Tokenizer;
  readonly template: Template;
  /** Id of the token that the template puts where an image goes, and that is repeated for each of its tokens. */
  readonly imagePad: number;
}

/** A piece of a rendered conversation: written by the template, or text of a message. */
export interface ChatPiece {
  readonly source: 'template' | 'message';
  readonly text: string;
}

/** Limits: messages in a conversation, and UTF-16 units of a rendered one before images are expanded. */
export const maximumMessages = 1024;
export const maximumRenderedLength = 1 << 18;

/** More than any model's context; a bound for what a request can make us allocate. */
const maximumImageTokens = 1 << 20;
const imageToken = '<|image_pad|>';

/**
 * @param source the Jinja template.
 * @param file only for messages.
 * @throws ConfigError when the template cannot be parsed or the tokenizer has no image token.
 */
export function createChatFormat(tokenizer: Tokenizer, source: string, file: string): ChatFormat {
  const imagePad = tokenizer.idOf(imageToken);
  if (imagePad === undefined) {
    throw new ConfigError(file, { expected: `a tokenizer with the token ${imageToken}`, got: 'none' });
  }
  try {
    return { tokenizer, template: new Template(source), imagePad };
  } catch (cause) {
    throw new ConfigError(file, { expected: 'a Jinja template', got: (cause as Error).message, cause });
  }
}

/**
 * The conversation as the template writes it, one image token an image.
 * @throws PromptError for a conversation without messages or over the limits, and for a template that fails.
 */
export function renderChat(format: ChatFormat, messages: readonly ChatMessage[], options: RenderOptions = {}): string {
  if (messages.length === 0 || messages.length > maximumMessages) {
    throw new PromptError(
      'prompt_invalid',
      `a conversation of ${messages.length} messages; expected 1 to ${maximumMessages}`,
    );
  }
  const length = textsOf(messages).reduce((sum, text) => sum + text.length, 0);
  requireLength(length);
  let rendered: string;
  try {
    rendered = format.template.render({
      messages,
      add_generation_prompt: options.addGenerationPrompt ?? true,
    });
  } catch (cause) {
    throw new PromptError(
      'template_unsupported',
      `the chat template failed: ${(cause as Error).message}`,
      {},
      { cause },
    );
  }
  requireLength(rendered.length);
  return rendered;
}

/**
 * The rendered conversation in pieces, each known to come from the template or from a message.
 * @throws PromptError (`template_unsupported`) when the template changes the texts that it is given.
 */
export function renderChatPieces(
  format: ChatFormat,
  messages: readonly ChatMessage[],
  options: RenderOptions = {},
): ChatPiece[] {
  const texts = textsOf(messages);
  const rendered = renderChat(format, messages, options);
  const mark = unusedMark(texts);
  let index = 0;
  const marked = messages.map((message) => ({
    ...message,
    content: mapTexts(message.content, (text) => (text === '' ? '' : `${mark}${index++}${mark}`)),
  }));
  const marks = texts.filter((text) => text !== '');
  const split = renderChat(format, marked, options).split(new RegExp(`${mark}(\\d+)${mark}`));
  // The pattern has one group, so every second part is the number of a text.
  const pieces = split
    .map((part, position): ChatPiece => {
      if (position % 2 === 0) return { source: 'template', text: part };
      return { source: 'message', text: marks[Number(part)]! };
    })
    .filter((piece) => piece.text !== '');
  if (pieces.map((piece) => piece.text).join('') !== rendered) {
    throw new PromptError(
      'template_unsupported',
      'the chat template changes the texts of the messages (it may strip spaces or look for words in them); ' +
        'expected one that inserts them as they are',
    );
  }
  return pieces;
}

/**
 * The token ids of a conversation.
 * @param imageTokens for each image, in order, the number of tokens that the vision encoder gives: its image token is
 *   repeated that often.
 * @throws PromptError when the template shows another number of images than `imageTokens` has.
 */
export function encodeChat(
  format: ChatFormat,
  messages: readonly ChatMessage[],
  imageTokens: readonly number[] = [],
  options: RenderOptions = {},
): number[] {
  const ids = encodePieces(format.tokenizer, renderChatPieces(format, messages, options));
  return expandImages(ids, format.imagePad, imageTokens);
}

/** The token ids of pieces; added tokens are recognised in the template's pieces only. */
export function encodePieces(tokenizer: Tokenizer, pieces: readonly ChatPiece[]): number[] {
  const ids: number[] = [];
  let ordinary = '';
  const flush = () => {
    for (const id of tokenizer.encodeOrdinary(ordinary)) ids.push(id);
    ordinary = '';
  };
  for (const piece of pieces) {
    for (const part of piece.source === 'template' ? tokenizer.split(piece.text) : [piece.text]) {
      if (typeof part === 'string') ordinary += part;
      else {
        flush();
        ids.push(part);
      }
    }
  }
  flush();
  return ids;
}

function expandImages(ids: readonly number[], imagePad: number, imageTokens: readonly number[]): number[] {
  const shown = ids.filter((id) => id === imagePad).length;
  if (shown !== imageTokens.length) {
    throw new PromptError(
      'prompt_invalid',
      `the chat template shows ${shown} images, the caller gives ${imageTokens.length}`,
      { shown, given: imageTokens.length },
    );
  }
  const total = imageTokens.reduce((sum, tokens) => sum + tokens, 0);
  if (!imageTokens.every((tokens) => Number.isSafeInteger(tokens) && tokens > 0) || total > maximumImageTokens) {
    throw new PromptError(
      'prompt_invalid',
      `image token counts ${imageTokens.slice(0, 8).join(', ')}: expected whole numbers of at least 1, at most ${maximumImageTokens} in all`,
    );
  }
  let image = 0;
  return ids.flatMap((id) => (id === imagePad ? new Array<number>(imageTokens[image++]!).fill(id) : [id]));
}

function mapTexts(content: ChatMessage['content'], change: (text: string) => string): ChatMessage['content'] {
  if (typeof content === 'string') return change(content);
  return content.map((part) => (part.type === 'text' ? { ...part, text: change(part.text) } : part));
}

function textsOf(messages: readonly ChatMessage[]): string[] {
  return messages.flatMap(({ content }) =>
    typeof content === 'string' ? [content] : content.flatMap((part) => (part.type === 'text' ? [part.text] : [])),
  );
}

/** A private-use character, doubled until no text holds it: what stands between two of them is the number of a text. */
function unusedMark(texts: readonly string[]): string {
  let mark = '\uE000';
  while (texts.some((text) => text.includes(mark))) mark += '\uE000';
  return mark;
}

function requireLength(length: number): void {
  if (length <= maximumRenderedLength) return;
  throw new PromptError(
    'prompt_too_long',
    `a conversation of ${length} characters; at most ${maximumRenderedLength} fit`,
    { length, maximum: maximumRenderedLength },
  );
}
