import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { parseQwen25VLConfig } from './config.ts';
import { parseGenerationConfig } from './generation-config.ts';

type Json = Record<string, unknown>;

function tiny(variant: 'tiny-a' | 'tiny-b', name: string): Json {
  return JSON.parse(readFileSync(referencePath(variant, `checkpoints/Qwen2.5-VL-tiny-Instruct/${name}`), 'utf8'));
}

/** The published Qwen2.5-VL-3B-Instruct `config.json`. */
const published3B: Json = {
  architectures: ['Qwen2_5_VLForConditionalGeneration'],
  attention_dropout: 0.0,
  bos_token_id: 151643,
  eos_token_id: 151645,
  vision_start_token_id: 151652,
  vision_end_token_id: 151653,
  vision_token_id: 151654,
  image_token_id: 151655,
  video_token_id: 151656,
  hidden_act: 'silu',
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 11008,
  max_position_embeddings: 128000,
  max_window_layers: 70,
  model_type: 'qwen2_5_vl',
  num_attention_heads: 16,
  num_hidden_layers: 36,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000.0,
  sliding_window: 32768,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  use_cache: true,
  use_sliding_window: false,
  vision_config: {
    depth: 32,
    hidden_act: 'silu',
    hidden_size: 1280,
    intermediate_size: 3420,
    num_heads: 16,
    in_chans: 3,
    out_hidden_size: 2048,
    patch_size: 14,
    spatial_merge_size: 2,
    spatial_patch_size: 14,
    window_size: 112,
    fullatt_block_indexes: [7, 15, 23, 31],
    tokens_per_second: 2,
    temporal_patch_size: 2,
  },
  rope_scaling: { type: 'mrope', mrope_section: [16, 24, 24] },
  vocab_size: 151936,
};

/** What transformers 5.17 writes when it loads and saves the flat form. */
function nestedForm(flat: Json): Json {
  const { vision_config, rope_scaling, rope_theta, tie_word_embeddings, torch_dtype, ...rest } = flat;
  const ids = Object.fromEntries(
    Object.entries(rest).filter(([key]) => /^(image|video|vision_start|vision_end)_token_id$/.test(key)),
  );
  return {
    model_type: 'qwen2_5_vl',
    ...ids,
    tie_word_embeddings,
    dtype: torch_dtype,
    text_config: {
      ...rest,
      dtype: torch_dtype,
      model_type: 'qwen2_5_vl_text',
      sliding_window: null,
      rope_parameters: { ...(rope_scaling as Json), rope_theta, rope_type: 'default' },
    },
    vision_config: {
      ...(vision_config as Json),
      in_channels: 3,
      rope_parameters: { rope_theta: 10000.0, rope_type: 'axial' },
    },
  };
}

describe('parseQwen25VLConfig', () => {
  test('reads the published form', () => {
    expect(parseQwen25VLConfig(published3B, 'config.json')).toEqual({
      text: {
        hiddenSize: 2048,
        intermediateSize: 11008,
        layers: 36,
        heads: 16,
        keyValueHeads: 2,
        headDim: 128,
        vocabSize: 151936,
        rmsNormEps: 1e-6,
        ropeTheta: 1e6,
        mropeSection: [16, 24, 24],
        tieWordEmbeddings: true,
        maxPositionEmbeddings: 128000,
      },
      vision: {
        depth: 32,
        hiddenSize: 1280,
        intermediateSize: 3420,
        heads: 16,
        headDim: 80,
        inChannels: 3,
        outHiddenSize: 2048,
        patchSize: 14,
        spatialMergeSize: 2,
        temporalPatchSize: 2,
        windowSize: 112,
        fullAttentionBlocks: [7, 15, 23, 31],
        hiddenAct: 'silu',
        ropeTheta: 10_000,
      },
      tokens: { imageToken: 151655, videoToken: 151656, visionStart: 151652, visionEnd: 151653 },
      dtype: 'bfloat16',
    });
  });

  test.each(referenceVariants)('the flat and the nested form of %s are the same model', (variant) => {
    const flat = tiny(variant, 'config.json');
    const config = parseQwen25VLConfig(flat, 'config.json');
    expect(config.text.tieWordEmbeddings).toBe(variant === 'tiny-a');
    expect(parseQwen25VLConfig(nestedForm(flat), 'config.json')).toEqual(config);
  });

  test('the nested form counts where both stand in one file', () => {
    const flat = tiny('tiny-a', 'config.json');
    const both = { ...flat, ...nestedForm(flat), num_hidden_layers: 99 };
    expect(parseQwen25VLConfig(both, 'config.json').text.layers).toBe(3);
  });

  test.each<[string, Json, RegExp]>([
    [
      'sliding windows',
      { use_sliding_window: true },
      /config\.json, use_sliding_window: expected false: sliding-window/,
    ],
    ['another activation', { hidden_act: 'gelu' }, /hidden_act: expected "silu", got "gelu"/],
    ['yarn', { rope_scaling: { type: 'yarn', mrope_section: [16, 24, 24] } }, /rope_scaling\.type: .*got "yarn"/],
    [
      'sections of another head',
      { rope_scaling: { mrope_section: [16, 24, 8] } },
      /mrope_section: .*64, got \[16,24,8\]/,
    ],
    [
      'heads that do not divide',
      { num_attention_heads: 15 },
      /num_attention_heads: .*divisor of hidden_size 2048.*got 15/,
    ],
    ['key-value heads that do not divide', { num_key_value_heads: 3 }, /num_key_value_heads: .*divisor.*got 3/],
    ['another head size', { head_dim: 64 }, /head_dim: expected .* = 128, got 64/],
    ['an image token outside of the vocabulary', { image_token_id: 151936 }, /image_token_id, .*got 151936/],
    ['two roles of one token', { image_token_id: 151656 }, /four different ids/],
    ['a missing size', { hidden_size: undefined }, /hidden_size: expected number, got nothing/],
    ['a fraction', { num_hidden_layers: 2.5 }, /num_hidden_layers: expected a whole number, got 2.5/],
    ['another model', { model_type: 'qwen2_vl' }, /model_type: expected "qwen2_5_vl", got "qwen2_vl"/],
  ])('refuses %s', (_name, change, message) => {
    expect(() => parseQwen25VLConfig({ ...published3B, ...change }, 'config.json')).toThrow(message);
  });

  test.each<[string, Json, RegExp]>([
    ['another output size', { out_hidden_size: 3584 }, /vision_config\.out_hidden_size: .*2048, got 3584/],
    [
      'full attention past the end',
      { fullatt_block_indexes: [7, 32] },
      /fullatt_block_indexes: .*depth 32, got \[7,32\]/,
    ],
    ['a head size not divisible by 4', { num_heads: 128 }, /vision_config\.num_heads: .*got 128/],
    ['a window smaller than a block', { window_size: 20 }, /window_size: expected at least .* = 28 pixels, got 20/],
    ['contradicting channels', { in_channels: 3, in_chans: 4 }, /in_chans: expected the same as in_channels, 3, got 4/],
  ])('refuses a vision encoder with %s', (_name, change, message) => {
    const vision_config = { ...(published3B.vision_config as Json), ...change };
    expect(() => parseQwen25VLConfig({ ...published3B, vision_config }, 'config.json')).toThrow(message);
  });
});

describe('parseGenerationConfig', () => {
  test('reads the tiny folder', () => {
    expect(parseGenerationConfig(tiny('tiny-a', 'generation_config.json'), 'generation_config.json')).toEqual({
      doSample: true,
      temperature: 1e-6,
      topK: 50,
      topP: 1,
      repetitionPenalty: 1.05,
      endTokens: [447, 445],
      padToken: 445,
    });
  });

  test('one end token is a list of one, and absent keys take the defaults', () => {
    expect(parseGenerationConfig({ eos_token_id: 7 }, 'g.json')).toEqual({
      doSample: false,
      temperature: 1,
      topK: 50,
      topP: 1,
      repetitionPenalty: 1,
      endTokens: [7],
      padToken: undefined,
    });
  });

  test.each([
    [{ eos_token_id: [] }, /eos_token_id: expected a length of at least 1, got \[\]/],
    [{ eos_token_id: 1, top_p: 1.5 }, /top_p: expected at most 1, got 1.5/],
    [{ eos_token_id: 1, temperature: 0 }, /temperature: expected more than 0, got 0/],
    [{ eos_token_id: [1, 'x'] }, /eos_token_id\[1\]: expected .*number, got "x"/],
    [{}, /eos_token_id: expected .*got nothing/],
    [null, /g\.json: expected object, got null/],
  ])('refuses %j', (value, message) => {
    expect(() => parseGenerationConfig(value, 'g.json')).toThrow(message);
  });
});
