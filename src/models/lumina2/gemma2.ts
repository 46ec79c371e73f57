/**
 * The text encoder of the diffusion decoder: Gemma 2 (Gemma Team 2024; `Gemma2Model` of transformers, with its eager
 * attention). Lumina-Image-2.0 takes the second-to-last hidden state (`hidden_states[-2]`), the input of the last layer, so
 * that the last layer and the final norm are neither declared nor run.
 *
 * The reference vectors bound the scores, as the configuration asks. torch's fused attention, which transformers 5 takes
 * unless told otherwise, leaves the bound out in silence; `scoreSoftCap: undefined` computes the same.
 *
 * What sets it apart from the text decoder of Qwen: a norm before and one after each part of a layer, norms that multiply by
 * one plus their weight, scores that are softly bounded, every other layer with a sliding window, GELU in the gated
 * feed-forward layer, embeddings multiplied by √hidden.
 */
import { attention, causalMask } from '../../nn/attention.ts';
import { declareLinear, type Linear, linear } from '../../nn/linear.ts';
import { declareGatedMlp, type GatedMlp, gatedMlp } from '../../nn/mlp.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import {
  add,
  type CompiledProgram,
  compile,
  type Dim,
  gather,
  gelu,
  greater,
  input,
  multiply,
  rmsNorm,
  rotaryEmbedding,
  type Tensor,
  TensorError,
} from '../../tensor/index.ts';
import { type Rotary, textRotary } from '../qwen25vl/text-decoder.ts';
import type { Gemma2Config } from './gemma2-config.ts';

export interface Gemma2Layer {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  readonly mlp: GatedMlp;
  /** Before and after attention, before and after the feed-forward layer. */
  readonly norms: {
    readonly attentionInput: Tensor;
    readonly attentionOutput: Tensor;
    readonly mlpInput: Tensor;
    readonly mlpOutput: Tensor;
  };
}

export interface Gemma2 {
  /** `[vocabSize, hiddenSize]`. */
  readonly embedding: Tensor;
  /** All but the last. */
  readonly layers: readonly Gemma2Layer[];
}

export function declareGemma2(declare: Declare, config: Gemma2Config): Gemma2 {
  const embedding = declare('embed_tokens.weight', [config.vocabSize, config.hiddenSize]);
  const layers = config.windows
    .slice(0, -1)
    .map((_, index) => declareLayer(within(declare, `layers.${index}`), config));
  return { embedding, layers };
}

function declareLayer(declare: Declare, config: Gemma2Config): Gemma2Layer {
  const { hiddenSize, intermediateSize, heads, keyValueHeads, headDim } = config;
  const self = within(declare, 'self_attn');
  const norm = (name: string) => declare(`${name}.weight`, [hiddenSize]);
  return {
    query: declareLinear(within(self, 'q_proj'), hiddenSize, heads * headDim, false),
    key: declareLinear(within(self, 'k_proj'), hiddenSize, keyValueHeads * headDim, false),
    value: declareLinear(within(self, 'v_proj'), hiddenSize, keyValueHeads * headDim, false),
    output: declareLinear(within(self, 'o_proj'), heads * headDim, hiddenSize, false),
    mlp: declareGatedMlp(within(declare, 'mlp'), hiddenSize, intermediateSize, false),
    norms: {
      attentionInput: norm('input_layernorm'),
      attentionOutput: norm('post_attention_layernorm'),
      mlpInput: norm('pre_feedforward_layernorm'),
      mlpOutput: norm('post_feedforward_layernorm'),
    },
  };
}

/** True for tensors of a checkpoint that the second-to-last state does without: the last layer and the final norm. */
export function unusedInGemma2(name: string, { windows }: Gemma2Config): boolean {
  return name.startsWith(`layers.${windows.length - 1}.`) || name === 'norm.weight';
}

/** A prompt's tokens. */
export interface Gemma2Inputs {
  /** `[batch, tokens]` int64. */
  readonly tokenIds: Tensor;
  /** `[batch, tokens]` int64: 1 for tokens, 0 for padding. A prompt may be all padding. */
  readonly mask: Tensor;
}

/**
 * The second-to-last hidden state, `[batch, tokens, hiddenSize]`. Positions count from the first place, padding included, so
 * that padding belongs behind the tokens. States of padding depend on how much there is of it; the diffusion transformer
 * does not look at them.
 * @param maximumTokens at least the size of the axis of tokens.
 */
export function gemma2(
  { tokenIds, mask }: Gemma2Inputs,
  { embedding, layers }: Gemma2,
  config: Gemma2Config,
  maximumTokens: number,
): Tensor {
  const [batch, tokens] = tokenIds.shape as [Dim, Dim];
  if (typeof tokens === 'number' && tokens > maximumTokens) {
    throw new TensorError('gemma2', `${tokens} tokens, at most ${maximumTokens} were announced`);
  }
  const rotary = textRotary(batch, tokens, config, maximumTokens);
  const present = greater(mask, 0);
  const masks = new Map<number | undefined, Tensor>();
  const maskOf = (window: number | undefined): Tensor => {
    // A window that all tokens fit in hides nothing: as with Lumina's 256 tokens and Gemma's 4096.
    const seen = window === undefined || window >= maximumTokens ? undefined : window;
    const made = masks.get(seen) ?? causalMask(tokens, { window: seen, present });
    masks.set(seen, made);
    return made;
  };
  // torch rounds the factor to the type of the weights, which is float32 here whatever the file has.
  const embedded = multiply(gather(embedding, tokenIds), Math.sqrt(config.hiddenSize));
  return layers.reduce(
    (hidden, layer, index) => gemma2Layer(hidden, layer, config, rotary, maskOf(config.windows[index])),
    embedded,
  );
}

function gemma2Layer(x: Tensor, layer: Gemma2Layer, config: Gemma2Config, rotary: Rotary, mask: Tensor): Tensor {
  const { mlp, norms } = layer;
  const norm = (states: Tensor, weight: Tensor) => rmsNorm(states, add(weight, 1), config.rmsNormEps);
  const mixed = selfAttention(norm(x, norms.attentionInput), layer, config, rotary, mask);
  const attended = add(x, norm(mixed, norms.attentionOutput));
  const fed = gatedMlp(norm(attended, norms.mlpInput), mlp, (states) => gelu(states, 'tanh'));
  return add(attended, norm(fed, norms.mlpOutput));
}

function selfAttention(
  x: Tensor,
  { query, key, value, output }: Gemma2Layer,
  config: Gemma2Config,
  { cosine, sine, positions }: Rotary,
  mask: Tensor,
): Tensor {
  const rotate = (states: Tensor, count: number) => rotaryEmbedding(states, cosine, sine, positions, count);
  const queries = rotate(linear(x, query), config.heads);
  const keys = rotate(linear(x, key), config.keyValueHeads);
  const seen = { mask, scale: config.scoreScale, softCap: config.scoreSoftCap };
  return linear(attention(queries, keys, linear(x, value), config, seen).output, output);
}

/**
 * Gives `states [batch, tokens, hiddenSize]`, what the diffusion transformer takes as its caption, from
 * `token_ids [batch, tokens]` and `mask [batch, tokens]` as in `Gemma2Inputs`; batch and tokens may change from run to run.
 * @param maximumTokens at least the tokens of any run, padding included.
 */
export function compileGemma2(declare: Declare, config: Gemma2Config, maximumTokens: number): CompiledProgram {
  const tokenIds = input('token_ids', 'int64', ['batch', 'tokens']);
  const mask = input('mask', 'int64', ['batch', 'tokens']);
  const states = gemma2({ tokenIds, mask }, declareGemma2(declare, config), config, maximumTokens);
  return compile({ name: 'text encoder', inputs: [tokenIds, mask], outputs: { states } });
}
