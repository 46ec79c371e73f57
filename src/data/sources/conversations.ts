/**
 * Conversations as the field writes them, one a line of JSON:
 * - as LLaVA does, `{image, conversations: [{from: "human" | "gpt", value}]}`, with the mark `<image>` where the
 *   picture stands;
 * - as chats do, `{messages: [{role: "user" | "assistant", content}]}`, the content a text or a list of parts
 *   `{type: "text", text}`, `{type: "image", image}` and `{type: "image_url", image_url: {url}}`.
 *
 * Pictures are paths in the data's folder. A conversation shows one at most. A `system` message may come first.
 */
import type { JsonValue } from '../../checkpoint/json.ts';
import { StarError } from '../../errors.ts';
import type { ChatMessage, ChatPart } from '../../models/qwen25vl/chat.ts';
import { DataError } from '../error.ts';
import { type Fields, indexRecords } from './jsonl.ts';
import type { ConversationOptions } from './options.ts';
import { passedOver, type SampleIndex } from './order.ts';
import { checkText } from './picture.ts';
import type { ConversationSample } from './sample.ts';

/** What stands for a picture in a text. */
const mark = '<image>';

/**
 * The conversations of a file.
 * @param about those that are given; others are passed over. A record that cannot be read is told of unless only texts
 *   are asked for: who asks for those asks for the others too, and a fault is to be counted once.
 * @param make what is given in the place of a conversation; throws a StarError where it cannot be used
 */
export async function indexConversations<Made>(
  options: ConversationOptions,
  about: 'picture' | 'text' | 'any',
  make: (sample: ConversationSample) => Made,
): Promise<SampleIndex<Made>> {
  const { imageKey, conversationsKey = '' } = options;
  const keys = [imageKey, conversationsKey];
  const index = await indexRecords<ConversationSample>(options, keys, async (fields, picture, _, source) => {
    const { messages, path } = readConversation(fields, options);
    if (about !== 'any' && about !== (path === undefined ? 'text' : 'picture')) return passedOver;
    return { image: path === undefined ? undefined : await picture(imageKey, path), messages, source };
  });
  const read: typeof index.load = (at, place) =>
    index.load(at, place).catch((error: unknown) => {
      if (about === 'text' && StarError.isInstance(error)) return passedOver;
      throw error;
    });
  const load: SampleIndex<Made>['load'] = async (at, place) => {
    const sample = await read(at, place);
    return sample === passedOver ? passedOver : make(sample);
  };
  return { ...index, load };
}

type Role = ChatMessage['role'];

const roles: ReadonlyMap<JsonValue | undefined, Role> = new Map<JsonValue, Role>([
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['assistant', 'assistant'],
  ['system', 'system'],
]);

/** A text, or a picture: at a path, or the next one of those that the record names. */
type Part = { readonly text: string } | { readonly path: string | undefined };

const refuse = (reason: string) => new DataError('data_invalid', `the conversation ${reason}`);

function readConversation(
  fields: Fields,
  { imageKey, conversationsKey }: ConversationOptions,
): { readonly messages: readonly ChatMessage[]; readonly path: string | undefined } {
  const list = conversationsKey
    ? fields.get(conversationsKey)
    : (fields.get('conversations') ?? fields.get('messages'));
  if (!Array.isArray(list)) {
    throw refuse(
      `must be a list under ${conversationsKey ? `"${conversationsKey}"` : '"conversations" or "messages"'}`,
    );
  }
  const read = list.map(readMessage);
  checkTurns(read.map(({ role }) => role));
  const named = namedPictures(fields.get(imageKey) ?? fields.get('images'));
  const marks = read.flatMap(({ parts }) => parts.filter((part) => 'path' in part && part.path === undefined)).length;
  // A picture that no text marks stands in front of the first question.
  if (marks === 0 && named.length === 1) {
    read.find(({ role }) => role === 'user')!.parts.unshift({ path: undefined });
  } else if (marks !== named.length) throw refuse(`marks ${marks} pictures and names ${named.length}`);

  const paths: string[] = [];
  const messages = read.map(({ role, parts }): ChatMessage => {
    const content = parts.map((part): ChatPart => {
      if ('text' in part) return { type: 'text', text: part.text };
      paths.push(part.path ?? named.shift()!);
      return { type: 'image' };
    });
    const [only] = content;
    return { role, content: content.length === 1 && only!.type === 'text' ? only!.text : content };
  });
  if (paths.length > 1) throw refuse(`shows ${paths.length} pictures; one at most is read`);
  const [path] = paths;
  if (path !== undefined && /^[a-z][a-z0-9+.-]+:/i.test(path)) {
    throw refuse(`shows a picture at a URL, ${path.slice(0, 40)}; expected a path in the data folder`);
  }
  return { messages, path };
}

/** A system message or none, then questions and answers in turn. */
function checkTurns(all: readonly Role[]): void {
  const turns = all[0] === 'system' ? all.slice(1) : all;
  turns.forEach((role, at) => {
    const expected = at % 2 === 0 ? 'user' : 'assistant';
    if (role !== expected) throw refuse(`has a message of ${role} at place ${at}, expected one of ${expected}`);
  });
  if (turns.length === 0 || turns.length % 2 !== 0) throw refuse('must end with an answer');
}

function namedPictures(value: JsonValue | undefined): string[] {
  if (value === undefined || value === null) return [];
  const list = Array.isArray(value) ? value : [value];
  if (list.every((each) => typeof each === 'string')) return [...list];
  throw refuse("names something else than a picture's path");
}

function readMessage(item: JsonValue, at: number): { readonly role: Role; readonly parts: Part[] } {
  if (!(item instanceof Map)) throw refuse('must be a list of objects');
  const role = roles.get(item.get('from') ?? item.get('role'));
  if (role === undefined)
    throw refuse(`has no known speaker at place ${at}: expected human, gpt, user, assistant or system`);
  const content = item.get('value') ?? item.get('content');
  const read =
    typeof content === 'string'
      ? readText(content, role)
      : Array.isArray(content)
        ? readParts(content, role)
        : undefined;
  if (!read) throw refuse(`has no text at place ${at}`);
  const what = role === 'user' ? 'question' : role === 'assistant' ? 'answer' : 'system message';
  const texts = read.filter((part) => 'text' in part);
  checkText(what, texts.map(({ text }) => text).join(' '));
  // Only questions have places for pictures; other messages are one text, as it will be said.
  return { role, parts: role === 'user' ? read : [{ text: texts.map(({ text }) => text).join('\n') }] };
}

function readParts(items: readonly JsonValue[], role: Role): Part[] {
  return items.flatMap((item): Part[] => {
    const type = item instanceof Map ? item.get('type') : undefined;
    if (!(item instanceof Map) || typeof type !== 'string') throw refuse('has a part without a type');
    const text = item.get('text');
    if (type === 'text' && typeof text === 'string') return readText(text, role);
    if ((type === 'image' || type === 'image_url') && role === 'user') {
      const named = item.get(type);
      const path = named instanceof Map ? named.get('url') : named;
      if (path === undefined || typeof path === 'string') return [{ path }];
    }
    throw refuse(`has a part of type ${type.slice(0, 40)} that is not read in a message of ${role}`);
  });
}

/** A text without white space around it; in a question, with its pictures apart. Empty ones are left out. */
function readText(text: string, role: Role): Part[] {
  if (role !== 'user') return text.trim() === '' ? [] : [{ text: text.trim() }];
  return text.split(mark).flatMap((piece, at): Part[] => {
    const trimmed = piece.trim();
    return [...(at > 0 ? [{ path: undefined }] : []), ...(trimmed === '' ? [] : [{ text: trimmed }])];
  });
}
