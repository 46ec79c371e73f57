import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readReferenceMeta, referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { loadTokenizer } from './folder.ts';
import { createTokenizer, maximumTextLength, type Tokenizer } from './tokenizer.ts';

/** What the tests change of a `tokenizer.json`. */
interface Json {
  added_tokens: object[];
  pre_tokenizer: { pretokenizers: [{ pattern: object }, object] };
  model: { vocab: Record<string, number> };
}

const golden = JSON.parse(readFileSync(new URL('../../../test/tokenizer/golden.json', import.meta.url), 'utf8')) as {
  tiny: [string, number[]][];
  pairs: [string, number[]][];
  decode: [number[], string, string][];
};

const folder = (variant: 'tiny-a' | 'tiny-b') => referencePath(variant, 'checkpoints/Qwen2.5-VL-tiny-Instruct');
const tinyJson = (): Json => JSON.parse(readFileSync(`${folder('tiny-a')}/tokenizer.json`, 'utf8'));
const tiny = await loadTokenizer(folder('tiny-a'));

/** The tokenizer `pairs` of test/tokenizer/golden.py: a merge for every pair of bytes. */
function pairsTokenizer(): Tokenizer {
  const description = tinyJson();
  const letters = Object.entries(description.model.vocab)
    .filter(([, id]) => id < 256)
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token);
  const merges = letters.flatMap((first) => letters.map((second) => [first, second]));
  const tokens = [...letters, ...merges.map((pair) => pair.join(''))];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  return createTokenizer({ ...description, added_tokens: [], model: { ...description.model, vocab, merges } }, {}, 'x');
}

describe.each(referenceVariants)('%s', (variant) => {
  test('encodes and decodes as the reference', async () => {
    const tokenizer = await loadTokenizer(folder(variant));
    const meta = readReferenceMeta(variant) as {
      tokenizer: { text: string; ids: number[]; decoded: string }[];
      special_token_ids: Record<string, number>;
      vocab_size: number;
    };
    expect(meta.tokenizer.length).toBeGreaterThan(0);
    for (const { text, ids, decoded } of meta.tokenizer) {
      expect(tokenizer.encode(text)).toEqual(ids);
      expect(tokenizer.encodeOrdinary(text)).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
    for (const [token, id] of Object.entries(meta.special_token_ids)) expect(tokenizer.idOf(token)).toBe(id);
    expect(tokenizer.vocabSize).toBe(meta.vocab_size);
    expect(tokenizer.idOf('<|no_such_token|>')).toBeUndefined();
  });
});

test('encodes odd strings as the Rust tokenizers', () => {
  expect(golden.tiny.length).toBeGreaterThan(100);
  for (const [text, ids] of golden.tiny) expect({ text, ids: tiny.encode(text) }).toEqual({ text, ids });
});

test('splits odd strings as the Rust tokenizers, the long s after an apostrophe included', () => {
  const pairs = pairsTokenizer();
  expect(golden.pairs.length).toBeGreaterThan(300);
  for (const [text, ids] of golden.pairs) expect({ text, ids: pairs.encode(text) }).toEqual({ text, ids });
});

test('decodes odd ids as the Rust tokenizers', () => {
  for (const [ids, plain, skipping] of golden.decode) {
    expect(tiny.decode(ids)).toBe(plain);
    expect(tiny.decode(ids, { skipSpecialTokens: true })).toBe(skipping);
  }
});

test('ids without a token give nothing, and what is no id is refused', () => {
  expect(tiny.decode([...tiny.encode('a'), 463, 151935, ...tiny.encode('b')])).toBe('ab');
  for (const id of [-1, 1.5, Number.NaN]) expect(() => tiny.decode([id])).toThrow(/expected a whole number/);
});

test('added tokens are control tokens only where they are asked for', () => {
  expect(tiny.encode('a<|im_end|>b')).toEqual([64, tiny.idOf('<|im_end|>'), 65]);
  const ordinary = tiny.encodeOrdinary('a<|im_end|>b');
  expect(ordinary.length).toBeGreaterThan(3);
  expect(Math.max(...ordinary)).toBeLessThan(445);
  expect(tiny.decode(ordinary)).toBe('a<|im_end|>b');
  expect(tiny.split('<|im_start|>x<|image_pad|><|image_pad|>')).toEqual([446, 'x', 457, 457]);
});

test('any well-formed text in NFC comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(tiny.decode(tiny.encodeOrdinary(text))).toBe(text.normalize('NFC'));
    }),
  );
});

test('merges written as one string are the same', () => {
  const json = tinyJson();
  const merges = (json.model as unknown as { merges: [string, string][] }).merges;
  expect(Array.isArray(merges[0])).toBe(true);
  const older = createTokenizer(
    { ...json, model: { ...json.model, merges: merges.map((pair) => pair.join(' ')) } },
    {},
    'f',
  );
  for (const [text, ids] of golden.tiny) expect(older.encode(text)).toEqual(ids);
});

test('a lone surrogate counts as U+FFFD', () => {
  expect(tiny.encode('a\ud83c')).toEqual(tiny.encode('a\ufffd'));
});

describe('streamDecoder', () => {
  test('never gives half a character', () => {
    const decoder = tiny.streamDecoder();
    const deltas = tiny.encode('a🍎b').map((id) => decoder.push(id));
    expect(deltas).toEqual(['a', '', '', '', '🍎', 'b'].slice(0, deltas.length));
    expect(deltas.join('')).toBe('a🍎b');
    expect(decoder.flush()).toBe('');
  });

  test('gives an unfinished character at the end as U+FFFD', () => {
    const decoder = tiny.streamDecoder();
    const [first] = tiny.encode('像');
    expect(decoder.push(first!)).toBe('');
    expect(decoder.flush()).toBe('\ufffd');
  });

  test('gives in sum what decode gives, for any ids', () => {
    const id = fc.integer({ min: 0, max: 470 });
    fc.assert(
      fc.property(fc.array(id), fc.boolean(), (ids, skipSpecialTokens) => {
        const decoder = tiny.streamDecoder({ skipSpecialTokens });
        const text = ids.map((each) => decoder.push(each)).join('') + decoder.flush();
        expect(text).toBe(tiny.decode(ids, { skipSpecialTokens }));
      }),
    );
  });
});

test('a text over the limit is refused', () => {
  expect(() => tiny.encode('a '.repeat(maximumTextLength / 2 + 1))).toThrow(/at most 262144 fit/);
});

describe('createTokenizer refuses', () => {
  test.each<[string, (json: Json) => void, RegExp]>([
    [
      'another model',
      (json) => Object.assign(json.model, { type: 'Unigram' }),
      /model\.type: expected "BPE", got "Unigram"/,
    ],
    [
      'another pattern',
      (json) => Object.assign(json.pre_tokenizer.pretokenizers[0].pattern, { Regex: '(a+)+$' }),
      /Regex/,
    ],
    [
      'another normalizer',
      (json) => Object.assign(json, { normalizer: null }),
      /normalizer: expected object, got null/,
    ],
    [
      'a missing byte',
      (json) => delete json.model.vocab['!'],
      /a token for each of the 256 bytes, got none for byte 33/,
    ],
    ['two tokens of one id', (json) => Object.assign(json.model.vocab, { zz: 300 }), /one token an id/],
    [
      'an added token that strips',
      (json) => Object.assign(json.added_tokens[0]!, { lstrip: true }),
      /added_tokens\[0\]\.lstrip/,
    ],
    ['an added token twice', (json) => json.added_tokens.push(json.added_tokens[0]!), /"<\|endoftext\|>" twice/],
    [
      'no vocabulary',
      (json) => Object.assign(json.model, { vocab: undefined }),
      /model\.vocab: expected record, got nothing/,
    ],
    [
      'an id out of range',
      (json) => Object.assign(json.model.vocab, { zz: 2 ** 31 }),
      /model\.vocab\.zz: expected at most/,
    ],
  ])('%s', (_name, change, message) => {
    const json = tinyJson();
    change(json);
    expect(() => createTokenizer(json, {}, 'folder')).toThrow(message);
  });

  test('settings that would tokenize otherwise', () => {
    expect(() => createTokenizer(tinyJson(), { add_bos_token: true }, 'f')).toThrow(/add_bos_token: expected false/);
    const settings = { added_tokens_decoder: { 463: { content: '<x>' } } };
    expect(() => createTokenizer(tinyJson(), settings, 'f')).toThrow(/added_tokens_decoder\.463: .*got "<x>"/);
  });
});
