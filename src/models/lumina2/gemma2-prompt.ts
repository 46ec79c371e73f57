/**
 * What the text encoder is fed for a prompt: the tokens that diffusers' `Lumina2Pipeline.encode_prompt` makes of it, framed,
 * cut to a length and padded behind. The pipeline pads on the right whatever the tokenizer's own setting.
 */
import { z } from 'zod';
import type { Files } from '../../checkpoint/files.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { parseConfig, requireConfig } from '../config-error.ts';
import { readJsonIn } from '../config-text.ts';
import { createTokenizer } from '../qwen25vl/tokenizer.ts';
import { createGemmaTokenizer } from './gemma2-tokenizer.ts';

/** A tokenizer and what its folder asks for beside the tokens of a text. */
export interface CaptionTokenizer {
  /** Token ids of a text in which added tokens are recognised, without `prefix`. */
  encode(text: string): number[];
  /** Stands in front of every text: Gemma's `<bos>`. */
  readonly prefix: readonly number[];
  readonly padToken: number;
  /** The largest id plus one. */
  readonly vocabSize: number;
}

/** Gemma 2's `tokenizer.json` has 17 to 34 MB, by its form. */
const maximumTokenizerBytes = 64 << 20;
/** Each added token stands in `tokenizer_config.json` once more; Gemma 3's has 1.1 MB. */
const maximumSettingsBytes = 4 << 20;

const formSchema = z.object({ model: z.object({ byte_fallback: z.boolean().nullish() }) });
const settingsSchema = z.object({
  pad_token: z.union([z.string(), z.object({ content: z.string() })]),
  truncation_side: z.literal('right').nullish(),
  split_special_tokens: z.literal(false).nullish(),
});

/**
 * The tokenizer of a folder with `tokenizer.json` and `tokenizer_config.json`: Gemma's, as published, or a byte-level one in
 * the manner of Qwen.
 * @param vocabSize the rows of the text encoder's embedding.
 * @throws ConfigError for a missing, broken or unsupported file, and for more tokens than there are embeddings.
 */
export async function loadCaptionTokenizer(files: Files, folder: string, vocabSize: number): Promise<CaptionTokenizer> {
  const [file, settingsFile] = ['tokenizer.json', 'tokenizer_config.json'].map((name) => files.join(folder, name));
  const [json, settingsJson] = await Promise.all([
    readJsonIn(files, file!, maximumTokenizerBytes),
    readJsonIn(files, settingsFile!, maximumSettingsBytes),
  ]);
  const settings = parseConfig(settingsSchema, settingsJson, settingsFile!);
  const isGemma = parseConfig(formSchema, json, file!).model.byte_fallback === true;
  const gemma = isGemma ? createGemmaTokenizer(json, settingsJson, folder) : undefined;
  const tokenizer = gemma ?? createTokenizer(json, settingsJson, folder);
  const pad = typeof settings.pad_token === 'string' ? settings.pad_token : settings.pad_token.content;
  const padToken = tokenizer.idOf(pad);
  requireConfig(padToken !== undefined, settingsFile!, {
    path: 'pad_token',
    expected: 'a token of tokenizer.json',
    got: JSON.stringify(pad),
  });
  requireConfig(tokenizer.vocabSize <= vocabSize, file!, {
    path: 'model.vocab, added_tokens',
    expected: `ids below ${vocabSize}, for which the text encoder has embeddings`,
    got: `${tokenizer.vocabSize - 1}`,
  });
  return {
    encode: (text) => tokenizer.encode(text),
    prefix: gemma ? [gemma.beginning] : [],
    padToken,
    vocabSize: tokenizer.vocabSize,
  };
}

/** The pipeline's own words. */
export const defaultSystemPrompt =
  'You are an assistant designed to generate superior images with the superior degree of image-text alignment based on ' +
  'textual prompts or user prompts.';

/** The pipeline's default. */
export const defaultCaptionTokens = 256;

/** A prompt in its frame. A negative prompt has none. */
export function framePrompt(prompt: string, systemPrompt = defaultSystemPrompt): string {
  return `${systemPrompt} <Prompt Start> ${prompt}`;
}

/** A text as the encoder takes it: as many ids as asked for. */
export interface CaptionTokens {
  readonly ids: readonly number[];
  /** 1 for tokens, then 0 for padding. */
  readonly mask: readonly (0 | 1)[];
  /** Tokens at the end of the text that found no place and are not among the ids. */
  readonly dropped: number;
}

/**
 * A text's tokens, cut or padded to `length`. A negative prompt is usually the empty text, of which Gemma makes `<bos>`
 * alone, and a tokenizer without a prefix makes nothing but padding.
 * @param text a framed prompt, or a negative one as it is.
 * @param length at least the prefix. Default 256, as in the pipeline.
 * @throws PromptError when the text is longer than `maximumTextLength`, RangeError for a length that is none.
 */
export function tokenizeCaption(
  text: string,
  tokenizer: CaptionTokenizer,
  length: number = defaultCaptionTokens,
): CaptionTokens {
  if (length < tokenizer.prefix.length) {
    throw new RangeError(`tokenizeCaption: a length of ${length}; expected at least ${tokenizer.prefix.length}`);
  }
  return fitCaption([...tokenizer.prefix, ...tokenizer.encode(text)], tokenizer.padToken, length);
}

/** Tokens cut or padded to `length`. @throws RangeError for a length that is none. */
export function fitCaption(all: readonly number[], padToken: number, length: number): CaptionTokens {
  if (!Number.isSafeInteger(length) || length < 1) {
    throw new RangeError(`fitCaption: a length of ${length}; expected a whole number of at least 1`);
  }
  const present = Math.min(all.length, length);
  return {
    ids: Array.from({ length }, (_, place) => (place < present ? all[place]! : padToken)),
    mask: Array.from({ length }, (_, place) => (place < present ? 1 : 0)),
    dropped: all.length - present,
  };
}

/** Inputs of the text encoder's program for texts of one length. */
export function captionFeeds(captions: readonly CaptionTokens[]): Record<'token_ids' | 'mask', TensorValue> {
  const lengths = new Set(captions.map(({ ids }) => ids.length));
  if (lengths.size !== 1) throw new RangeError(`captionFeeds: lengths ${[...lengths].join(', ')}; expected one`);
  const shape = [captions.length, captions[0]!.ids.length];
  const rows = (values: readonly number[]): TensorValue => ({
    dtype: 'int64',
    shape,
    data: BigInt64Array.from(values, (value) => BigInt(value)),
  });
  return { token_ids: rows(captions.flatMap(({ ids }) => ids)), mask: rows(captions.flatMap(({ mask }) => mask)) };
}
