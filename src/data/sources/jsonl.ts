/** JSON Lines: one record a line, pictures as files beside it. */
import { basename, dirname } from 'node:path';
import { quote } from '../../checkpoint/error.ts';
import type { JsonValue } from '../../checkpoint/json.ts';
import { DataError } from '../error.ts';
import { chooseCaption } from './captions.ts';
import { openDataFile, openFolder, readInside } from './inside.ts';
import { indexLines } from './line-index.ts';
import type { ConversationOptions, EditPairOptions, JsonlOptions } from './options.ts';
import type { Place, SampleIndex } from './order.ts';
import { checkText, loadPicture, type PictureOptions } from './picture.ts';
import type { ConversationSample, EditPairSample, ImageTextSample } from './sample.ts';

type Fields = Map<string, JsonValue>;
type Picture = (key: string) => ReturnType<typeof loadPicture>;

interface LinesOptions extends PictureOptions {
  readonly file: string;
  readonly folder?: string | undefined;
  readonly maxLineBytes: number;
}

/** Lines `{image, caption}`; the caption may be a list of texts, one of which is taken by chance. */
export function indexJsonl(options: JsonlOptions): Promise<SampleIndex<ImageTextSample>> {
  const { imageKey, captionKey, seed } = options;
  return indexRecords(options, [imageKey, captionKey], async (fields, picture, place, source) => {
    const caption = chooseCaption(fields.get(captionKey), seed, place);
    return { image: await picture(imageKey), caption, source };
  });
}

/** Lines `{source, instruction, target}`: paths of the picture before and after. */
export function indexEditPairs(options: EditPairOptions): Promise<SampleIndex<EditPairSample>> {
  const { sourceKey, targetKey, instructionKey } = options;
  const keys = [sourceKey, targetKey, instructionKey];
  return indexRecords(options, keys, async (fields, picture, _place, source) => {
    const instruction = checkText('instruction', fields.get(instructionKey));
    return { before: await picture(sourceKey), after: await picture(targetKey), instruction, source };
  });
}

/**
 * Lines `{image, conversations}` with turns as LLaVA writes them, `{from: "human" | "gpt", value}`, or as chats do,
 * `{role: "user" | "assistant", content}`. The mark `<image>` is taken out of the questions.
 */
export function indexConversations(options: ConversationOptions): Promise<SampleIndex<ConversationSample>> {
  const { imageKey, conversationsKey } = options;
  return indexRecords(options, [imageKey, conversationsKey], async (fields, picture, _place, source) => {
    const turns = readTurns(fields.get(conversationsKey));
    return { image: await picture(imageKey), turns, source };
  });
}

async function indexRecords<Sample>(
  options: LinesOptions,
  keys: readonly string[],
  make: (fields: Fields, picture: Picture, place: Place, source: string) => Promise<Sample>,
): Promise<SampleIndex<Sample>> {
  const { file, folder = dirname(file), maxLineBytes, maxImageBytes } = options;
  const root = await openFolder(folder);
  const lines = await openDataFile(file);
  try {
    const index = await indexLines(lines, maxLineBytes);
    const source = (at: number) => `${basename(file)}:${index.lineNumber(at)}`;
    return {
      count: index.count,
      fingerprint: `jsonl ${index.sha256} ${keys.join(' ')}`,
      source,
      async load(at, place) {
        const fields = await index.read(at);
        const picture: Picture = async (key) => {
          const path = fields.get(key);
          if (typeof path !== 'string') throw new DataError('data_invalid', `${quote(key)}: expected a picture's path`);
          return loadPicture(await readInside(root, path, maxImageBytes), options, place);
        };
        return make(fields, picture, place, source(at));
      },
      [Symbol.asyncDispose]: async () => lines[Symbol.asyncDispose](),
    };
  } catch (error) {
    await lines[Symbol.asyncDispose]();
    throw error;
  }
}

const speakers: Readonly<Record<string, 'question' | 'answer'>> = {
  human: 'question',
  user: 'question',
  gpt: 'answer',
  assistant: 'answer',
};

function readTurns(value: JsonValue | undefined): ConversationSample['turns'] {
  const refuse = (reason: string) => new DataError('data_invalid', `the conversation ${reason}`);
  if (!Array.isArray(value) || value.length < 2 || value.length % 2 !== 0) {
    throw refuse('must be a list of questions and answers in turn');
  }
  const texts = value.map((item, at) => {
    if (!(item instanceof Map)) throw refuse('must be a list of objects');
    const speaker = item.get('from') ?? item.get('role');
    const expected = at % 2 === 0 ? 'question' : 'answer';
    const known = typeof speaker === 'string' && Object.hasOwn(speakers, speaker) ? speakers[speaker] : undefined;
    if (known !== expected) throw refuse(`has no ${expected} at place ${at}`);
    const text = item.get('value') ?? item.get('content');
    if (typeof text !== 'string') throw refuse(`has no text at place ${at}`);
    return checkText(expected, expected === 'question' ? text.replaceAll('<image>', '') : text);
  });
  return Array.from({ length: texts.length / 2 }, (_, turn) => ({
    question: texts[2 * turn]!,
    answer: texts[2 * turn + 1]!,
  }));
}
