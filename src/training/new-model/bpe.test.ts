import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTokenizer } from '../../models/qwen25vl/tokenizer.ts';
import { trainBpe } from './bpe.ts';
import { addedTokenCount, smallestVocabulary, type TokenizerFile, trainTokenizer } from './tokenizer-file.ts';

const texts = [
  'Two red apples on a wooden table, and a blue cup behind them.',
  "It's the same apple; they're both red, aren't they? IT'S TRUE.",
  'Größe, naïve café, 東京の空, Здравствуй, мир! 🍎🍏',
  'a\n\n  b\t\tc   \r\n1234567890',
  'constructor __proto__ toString hasOwnProperty __proto__ constructor __proto__',
];

const load = (file: TokenizerFile) => createTokenizer(JSON.parse(JSON.stringify(file)), {}, 'trained');

describe('merges', () => {
  test('are those worked out by hand', () => {
    // u+g stands 20 times, u+n 16, h+ug 15, p+un 12, p+ug and hug+s 5, b+un 4; of the two fives p has the smaller id.
    const words = [...repeat('hug', 10), ...repeat('pug', 5), ...repeat('pun', 12), ...repeat('bun', 4)];
    const { merges } = trainBpe([...words, ...repeat('hugs', 5)], { vocabularySize: 256 + 7 });
    expect(merges).toEqual([
      ['u', 'g'],
      ['u', 'n'],
      ['h', 'ug'],
      ['p', 'un'],
      ['p', 'ug'],
      ['hug', 's'],
      ['b', 'un'],
    ]);
  });

  test('do not overlap: aaaa is two pairs', () => {
    const { merges } = trainBpe(['aaaa', 'aaaa'], { vocabularySize: 300 });
    expect(merges).toEqual([
      ['a', 'a'],
      ['aa', 'aa'],
    ]);
  });

  test('stop where pairs are rarer than the minimum', () => {
    expect(trainBpe(['ab'], { vocabularySize: 300 }).merges).toEqual([]);
    expect(trainBpe(['ab'], { vocabularySize: 300, minimumCount: 1 }).merges).toEqual([['a', 'b']]);
  });

  test('depend neither on the order of the texts nor on the run', () => {
    const options = { vocabularySize: 400, minimumCount: 1 };
    expect(trainBpe(texts.toReversed(), options)).toEqual(trainBpe(texts, options));
  });

  test('equal those of recounting everything after each merge', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ') }), { maxLength: 30 }), (samples) => {
        expect(trainBpe(samples, { vocabularySize: 280 }).merges).toEqual(slowMerges(samples, 24));
      }),
    );
  });
});

describe('the tokenizer', () => {
  const file = trainTokenizer(texts, { vocabularySize: 440, minimumCount: 1 });
  const tokenizer = load(file);

  test('gives back every text that is composed', () => {
    for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.normalize('NFC'));
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(tokenizer.decode(tokenizer.encodeOrdinary(text))).toBe(text.normalize('NFC'));
      }),
      { numRuns: 300 },
    );
  });

  test('has no more tokens than asked for, the special ones last', () => {
    expect(tokenizer.vocabSize).toBe(440);
    expect(tokenizer.idOf('<|endoftext|>')).toBe(440 - addedTokenCount);
    expect(tokenizer.encode('<|im_start|>')).toEqual([tokenizer.idOf('<|im_start|>')]);
    expect(tokenizer.encodeOrdinary('<|im_start|>').length).toBeGreaterThan(1);
  });

  test('writes the roles of a chat as one token each', () => {
    for (const bare of [tokenizer, load(trainTokenizer([], { vocabularySize: 400 }))]) {
      for (const role of ['system', 'user', 'assistant']) expect(bare.encode(role)).toHaveLength(1);
    }
  });

  test('needs fewer tokens than bytes for what it was trained on', () => {
    expect(tokenizer.encode(texts[0]!).length).toBeLessThan(texts[0]!.length / 2);
  });
});

test('a vocabulary that cannot hold its tokens is refused', () => {
  expect(() => trainBpe([], { vocabularySize: 255 })).toThrow(/vocabulary size 255: expected a whole number from 256/);
  expect(() => trainTokenizer([], { vocabularySize: smallestVocabulary })).toThrow(
    /"system" does not become one token/,
  );
});

function repeat(text: string, times: number): string[] {
  return new Array<string>(times).fill(text);
}

/** The definition, without any bookkeeping; for texts of a, b, c and single spaces. */
function slowMerges(samples: readonly string[], limit: number): (readonly [string, string])[] {
  let words = samples.flatMap((text) => text.match(/ ?[abc]+|\s+(?!\S)|\s+/g) ?? []).map((word) => word.split(''));
  words = words.map((word) => word.map((character) => (character === ' ' ? 'Ġ' : character)));
  const ids = new Map(['a', 'b', 'c', 'Ġ'].map((token, id) => [token, id]));
  const merges: (readonly [string, string])[] = [];
  while (ids.size < 4 + limit) {
    const counts = new Map<string, { count: number; pair: readonly [string, string] }>();
    for (const word of words) {
      for (let place = 1; place < word.length; place++) {
        const pair = [word[place - 1]!, word[place]!] as const;
        const entry = counts.get(pair.join(' ')) ?? { count: 0, pair };
        counts.set(pair.join(' '), { ...entry, count: entry.count + 1 });
      }
    }
    const order = ({ pair: [left, right] }: { pair: readonly [string, string] }) =>
      ids.get(left)! * 1e6 + ids.get(right)!;
    const [best] = [...counts.values()].sort((a, b) => b.count - a.count || order(a) - order(b));
    if (!best || best.count < 2) return merges;
    const [left, right] = best.pair;
    if (!merges.some((merge) => merge[0] === left && merge[1] === right)) merges.push(best.pair);
    if (!ids.has(left + right)) ids.set(left + right, ids.size);
    words = words.map((word) => {
      const joined: string[] = [];
      for (let place = 0; place < word.length; place++) {
        const here = word[place] === left && word[place + 1] === right;
        joined.push(here ? left + right : word[place]!);
        if (here) place++;
      }
      return joined;
    });
  }
  return merges;
}
