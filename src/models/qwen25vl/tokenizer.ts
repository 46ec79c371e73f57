/**
 * Qwen2.5's byte-level BPE tokenizer, from a folder's `tokenizer.json`.
 *
 * The merges are done by @huggingface/tokenizers. Added tokens (`<|im_start|>`, ...) are split off here instead of in that
 * library, so that the same text can also be encoded with none of them recognised: what a user types must not become a
 * control token. Decoding works on bytes, so that streaming and decoding at once give the same text.
 *
 * Only files with Qwen's own splitting pattern are accepted: for it the library was compared with the Rust `tokenizers`
 * crate (test/tokenizer), while its README lists patterns that it splits otherwise, and a pattern from strangers could
 * be made to run for ever. What remains: letters and digits new in Unicode 17 split otherwise in a runtime that knows
 * them than in tokenizers 0.23, which does not.
 */
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { z } from 'zod';
import { ConfigError, parseConfig, requireConfig } from '../config-error.ts';
import { PromptError } from './prompt-error.ts';
import { addedTokensSchema, mergesSchema, TokenTable, tokenIdSchema } from './token-table.ts';

export interface Tokenizer {
  /**
   * Token ids of a text in which added tokens are recognised, as by `tokenizer.encode` of the reference.
   * Lone surrogates count as U+FFFD.
   * @throws PromptError when the text is longer than `maximumTextLength`.
   */
  encode(text: string): number[];
  /** Token ids of a text in which nothing is an added token: `<|im_end|>` becomes the tokens of its ten characters. */
  encodeOrdinary(text: string): number[];
  /** Splits a text at its added tokens: strings and ids in turn, no empty string. */
  split(text: string): (string | number)[];
  /**
   * The text of token ids. Ids without a token (the embedding has spare rows) give nothing; bytes that are no UTF-8
   * give U+FFFD; spaces are never cleaned up.
   */
  decode(ids: readonly number[], options?: DecodeOptions): string;
  /** A decoder for ids that come one by one. */
  streamDecoder(options?: DecodeOptions): StreamDecoder;
  /** The id of a token as it is written in `tokenizer.json`; undefined when there is none. */
  idOf(token: string): number | undefined;
  /** The largest id plus one. */
  readonly vocabSize: number;
}

export interface DecodeOptions {
  /** Leaves out tokens marked special. Default false. */
  readonly skipSpecialTokens?: boolean;
}

export interface StreamDecoder {
  /** The text that `id` completes; empty while a character still misses bytes. */
  push(id: number): string;
  /** What is left at the end: U+FFFD for an unfinished character, else nothing. */
  flush(): string;
}

/** UTF-16 units of the longest text that is encoded. */
export const maximumTextLength = 1 << 18;

/** The pattern of Qwen2, Qwen2.5 and Qwen2.5-VL. */
export const qwenPattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const absent = z.union([z.literal(''), z.null()]).optional();
const off = z.literal(false).nullish();

const fileSchema = z.object({
  added_tokens: addedTokensSchema,
  normalizer: z.object({ type: z.literal('NFC') }),
  pre_tokenizer: z.object({
    type: z.literal('Sequence'),
    pretokenizers: z.tuple([
      z.object({
        type: z.literal('Split'),
        pattern: z.object({ Regex: z.literal(qwenPattern) }),
        behavior: z.literal('Isolated'),
        invert: off,
      }),
      z.object({ type: z.literal('ByteLevel'), add_prefix_space: z.literal(false), use_regex: z.literal(false) }),
    ]),
  }),
  post_processor: z
    .union([
      z.object({ type: z.literal('ByteLevel') }),
      z.object({ type: z.literal('TemplateProcessing'), special_tokens: z.strictObject({}) }),
    ])
    .nullish(),
  decoder: z.object({ type: z.literal('ByteLevel') }),
  model: z.object({
    type: z.literal('BPE'),
    dropout: z.literal(0).nullish(),
    unk_token: z.null().optional(),
    continuing_subword_prefix: absent,
    end_of_word_suffix: absent,
    byte_fallback: off,
    ignore_merges: off,
    vocab: z.record(z.string(), tokenIdSchema),
    merges: mergesSchema,
  }),
});

const settingsSchema = z.object({
  add_bos_token: off,
  add_eos_token: off,
  add_prefix_space: off,
  added_tokens_decoder: z.record(z.string(), z.object({ content: z.string() })).optional(),
});

/**
 * A tokenizer from the parsed files of a model folder.
 * @param tokenizerJson `tokenizer.json`.
 * @param tokenizerConfig `tokenizer_config.json`; checked only: it must not ask for another tokenization.
 * @param folder only for messages.
 * @throws ConfigError when the files describe another kind of tokenizer, or contradict themselves.
 */
export function createTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown, folder: string): Tokenizer {
  const file = `${folder}/tokenizer.json`;
  const description = parseConfig(fileSchema, tokenizerJson, file);
  const settings = parseConfig(settingsSchema, tokenizerConfig, `${folder}/tokenizer_config.json`);
  const alphabet = byteAlphabet();
  const table = new TokenTable(description, alphabet, file);
  for (const [id, { content }] of Object.entries(settings.added_tokens_decoder ?? {})) {
    requireConfig(table.contentOfAdded(Number(id)) === content, `${folder}/tokenizer_config.json`, {
      path: `added_tokens_decoder.${id}`,
      expected: 'the same added tokens as in tokenizer.json',
      got: JSON.stringify(content),
    });
  }
  const library = createLibrary(description, file);

  const split = (text: string) => {
    requireTextLength(text);
    return table.split(text);
  };
  const encodeOrdinary = (text: string): number[] => {
    requireTextLength(text);
    return text === ''
      ? []
      : library.encode(text.replace(/\p{Surrogate}/gu, '\ufffd'), { add_special_tokens: false }).ids;
  };
  const streamDecoder = ({ skipSpecialTokens = false }: DecodeOptions = {}): StreamDecoder => {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (id) => decoder.decode(table.bytesOf(id, skipSpecialTokens), { stream: true }),
      flush: () => decoder.decode(),
    };
  };
  return {
    encode: (text) => split(text).flatMap((piece) => (typeof piece === 'number' ? [piece] : encodeOrdinary(piece))),
    encodeOrdinary,
    split,
    decode: (ids, options) => {
      const decoder = streamDecoder(options);
      return ids.map((id) => decoder.push(id)).join('') + decoder.flush();
    },
    streamDecoder,
    idOf: (token) => table.idOf(token),
    vocabSize: table.size,
  };
}

function createLibrary(description: z.output<typeof fileSchema>, file: string): Library {
  const { normalizer, pre_tokenizer, decoder, model } = description;
  const [split, byteLevel] = pre_tokenizer.pretokenizers;
  // Ignoring case, the Rust crate also takes the long s (U+017F) for an s, and the library only ASCII letters.
  const pattern = { Regex: `'\u017f|${qwenPattern}` };
  const pretokenizers = [{ ...split, pattern }, byteLevel];
  try {
    return new Library(
      {
        normalizer,
        pre_tokenizer: { ...pre_tokenizer, pretokenizers },
        post_processor: null,
        decoder,
        model,
        added_tokens: [],
      },
      {},
    );
  } catch (cause) {
    throw new ConfigError(file, { expected: 'a tokenizer', got: (cause as Error).message, cause });
  }
}

/** @throws PromptError when the text is longer than `maximumTextLength`. */
export function requireTextLength(text: string): void {
  if (text.length <= maximumTextLength) return;
  throw new PromptError('prompt_too_long', `a text of ${text.length} characters; at most ${maximumTextLength} fit`, {
    length: text.length,
    maximum: maximumTextLength,
  });
}

/**
 * GPT-2's alphabet: a printable character for each byte. The printable bytes of Latin-1 stand for themselves, the others
 * for U+0100 and what follows, in order.
 */
export function byteAlphabet(): ReadonlyMap<string, number> {
  const alphabet = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    alphabet.set(String.fromCharCode(printable ? byte : next++), byte);
  }
  return alphabet;
}
