import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { picture, temporaryFolder } from '../../../test/data/picture-sets.ts';
import { DataError } from '../error.ts';
import type { Cursor } from '../stream.ts';
import { openConversations } from './open.ts';
import type { ConversationConfig } from './options.ts';
import type { ConversationSample } from './sample.ts';

const make = (sample: ConversationSample) => sample;
const human = (value: string) => ({ from: 'human', value });
const gpt = (value: string) => ({ from: 'gpt', value });
const turn = [human('What?'), gpt('A cat.')];

/** Writes lines beside a picture `a.png` and gives what opens them. */
async function write(folder: string, lines: readonly unknown[], options: Partial<ConversationConfig> = {}) {
  await writeFile(join(folder, 'a.png'), await picture(3));
  const file = join(folder, 'talk.jsonl');
  await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\n'));
  return { kind: 'jsonl', file, shuffle: false, ...options } as const;
}

const image = { type: 'image' };
const text = (words: string) => ({ type: 'text', text: words });

describe('conversations', () => {
  it.each<[string, object, readonly object[]]>([
    [
      'as LLaVA writes them',
      { image: 'a.png', conversations: [human('<image>\nWhat?'), gpt(' A cat.'), human('Whose?'), gpt('Mine.')] },
      [
        { role: 'user', content: [image, text('What?')] },
        { role: 'assistant', content: 'A cat.' },
        { role: 'user', content: 'Whose?' },
        { role: 'assistant', content: 'Mine.' },
      ],
    ],
    [
      'with the picture behind the words',
      { image: 'a.png', conversations: [human('What is this?\n<image>'), gpt('A cat.')] },
      [
        { role: 'user', content: [text('What is this?'), image] },
        { role: 'assistant', content: 'A cat.' },
      ],
    ],
    [
      'without a mark for their picture',
      { image: 'a.png', conversations: turn },
      [
        { role: 'user', content: [image, text('What?')] },
        { role: 'assistant', content: 'A cat.' },
      ],
    ],
    [
      'as messages of texts',
      {
        images: ['a.png'],
        messages: [
          { role: 'system', content: 'Be short.' },
          { role: 'user', content: '<image>Who?' },
          { role: 'assistant', content: 'A dog.' },
        ],
      },
      [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: [image, text('Who?')] },
        { role: 'assistant', content: 'A dog.' },
      ],
    ],
    [
      'as messages of parts',
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: 'a.png' } }, text('Who?')] },
          { role: 'assistant', content: [text('A dog.'), text('A big one.')] },
        ],
      },
      [
        { role: 'user', content: [image, text('Who?')] },
        { role: 'assistant', content: 'A dog.\nA big one.' },
      ],
    ],
  ])('are read %s', async (_, line, messages) => {
    await using folder = await temporaryFolder();
    await using stream = await openConversations(await write(folder.path, [line]), { make });
    const [sample] = await stream.next(1);
    expect(sample!.messages).toEqual(messages);
    expect(sample!.image).toMatchObject({ width: 9, height: 4 });
  });

  it.each<[string, object, RegExp]>([
    ['no turns', { image: 'a.png' }, /must be a list under "conversations" or "messages"/],
    ['an answer first', { conversations: [...turn].reverse() }, /has a message of assistant at place 0/],
    ['no answer', { conversations: [human('What?')] }, /must end with an answer/],
    ['an empty answer', { conversations: [human('What?'), gpt(' ')] }, /the answer is empty/],
    ['a stranger', { conversations: [{ from: 'constructor', value: 'x' }, gpt('y')] }, /no known speaker at place 0/],
    ['a mark without a picture', { conversations: [human('<image>'), gpt('x')] }, /the question is empty/],
    ['more marks than pictures', { conversations: [human('<image> What?'), gpt('x')] }, /marks 1 pictures and names 0/],
    ['two pictures', { image: ['a.png', 'a.png'], conversations: [human('<image><image>?'), gpt('x')] }, /shows 2/],
    ['a URL', { image: 'https://example.org/a.png', conversations: turn }, /at a URL, https:.* a path in the data/],
    ['a picture outside', { image: '../a.png', conversations: turn }, /does not stay inside/],
    ['a picture that is none', { image: 'talk.jsonl', conversations: turn }, /expected a JPEG, PNG or WebP/],
    [
      'a part of another type',
      {
        messages: [
          { role: 'user', content: [{ type: 'video', video: 'a' }] },
          { role: 'assistant', content: 'x' },
        ],
      },
      /a part of type video that is not read/,
    ],
  ])('with %s are skipped, and why', async (_, line, reason) => {
    await using folder = await temporaryFolder();
    const config = await write(folder.path, [line, { conversations: turn }]);
    await using stream = await openConversations(config, { make });
    expect((await stream.next(1))[0]!.image).toBeUndefined();
    expect(stream.skipped).toEqual([{ source: 'talk.jsonl:1', reason: expect.stringMatching(reason) }]);
  });

  it('are given apart by whether they show a picture, each fault told of once', async () => {
    await using folder = await temporaryFolder();
    const lines = [0, 1, 2, 3, 4, 5, 6, 7].map((number) =>
      number === 3
        ? { conversations: [] }
        : { ...(number % 2 === 0 ? { image: 'a.png' } : {}), conversations: [human(`${number}`), gpt('x')] },
    );
    const config = await write(folder.path, lines, { shuffle: true });
    const made = (sample: ConversationSample) => {
      if (sample.messages[0]!.content === '5') throw new DataError('data_invalid', 'is not wanted');
      return sample;
    };
    const asked = async (about: 'picture' | 'text', count: number, cursor?: Cursor) => {
      const stream = await openConversations(config, { about, make: made }, cursor);
      const samples = await stream.next(count);
      const numbers = samples.map(({ messages: [question] }) => JSON.stringify(question).replace(/\D/g, ''));
      await stream[Symbol.asyncDispose]();
      return { numbers, skipped: stream.skippedCount, cursor: stream.cursor() };
    };
    const shown = await asked('picture', 8);
    expect([...shown.numbers.slice(0, 4)].sort()).toEqual(['0', '2', '4', '6']);
    expect([...shown.numbers.slice(4)].sort()).toEqual(['0', '2', '4', '6']);
    expect(shown.skipped).toBe(2);
    const said = await asked('text', 6);
    expect(new Set(said.numbers)).toEqual(new Set(['1', '7']));
    // The one that is not wanted, each of three epochs; not the one that cannot be read.
    expect(said.skipped).toBe(3);
    const begun = await asked('text', 2);
    const rest = await asked('text', 4, JSON.parse(JSON.stringify(begun.cursor)) as Cursor);
    expect([...begun.numbers, ...rest.numbers]).toEqual(said.numbers);
  });

  it('of which none is asked for are told of', async () => {
    await using folder = await temporaryFolder();
    const config = await write(folder.path, [{ conversations: turn }]);
    await using stream = await openConversations(config, { about: 'picture', make });
    await expect(stream.next(1)).rejects.toThrow(/no sample of the whole data is of the kind asked for/);
  });
});
