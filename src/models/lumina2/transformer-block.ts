/**
 * A block of Lumina-Image-2.0's transformer (`Lumina2TransformerBlock`): attention and a gated feed-forward layer, each
 * between two RMS norms. Blocks over pictures are modulated by time: scales on what goes in, gates on what comes out.
 */
import { attention } from '../../nn/attention.ts';
import { declareLinear, type Linear, linear } from '../../nn/linear.ts';
import { type GatedMlp, gatedMlp } from '../../nn/mlp.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import {
  add,
  hyperbolicTangent,
  multiply,
  reshape,
  rmsNorm,
  rotaryEmbedding,
  split,
  type Tensor,
  transpose,
  unsqueeze,
} from '../../tensor/index.ts';
import type { Rotary } from '../qwen25vl/text-decoder.ts';
import type { LuminaTransformerConfig } from './transformer-config.ts';

export interface LuminaBlock {
  readonly attention: BlockAttention;
  readonly feedForward: GatedMlp;
  /** Before and after the attention, `[hiddenSize]` each. */
  readonly attentionNorms: readonly [before: Tensor, after: Tensor];
  /** Before and after the feed-forward layer. */
  readonly feedForwardNorms: readonly [before: Tensor, after: Tensor];
  /** From the embedding of time to two scales and two gates; none in blocks over captions. */
  readonly modulation?: Linear;
}

interface BlockAttention {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly output: Linear;
  /** Norms of each head's queries and keys, `[headDim]`. */
  readonly queryNorm: Tensor;
  readonly keyNorm: Tensor;
}

/** Of the norms of queries and keys; fixed in the published code. */
const headEpsilon = 1e-5;

export function declareLuminaBlock(declare: Declare, config: LuminaTransformerConfig, modulated: boolean): LuminaBlock {
  const { hiddenSize, feedForwardSize, timeSize } = config;
  const norm = (name: string) => declare(`${name}.weight`, [hiddenSize]);
  const inner = within(declare, 'feed_forward');
  const block = {
    attention: declareAttention(within(declare, 'attn'), config),
    feedForward: {
      gate: declareLinear(within(inner, 'linear_1'), hiddenSize, feedForwardSize, false),
      down: declareLinear(within(inner, 'linear_2'), feedForwardSize, hiddenSize, false),
      up: declareLinear(within(inner, 'linear_3'), hiddenSize, feedForwardSize, false),
    },
    attentionNorms: [norm(modulated ? 'norm1.norm' : 'norm1'), norm('norm2')],
    feedForwardNorms: [norm('ffn_norm1'), norm('ffn_norm2')],
  } as const;
  if (!modulated) return block;
  return { ...block, modulation: declareLinear(within(declare, 'norm1.linear'), timeSize, 4 * hiddenSize) };
}

function declareAttention(declare: Declare, config: LuminaTransformerConfig): BlockAttention {
  const { hiddenSize, heads, keyValueHeads, headDim } = config;
  const projection = (name: string, count: number) =>
    declareLinear(within(declare, name), hiddenSize, count * headDim, false);
  return {
    query: projection('to_q', heads),
    key: projection('to_k', keyValueHeads),
    value: projection('to_v', keyValueHeads),
    output: declareLinear(within(declare, 'to_out.0'), heads * headDim, hiddenSize, false),
    queryNorm: declare('norm_q.weight', [headDim]),
    keyNorm: declare('norm_k.weight', [headDim]),
  };
}

/** What a block's tokens know beside themselves. */
export interface BlockContext {
  readonly rotary: Rotary;
  /** Additive, broadcasts to `[batch, heads, tokens, tokens]`; undefined: all see all. */
  readonly mask?: Tensor | undefined;
  /** Embedding of time after its SiLU, `[batch, timeSize]`; for modulated blocks. */
  readonly time?: Tensor;
  /** Picks the tokens, on axis 1, that are read after the block: the others are seen, but not made. Default: all. */
  readonly read?: (states: Tensor) => Tensor;
}

/** `x [batch, tokens, hiddenSize]` to the same shape, or to `[batch, tokens read, hiddenSize]`. */
export function luminaBlock(
  x: Tensor,
  block: LuminaBlock,
  config: LuminaTransformerConfig,
  context: BlockContext,
): Tensor {
  const normalize = (states: Tensor, scale: Tensor) => rmsNorm(states, scale, config.normEps);
  const modulation = modulate(block, config, context);
  const attend = (states: Tensor) => blockAttention(states, block.attention, config, context);
  const kept = context.read ? context.read(x) : x;
  const attended = add(kept, sublayer(x, block.attentionNorms, normalize, attend, modulation?.attention));
  const fed = (states: Tensor) => gatedMlp(states, block.feedForward);
  return add(attended, sublayer(attended, block.feedForwardNorms, normalize, fed, modulation?.feedForward));
}

/** `[batch, 1, hiddenSize]` each. */
interface Modulation {
  readonly scale: Tensor;
  readonly gate: Tensor;
}

function modulate(
  { modulation }: LuminaBlock,
  { hiddenSize }: LuminaTransformerConfig,
  { time }: BlockContext,
): { readonly attention: Modulation; readonly feedForward: Modulation } | undefined {
  if (!modulation) return undefined;
  const parts = split(unsqueeze(linear(time!, modulation), 1), 2, new Array(4).fill(hiddenSize));
  const [scale, gate, feedForwardScale, feedForwardGate] = parts as [Tensor, Tensor, Tensor, Tensor];
  return {
    attention: { scale, gate },
    feedForward: { scale: feedForwardScale, gate: feedForwardGate },
  };
}

/** What is added: `tanh(gate) · after(layer((1 + scale) · before(x)))`, without modulation `after(layer(before(x)))`. */
function sublayer(
  x: Tensor,
  [before, after]: readonly [before: Tensor, after: Tensor],
  normalize: (states: Tensor, scale: Tensor) => Tensor,
  layer: (states: Tensor) => Tensor,
  modulation: Modulation | undefined,
): Tensor {
  const states = normalize(x, before);
  if (!modulation) return normalize(layer(states), after);
  const scaled = multiply(states, add(modulation.scale, 1));
  return multiply(hyperbolicTangent(modulation.gate), normalize(layer(scaled), after));
}

function blockAttention(
  x: Tensor,
  { query, key, value, output, queryNorm, keyNorm }: BlockAttention,
  config: LuminaTransformerConfig,
  { rotary, mask, read = (states) => states }: BlockContext,
): Tensor {
  const { heads, keyValueHeads, headDim } = config;
  const turned = (x: Tensor, positions: Tensor, { weight }: Linear, norm: Tensor, count: number) => {
    const [batch, tokens] = x.shape;
    const states = reshape(linear(x, { weight: pairsApart(weight, headDim) }), [batch!, tokens!, count, headDim]);
    const normed = reshape(rmsNorm(states, pairsApart(norm, headDim), headEpsilon), [batch!, tokens!, count * headDim]);
    return rotaryEmbedding(normed, rotary.cosine, rotary.sine, positions, count);
  };
  const queries = turned(read(x), read(rotary.positions), query, queryNorm, heads);
  const keys = turned(x, rotary.positions, key, keyNorm, keyValueHeads);
  return linear(attention(queries, keys, linear(x, value), config, { mask }).output, output);
}

/**
 * Weights whose outputs are the heads' channels in another order. The published code turns neighbours, 2i and 2i + 1, and
 * `rotaryEmbedding` turns i and i + headDim / 2. Attention does not mind the order, if queries and keys share it, and it is
 * cheaper to change in weights than in states.
 */
function pairsApart(weight: Tensor, headDim: number): Tensor {
  const heads = (weight.shape[0] as number) / headDim;
  const pairs = reshape(weight, [heads, headDim / 2, 2, -1]);
  return reshape(transpose(pairs, [0, 2, 1, 3]), weight.shape);
}
