import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { parseGemma2Config } from './gemma2-config.ts';

type Json = Record<string, unknown>;

/** Of Gemma 2 2B as transformers 4 saves it. */
const published: Json = {
  architectures: ['Gemma2Model'],
  attention_bias: false,
  attention_dropout: 0.0,
  attn_logit_softcapping: 50.0,
  bos_token_id: 2,
  cache_implementation: 'hybrid',
  eos_token_id: 1,
  final_logit_softcapping: 30.0,
  head_dim: 256,
  hidden_act: 'gelu_pytorch_tanh',
  hidden_activation: 'gelu_pytorch_tanh',
  hidden_size: 2304,
  initializer_range: 0.02,
  intermediate_size: 9216,
  max_position_embeddings: 8192,
  model_type: 'gemma2',
  num_attention_heads: 8,
  num_hidden_layers: 26,
  num_key_value_heads: 4,
  pad_token_id: 0,
  query_pre_attn_scalar: 256,
  rms_norm_eps: 1e-6,
  rope_theta: 10000.0,
  sliding_window: 4096,
  torch_dtype: 'float32',
  use_cache: true,
  vocab_size: 256000,
};

test('the form of transformers 4', () => {
  expect(parseGemma2Config(published, 'config.json')).toEqual({
    hiddenSize: 2304,
    intermediateSize: 9216,
    heads: 8,
    keyValueHeads: 4,
    headDim: 256,
    vocabSize: 256000,
    rmsNormEps: 1e-6,
    ropeTheta: 10000,
    scoreScale: 1 / 16,
    scoreSoftCap: 50,
    windows: Array.from({ length: 26 }, (_, layer) => (layer % 2 === 0 ? 4096 : undefined)),
    dtype: 'float32',
  });
});

describe.each(referenceVariants)('%s', (variant) => {
  const file = referencePath(variant, 'checkpoints/lumina-image2-tiny/text_encoder/config.json');

  test('the form of transformers 5', () => {
    const config = parseGemma2Config(JSON.parse(readFileSync(file, 'utf8')), file);
    expect(config).toMatchObject({ headDim: 12, scoreSoftCap: 50, windows: [16, undefined, 16, undefined] });
    expect(config.scoreScale).toBeCloseTo(12 ** -0.5, 15);
  });
});

test('what the file says goes before the defaults', () => {
  const parse = (change: Json) => parseGemma2Config({ ...published, ...change }, 'config.json');
  expect(parse({ rope_parameters: { rope_type: 'default', rope_theta: 500 } }).ropeTheta).toBe(500);
  expect(parse({ rope_theta: 700 }).ropeTheta).toBe(700);
  expect(parse({ attn_logit_softcapping: null }).scoreSoftCap).toBeUndefined();
  expect(parse({ attn_logit_softcapping: undefined }).scoreSoftCap).toBe(50);
  expect(parse({ torch_dtype: undefined, dtype: 'bfloat16' }).dtype).toBe('bfloat16');
  const types = ['full_attention', 'sliding_attention', 'sliding_attention'];
  expect(parse({ num_hidden_layers: 3, layer_types: types }).windows).toEqual([undefined, 4096, 4096]);
  const full = ['full_attention'];
  expect(parse({ num_hidden_layers: 1, layer_types: full, sliding_window: null }).windows).toEqual([undefined]);
});

test.each([
  [{ model_type: 'gemma3_text' }, 'model_type: expected "gemma2", got "gemma3_text"'],
  [{ hidden_size: undefined }, 'hidden_size: expected number, got nothing'],
  [{ num_hidden_layers: 0 }, 'num_hidden_layers: expected at least 1, got 0'],
  [{ num_key_value_heads: 3 }, 'num_key_value_heads: expected a divisor of num_attention_heads 8, got 3'],
  [{ head_dim: 7 }, 'head_dim: expected an even number, got 7'],
  [{ hidden_activation: 'silu' }, 'hidden_activation: expected "gelu_pytorch_tanh", got "silu"'],
  [{ attention_bias: true }, 'attention_bias: expected false, got true'],
  [{ use_bidirectional_attention: true }, 'use_bidirectional_attention: expected false, got true'],
  [{ attn_logit_softcapping: 0 }, 'attn_logit_softcapping: expected more than 0, got 0'],
  [
    { layer_types: ['full_attention'] },
    'layer_types: expected a type for each of 26 layers, got 1: ["full_attention"]',
  ],
  [
    { sliding_window: null },
    'sliding_window: expected a number of tokens, since there are layers of sliding attention, got null',
  ],
  [{ rope_scaling: { type: 'linear', factor: 2 } }, 'rope_scaling: expected null, got {"type":"linear","factor":2}'],
  [{ rope_parameters: { rope_type: 'yarn' } }, 'rope_parameters.rope_type: expected "default", got "yarn"'],
])('%j is refused', (change, message) => {
  expect(() => parseGemma2Config({ ...published, ...change }, 'config.json')).toThrow(`config.json, ${message}`);
});
