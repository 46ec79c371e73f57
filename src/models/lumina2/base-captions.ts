/**
 * Captions read by the model's own base in place of Gemma: its second-to-last hidden states, the input of the last layer, so
 * that a small decoder needs no text encoder beside the model. The weights are the base's, where they lie; the last layer, the
 * final norm and the head are not run.
 */
import { causalMask } from '../../nn/attention.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import { type CompiledProgram, compile, gather, greater, input } from '../../tensor/index.ts';
import { type ChatFormat, encodeChat } from '../qwen25vl/chat.ts';
import type { Qwen25VLConfig } from '../qwen25vl/config.ts';
import { declareDecoder, decoderLayers, textRotary } from '../qwen25vl/text-decoder.ts';

/** Token ids of a caption as the base reads it: a conversation in the folder's own template, as in all that it has learned from. */
export function captionForBase(chat: ChatFormat, text: string, systemPrompt?: string): number[] {
  const system = systemPrompt === undefined ? [] : [{ role: 'system', content: systemPrompt } as const];
  return encodeChat(chat, [...system, { role: 'user', content: text }], [], { addGenerationPrompt: false });
}

/**
 * Gives `states [batch, tokens, hiddenSize]` from `token_ids [batch, tokens]` and `mask [batch, tokens]`, both int64, the mask 1
 * for tokens, then 0 for padding; batch and tokens may change from run to run. States of padding mean nothing.
 * @param declare gives the STAR checkpoint's names.
 * @param maximumTokens at least the tokens of any run, padding included.
 */
export function compileBaseCaptions(
  declare: Declare,
  { text }: Pick<Qwen25VLConfig, 'text'>,
  maximumTokens: number,
): CompiledProgram {
  const tokenIds = input('token_ids', 'int64', ['batch', 'tokens']);
  const mask = input('mask', 'int64', ['batch', 'tokens']);
  const embedding = declare('llm.model.embed_tokens.weight', [text.vocabSize, text.hiddenSize]);
  const { layers } = declareDecoder(within(declare, 'llm.model'), text, text.layers - 1);
  const rotary = textRotary('batch', 'tokens', text, maximumTokens);
  const seen = causalMask('tokens', { present: greater(mask, 0) });
  const { hidden: states } = decoderLayers(gather(embedding, tokenIds), layers, text, rotary, { mask: seen });
  return compile({ name: 'text encoder', inputs: [tokenIds, mask], outputs: { states } });
}
