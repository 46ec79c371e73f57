/**
 * Gemma's tokenizer, from a folder's `tokenizer.json`: byte pair encoding over whole texts (no split into words), blanks as ▁,
 * bytes for characters without a token, and `<bos>` in front.
 *
 * The merges are done by @huggingface/tokenizers, added tokens are split off here, as in Qwen's tokenizer. Only files of
 * this very form are accepted; for it the library was compared with the Rust `tokenizers` crate (test/tokenizer).
 */
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { z } from 'zod';
import { ConfigError, parseConfig, requireConfig } from '../config-error.ts';
import { addedTokensSchema, mergesSchema, TokenTable, tokenIdSchema } from '../qwen25vl/token-table.ts';
import { requireTextLength } from '../qwen25vl/tokenizer.ts';

export interface GemmaTokenizer {
  /**
   * Token ids of a text in which added tokens are recognised, `<bos>` not put in front. Lone surrogates count as U+FFFD.
   * @throws PromptError when the text is longer than `maximumTextLength`.
   */
  encode(text: string): number[];
  /** The id of a token as it is written in `tokenizer.json`; undefined when there is none. */
  idOf(token: string): number | undefined;
  /** `<bos>`. */
  readonly beginning: number;
  /** The largest id plus one. */
  readonly vocabSize: number;
}

const off = z.literal(false).nullish();
const blank = z.object({ String: z.literal(' ') });

const fileSchema = z.object({
  added_tokens: addedTokensSchema,
  normalizer: z.object({ type: z.literal('Replace'), pattern: blank, content: z.literal('\u2581') }),
  // Comes after the normalizer, which leaves no blanks to split at: whole texts are merged, whatever the behaviour.
  pre_tokenizer: z.object({ type: z.literal('Split'), pattern: blank, invert: off }).nullish(),
  post_processor: z.object({
    type: z.literal('TemplateProcessing'),
    single: z.tuple([
      z.object({ SpecialToken: z.object({ id: z.string() }) }),
      z.object({ Sequence: z.object({ id: z.literal('A') }) }),
    ]),
    special_tokens: z.record(z.string(), z.object({ ids: z.tuple([tokenIdSchema]) })),
  }),
  model: z.object({
    type: z.literal('BPE'),
    dropout: z.literal(0).nullish(),
    unk_token: z.string().nullish(),
    fuse_unk: z.boolean().nullish(),
    byte_fallback: z.literal(true),
    ignore_merges: off,
    continuing_subword_prefix: z.null().optional(),
    end_of_word_suffix: z.null().optional(),
    vocab: z.record(z.string(), tokenIdSchema),
    merges: mergesSchema,
  }),
});

const settingsSchema = z.object({ add_bos_token: z.literal(true).nullish(), add_eos_token: off });

/**
 * A tokenizer from the parsed files of a tokenizer folder.
 * @param tokenizerJson `tokenizer.json`.
 * @param tokenizerConfig `tokenizer_config.json`; checked only: it must not ask for other tokens around a text.
 * @param folder only for messages.
 * @throws ConfigError when the files describe another kind of tokenizer, or contradict themselves.
 */
export function createGemmaTokenizer(tokenizerJson: unknown, tokenizerConfig: unknown, folder: string): GemmaTokenizer {
  const file = `${folder}/tokenizer.json`;
  const description = parseConfig(fileSchema, tokenizerJson, file);
  parseConfig(settingsSchema, tokenizerConfig, `${folder}/tokenizer_config.json`);
  const table = new TokenTable(description, byteTokens(), file);
  const { single, special_tokens: special } = description.post_processor;
  const name = single[0].SpecialToken.id;
  const beginning = special[name]?.ids[0];
  requireConfig(beginning !== undefined && beginning === table.idOf(name), file, {
    path: `post_processor.special_tokens.${name}`,
    expected: `the id of ${name}, ${table.idOf(name) ?? 'which is no token'}`,
    got: `${beginning ?? 'nothing'}`,
  });
  const library = createLibrary(description, file);
  const encodeOrdinary = (text: string): number[] =>
    library.encode(text.replace(/\p{Surrogate}/gu, '\ufffd'), { add_special_tokens: false }).ids;
  return {
    encode: (text) => {
      requireTextLength(text);
      return table.split(text).flatMap((piece) => (typeof piece === 'number' ? [piece] : encodeOrdinary(piece)));
    },
    idOf: (token) => table.idOf(token),
    beginning,
    vocabSize: table.size,
  };
}

function createLibrary({ normalizer, model }: z.output<typeof fileSchema>, file: string): Library {
  const parts = { normalizer, model, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
  try {
    return new Library(parts, {});
  } catch (cause) {
    throw new ConfigError(file, { expected: 'a tokenizer', got: (cause as Error).message, cause });
  }
}

/** The tokens `<0x00>` to `<0xFF>` and the bytes they stand for. */
function byteTokens(): ReadonlyMap<string, number> {
  const name = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
  return new Map(Array.from({ length: 256 }, (_, byte) => [name(byte), byte]));
}
