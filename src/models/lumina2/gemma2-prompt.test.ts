import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { nodeFiles } from '../../checkpoint/node-files.ts';
import { maximumTextLength } from '../qwen25vl/tokenizer.ts';
import {
  type CaptionTokenizer,
  captionFeeds,
  defaultSystemPrompt,
  framePrompt,
  loadCaptionTokenizer,
  tokenizeCaption,
} from './gemma2-prompt.ts';
import { createGemmaTokenizer } from './gemma2-tokenizer.ts';

type Fitted = [text: string, length: number, ids: number[], mask: number[]];

/** What the tests change of a `tokenizer.json`. */
interface Json {
  normalizer: object;
  post_processor: { single: object[]; special_tokens: Record<string, { ids: number[] }> };
  model: { vocab: Record<string, number>; byte_fallback: boolean };
}

const golden = JSON.parse(await readFile(new URL('../../../test/tokenizer/gemma.json', import.meta.url), 'utf8')) as {
  tokenizer: Json;
  encoded: [string, number[]][];
  fitted: Fitted[];
  tiny: Fitted[];
};
const settings = { add_bos_token: true, add_eos_token: false, pad_token: '<pad>', padding_side: 'left' };
const gemma = createGemmaTokenizer(golden.tokenizer, settings, 'x');
const tinyFolder = referencePath('tiny-a', 'checkpoints/lumina-image2-tiny/tokenizer');

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'starstack-captions-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function load(json: unknown, config: unknown, vocabSize = 1000): Promise<CaptionTokenizer> {
  const folder = await mkdtemp(path.join(root, 'tokenizer-'));
  await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify(json));
  await writeFile(path.join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  return loadCaptionTokenizer(nodeFiles, folder, vocabSize);
}

test('encodes odd strings as the Rust tokenizers', () => {
  expect(golden.encoded.length).toBeGreaterThan(250);
  for (const [text, ids] of golden.encoded) expect({ text, ids: gemma.encode(text) }).toEqual({ text, ids });
});

test('any text has ids, and lone surrogates are U+FFFD', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const ids = gemma.encode(text);
      expect(ids.every((id) => Number.isSafeInteger(id) && id >= 0 && id < gemma.vocabSize)).toBe(true);
    }),
  );
  expect(gemma.encode('a\ud800b')).toEqual(gemma.encode('a\ufffdb'));
  expect(() => gemma.encode('a'.repeat(maximumTextLength + 1))).toThrow(/at most 262144 fit/);
});

test.each([
  ['Gemma', () => load(golden.tokenizer, settings), golden.fitted],
  ['the tiny reference', () => loadCaptionTokenizer(nodeFiles, tinyFolder, 463), golden.tiny],
] as const)('cuts and pads as the Rust tokenizers: %s', async (_, open, cases) => {
  const tokenizer = await open();
  expect(cases).toHaveLength(12);
  for (const [text, length, ids, mask] of cases) {
    const caption = tokenizeCaption(text, tokenizer, length);
    expect({ ids: caption.ids, mask: caption.mask }).toEqual({ ids, mask });
    const whole = tokenizer.prefix.length + tokenizer.encode(text).length;
    expect(caption.dropped).toBe(Math.max(0, whole - length));
  }
});

test('a prompt stands in the frame of the pipeline', async () => {
  expect(framePrompt('a cat', 'Be good.')).toBe('Be good. <Prompt Start> a cat');
  expect(framePrompt('a cat')).toBe(`${defaultSystemPrompt} <Prompt Start> a cat`);
  const tokenizer = await load(golden.tokenizer, settings);
  const caption = tokenizeCaption(framePrompt('a cat'), tokenizer);
  expect([caption.ids.length, caption.mask.length, caption.ids[0]]).toEqual([256, 256, 2]);
  for (const length of [0, -1, 1.5]) expect(() => tokenizeCaption('a', tokenizer, length)).toThrow(RangeError);
});

test('captions of one length make a batch', async () => {
  const tokenizer = await load(golden.tokenizer, settings);
  const [one, two] = [tokenizeCaption('ab', tokenizer, 5), tokenizeCaption('', tokenizer, 5)];
  const { token_ids: ids, mask } = captionFeeds([one, two]);
  expect([ids.shape, mask.shape]).toEqual([
    [2, 5],
    [2, 5],
  ]);
  expect(Array.from(ids.data, Number)).toEqual([...one.ids, ...two.ids]);
  expect(Array.from(mask.data, Number)).toEqual([...one.mask, 1, 0, 0, 0, 0]);
  expect(() => captionFeeds([one, tokenizeCaption('', tokenizer, 6)])).toThrow(/lengths 5, 6; expected one/);
  expect(() => captionFeeds([])).toThrow(RangeError);
});

test('folders that ask for another tokenization are refused', async () => {
  const changed = (change: (json: Json) => void): Json => {
    const json = structuredClone(golden.tokenizer);
    change(json);
    return json;
  };
  const refused = async (json: unknown, config: object, message: RegExp, vocabSize?: number) => {
    await expect(load(json, { ...settings, ...config }, vocabSize)).rejects.toThrow(message);
  };
  await refused(golden.tokenizer, { add_eos_token: true }, /tokenizer_config\.json, add_eos_token: expected false/);
  await refused(golden.tokenizer, { add_bos_token: false }, /tokenizer_config\.json, add_bos_token: expected true/);
  await refused(
    golden.tokenizer,
    { pad_token: '<none>' },
    /pad_token: expected a token of tokenizer\.json, got "<none>"/,
  );
  await refused(golden.tokenizer, { pad_token: null }, /tokenizer_config\.json, pad_token: /);
  await refused(golden.tokenizer, { truncation_side: 'left' }, /truncation_side: expected "right", got "left"/);
  await refused(
    golden.tokenizer,
    {},
    /expected ids below 300, for which the text encoder has embeddings, got \d+/,
    300,
  );
  const normalizer = changed((json) => Object.assign(json, { normalizer: { type: 'NFKC' } }));
  await refused(normalizer, {}, /tokenizer\.json, normalizer\.type: expected "Replace", got "NFKC"/);
  const noByte = changed((json) => delete json.model.vocab['<0x41>']);
  await refused(noByte, {}, /model\.vocab: expected a token for each of the 256 bytes, got none for byte 65/);
  const otherId = changed((json) => Object.assign(json.post_processor.special_tokens, { '<bos>': { ids: [3] } }));
  await refused(otherId, {}, /special_tokens\.<bos>: expected the id of <bos>, 2, got 3/);
  const noPrefix = changed((json) => json.post_processor.single.shift());
  await refused(noPrefix, {}, /tokenizer\.json, post_processor\.single/);
});
