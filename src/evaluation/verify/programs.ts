/**
 * Programs that exist for checking alone: all positions of a text at once, the sampler's filter by itself, and the diffusion
 * transformer with both halves of its picture.
 */

import { declareLuminaTransformer, luminaTransformer } from '../../models/lumina2/transformer.ts';
import type { LuminaTransformerConfig } from '../../models/lumina2/transformer-config.ts';
import type { Qwen25VLConfig } from '../../models/qwen25vl/config.ts';
import { decoder } from '../../models/qwen25vl/text-decoder.ts';
import { declareBase } from '../../models/star/parameters.ts';
import { causalMask } from '../../nn/attention.ts';
import { linear } from '../../nn/linear.ts';
import type { Declare } from '../../nn/parameters.ts';
import { candidates } from '../../nn/sampling.ts';
import { type CompiledProgram, compile, full, input, scatterElements, where } from '../../tensor/index.ts';

/** Embeddings of a prompt `[1, seq, hidden]` to the base's normed hidden states and logits at every position. */
export function compileBaseCheck(declare: Declare, qwen: Qwen25VLConfig): CompiledProgram {
  const { text } = qwen;
  const base = declareBase(declare, qwen);
  const embeddings = input('embeddings', 'float32', ['rows', 'sequence', text.hiddenSize]);
  const rotary = {
    cosine: input('cosine', 'float32', ['sequence', text.headDim / 2]),
    sine: input('sine', 'float32', ['sequence', text.headDim / 2]),
    positions: input('positions', 'int64', ['rows', 'sequence']),
  };
  const { hidden } = decoder(embeddings, base.decoder, text, rotary, { mask: causalMask('sequence') });
  return compile({
    name: 'base check',
    inputs: [embeddings, ...Object.values(rotary)],
    outputs: { hidden, logits: linear(hidden, base.head) },
  });
}

/** What stands for −infinity in the vectors. */
const filtered = -1e30;

/** `logits [rows, vocabulary]` with all that the filters take out replaced. */
export function compileFilterCheck(vocabulary: number): CompiledProgram {
  const logits = input('logits', 'float32', ['rows', vocabulary]);
  const settings = {
    temperature: input('temperature', 'float32', []),
    topK: input('top_k', 'int64', [1]),
    topP: input('top_p', 'float32', []),
  };
  const { tokens, logits: sorted, kept } = candidates(logits, settings);
  const nothing = full('float32', ['rows', vocabulary], filtered);
  const result = scatterElements(nothing, tokens, where(kept, sorted, filtered), 1);
  return compile({ name: 'filter check', inputs: [logits, ...Object.values(settings)], outputs: { filtered: result } });
}

/**
 * STAR's diffusion transformer as the published one is called, the source below the picture: `sample [batch, latentChannels,
 * height, width]` from `states [batch, latentChannels + codeChannels, height, width]`, `timestep`, `caption` and `caption_mask`.
 * @param shape of the states.
 */
export function compileTransformerCheck(
  declare: Declare,
  config: LuminaTransformerConfig,
  codeChannels: number,
  shape: readonly number[],
): CompiledProgram {
  const states = input('states', 'float32', ['batch', config.latentChannels + codeChannels, ...shape.slice(2)]);
  const conditions = {
    timestep: input('timestep', 'float32', ['batch']),
    caption: input('caption', 'float32', ['batch', 'tokens', config.captionDim]),
    captionMask: input('caption_mask', 'int64', ['batch', 'tokens']),
  };
  const model = declareLuminaTransformer(declare, config, { codeChannels });
  const sample = luminaTransformer({ states, ...conditions }, model, config);
  return compile({ name: 'transformer check', inputs: [states, ...Object.values(conditions)], outputs: { sample } });
}
