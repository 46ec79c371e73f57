/** A trained vocabulary as the `tokenizer.json` of Hugging Face, in the form of Qwen2.5's. */
import { qwenPattern } from '../../models/qwen25vl/tokenizer.ts';
import { type BpeOptions, type BpeVocabulary, trainBpe } from './bpe.ts';

/** Qwen2.5-VL's added tokens, in its order. As there, some are not marked special: decoding never leaves them out. */
const addedTokens: readonly { readonly content: string; readonly special: boolean }[] = [
  ...[
    '<|endoftext|>',
    '<|im_start|>',
    '<|im_end|>',
    '<|object_ref_start|>',
    '<|object_ref_end|>',
    '<|box_start|>',
    '<|box_end|>',
    '<|quad_start|>',
    '<|quad_end|>',
    '<|vision_start|>',
    '<|vision_end|>',
    '<|vision_pad|>',
    '<|image_pad|>',
    '<|video_pad|>',
  ].map((content) => ({ content, special: true })),
  ...[
    '<tool_call>',
    '</tool_call>',
    '<|fim_prefix|>',
    '<|fim_middle|>',
    '<|fim_suffix|>',
    '<|fim_pad|>',
    '<|repo_name|>',
    '<|file_sep|>',
  ].map((content) => ({ content, special: false })),
];

/** How many tokens of a vocabulary are added ones. */
export const addedTokenCount = addedTokens.length;

/** Bytes and added tokens: what every vocabulary holds. */
export const smallestVocabulary = 256 + addedTokenCount;

/** The parts of a chat that the published code counts as one token each. */
export const roleNames: readonly string[] = ['system', 'user', 'assistant'];

/** What a `tokenizer.json` holds. */
export type TokenizerFile = ReturnType<typeof tokenizerFile>;

/**
 * Trains a tokenizer whose vocabulary, added tokens included, has at most `vocabularySize` tokens. The roles of a chat
 * are whole words unless `wholeWords` says otherwise.
 */
export function trainTokenizer(texts: Iterable<string>, options: BpeOptions): TokenizerFile {
  const vocabularySize = options.vocabularySize - addedTokenCount;
  return tokenizerFile(trainBpe(texts, { wholeWords: roleNames, ...options, vocabularySize }));
}

/** The file of a vocabulary; the added tokens stand behind it. */
export function tokenizerFile({ tokens, merges }: BpeVocabulary) {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens.map(({ content, special }, index) => ({
      id: tokens.length + index,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special,
    })),
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: qwenPattern }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}
