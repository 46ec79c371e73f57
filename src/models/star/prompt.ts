/**
 * The prompts of STAR's image tasks: `generate_images`, `generate_images_reasoning` and `generate_images_edit` of
 * star/models/model.py.
 *
 * Each is a pair of rows of equal length: conditional, and unconditional for guidance, in which every token between the
 * first and the last four is `<|fim_pad|>`. Where the published code cuts prompts by magic numbers (14 tokens before the
 * text, 6 after it), the cuts are taken from the template here. The two differ only for a text that begins with a
 * newline: published code then cuts through a merged token when reasoning, and fails when editing.
 */
import { ConfigError } from '../config-error.ts';
import { type ChatFormat, encodeChat, encodePieces, renderChatPieces } from '../qwen25vl/chat.ts';
import { PromptError } from '../qwen25vl/prompt-error.ts';
import { publishedReasoningSuffix } from './config.ts';

/** Token ids `[sequence]` of the two rows of guidance; both have the same length. */
export interface GuidedPrompt {
  readonly conditional: readonly number[];
  readonly unconditional: readonly number[];
}

export interface ReasoningPrompt extends GuidedPrompt {
  /** What the diffusion decoder gets as its prompt; undefined when the answer was empty and the prompt stays. */
  readonly answerPrompt: string | undefined;
}

/**
 * A run of a prompt's embeddings: of tokens, the adapted VQ codes of the source image (`pixel`), or what the vision
 * encoder gives for it (`semantic`).
 */
export type PromptSegment =
  | { readonly kind: 'tokens'; readonly ids: readonly number[] }
  | { readonly kind: 'pixel'; readonly length: number }
  | { readonly kind: 'semantic'; readonly length: number };

export interface EditPrompt {
  readonly conditional: readonly PromptSegment[];
  readonly unconditional: readonly PromptSegment[];
  /** Embeddings of a row: the prefill's sequence length. */
  readonly length: number;
  /**
   * Ids that lay out the positions, `length` of the prefill and then one for each generated token. Only the semantic
   * block holds image tokens: the VQ block and the generated tokens are `<|vision_pad|>` and advance one by one.
   */
  readonly positionIds: readonly number[];
}

export interface EditLayout {
  /** VQ codes of the source image. */
  readonly pixelTokens: number;
  /** Tokens that the vision encoder gives for it. */
  readonly semanticTokens: number;
  /** Codes to generate. */
  readonly generatedTokens: number;
}

/** Tokens at the end of the unconditional row that stay: `<|im_start|>assistant\n<|vision_start|>` with Qwen's template. */
const keptTokens = 4;

/** The rows of text-to-image generation: the chat prompt and `<|vision_start|>`. */
export function buildGenerationPrompt(format: ChatFormat, prompt: string): GuidedPrompt {
  const ids = encodeChat(format, [{ role: 'user', content: prompt }]);
  const conditional = [...ids, tokenOf(format, '<|vision_start|>')];
  return { conditional, unconditional: blank(format, conditional) };
}

/**
 * The rows after implicit reasoning: the answer and what is appended to it stand where the prompt stood.
 * @param prompt the user's, used when the answer is empty.
 * @param answer the base's answer as text, without special tokens. It is encoded as ordinary text.
 * @param suffix appended to the answer. Default the published one.
 */
export function buildReasoningPrompt(
  format: ChatFormat,
  prompt: string,
  answer: string,
  suffix: string = publishedReasoningSuffix,
): ReasoningPrompt {
  if (answer === '') return { ...buildGenerationPrompt(format, prompt), answerPrompt: undefined };
  const { tokenizer } = format;
  // Encoded apart, as published: no merge across the border.
  const text = [...tokenizer.encodeOrdinary(answer), ...tokenizer.encodeOrdinary(suffix)];
  const frame = templateFrame(format);
  const fimPad = tokenOf(format, '<|fim_pad|>');
  const blanked = blank(format, [...frame.prefix, ...frame.suffix]);
  return {
    conditional: [...frame.prefix, ...text, ...frame.suffix],
    unconditional: [
      ...blanked.slice(0, frame.prefix.length),
      ...text.map(() => fimPad),
      ...blanked.slice(frame.prefix.length),
    ],
    answerPrompt: tokenizer.decode(text).split('assistant\n').at(-1),
  };
}

/**
 * The rows of editing one image: right after the opening of the user's turn come the VQ block, the semantic block and a
 * newline, then the instruction. Both rows hold the image; the unconditional one lacks the instruction.
 */
export function buildEditPrompt(format: ChatFormat, instruction: string, layout: EditLayout): EditPrompt {
  for (const [name, length] of Object.entries(layout)) {
    if (!Number.isSafeInteger(length) || length < 1) {
      throw new PromptError('prompt_invalid', `${name} ${length}: expected a whole number of at least 1`, {
        name,
        length,
      });
    }
  }
  const { tokenizer } = format;
  const { prefix, suffix } = templateFrame(format);
  const visionStart = tokenOf(format, '<|vision_start|>');
  const joint = [...encodeChat(format, [{ role: 'user', content: instruction }]), visionStart];
  // A text that begins with a newline merges with the template's; then the parts are encoded apart.
  const splits = prefix.every((id, index) => joint[index] === id);
  const plain = splits ? joint : [...prefix, ...tokenizer.encodeOrdinary(instruction), ...suffix];
  const visionEnd = tokenOf(format, '<|vision_end|>');
  const newline = tokenizer.encodeOrdinary('\n');
  const { pixelTokens, semanticTokens, generatedTokens } = layout;
  const row = (ids: readonly number[]): PromptSegment[] => [
    { kind: 'tokens', ids: [...ids.slice(0, prefix.length), visionStart] },
    { kind: 'pixel', length: pixelTokens },
    { kind: 'tokens', ids: [visionEnd, visionStart] },
    { kind: 'semantic', length: semanticTokens },
    { kind: 'tokens', ids: [visionEnd, ...newline, ...ids.slice(prefix.length)] },
  ];
  const conditional = row(plain);
  const pixelPad = tokenOf(format, '<|vision_pad|>');
  const prefill = conditional.flatMap((segment) => {
    if (segment.kind === 'tokens') return segment.ids;
    return new Array<number>(segment.length).fill(segment.kind === 'pixel' ? pixelPad : format.imagePad);
  });
  return {
    conditional,
    unconditional: row(blank(format, plain)),
    length: prefill.length,
    positionIds: [...prefill, ...new Array<number>(generatedTokens).fill(pixelPad)],
  };
}

/**
 * What the template puts around a user's text when it is asked for an answer: `prefix` before it, and after it `suffix`,
 * which ends with `<|vision_start|>`. 14 and 6 tokens with Qwen's template.
 * @throws PromptError when the template does not write the text once, between two of its own pieces.
 */
export function templateFrame(format: ChatFormat): { readonly prefix: number[]; readonly suffix: number[] } {
  const pieces = renderChatPieces(format, [{ role: 'user', content: 'text' }]);
  if (pieces.map((piece) => piece.source).join() !== 'template,message,template') {
    throw new PromptError('template_unsupported', 'the chat template does not write a user text exactly once');
  }
  return {
    prefix: encodePieces(format.tokenizer, pieces.slice(0, 1)),
    suffix: [...encodePieces(format.tokenizer, pieces.slice(2)), tokenOf(format, '<|vision_start|>')],
  };
}

function blank(format: ChatFormat, ids: readonly number[]): number[] {
  const fimPad = tokenOf(format, '<|fim_pad|>');
  return ids.map((id, index) => (index === 0 || index >= ids.length - keptTokens ? id : fimPad));
}

function tokenOf(format: ChatFormat, token: string): number {
  const id = format.tokenizer.idOf(token);
  if (id === undefined) throw new ConfigError('tokenizer.json', { expected: `the token ${token}`, got: 'none' });
  return id;
}
