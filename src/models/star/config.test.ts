import { describe, expect, test } from 'vitest';
import { parseStarConfig, publishedInputs } from './config.ts';

/** star/configs/STAR_Qwen2.5-VL-3B.json of MM-MVR/STAR. */
const published3B = {
  model_name: 'STAR_Qwen2.5-3B_VQGAN',
  model_type: 'STARMultiModalityConfig',
  language_model: { model_name: 'Qwen2.5-VL', model_path: 'checkpoints/Qwen2.5-VL-3B-Instruct' },
  pixel_encoder: {
    model_name: 'VQ_Model',
    model_path: 'checkpoints/VQ-Model.pt',
    image_token_size: 65536,
    n_embed: 512,
    num_tokens: 576,
    num_heads: 8,
  },
  pixel_adapter: { model_name: 'MLP_GELU', depth: 2, input_dim: 512, n_embed: 2048 },
  stacked_ar: { num_layers: 16 },
  pixel_output_head: { image_token_embed: 4096, image_token_size: 65536, n_embed: 2048 },
  pixel_decoder: { model_name: 'LUMINA2', model_path: 'checkpoints/lumina-image2' },
  torch_dtype: 'bfloat16',
};

describe('parseStarConfig', () => {
  test('fills in what the published code fixes', () => {
    expect(parseStarConfig(published3B, 'STAR.json')).toEqual({
      modelName: 'STAR_Qwen2.5-3B_VQGAN',
      languageModel: { path: 'checkpoints/Qwen2.5-VL-3B-Instruct' },
      pixelEncoder: {
        path: 'checkpoints/VQ-Model.pt',
        codebookSize: 65536,
        codebookDim: 512,
        numTokens: 576,
        gridSize: 24,
        downsampling: 16,
        imageSize: 384,
        heads: 8,
        ch: 256,
        chMult: [1, 2, 2, 4, 8],
        zChannels: 512,
        resBlocks: 2,
        normGroups: 32,
        l2Norm: false,
        commitLossBeta: 0.25,
      },
      pixelAdapter: { depth: 2, inputDim: 512, hiddenSize: 2048 },
      stackedAr: [{ numLayers: 16, tasks: ['generate', 'edit'] }],
      sampling: { generate: {}, edit: {} },
      reasoningSuffix: ' Ultra HD, 4K, cinematic composition',
      outputHead: { codes: 65536, hiddenSize: 2048 },
      pixelDecoder: { path: 'checkpoints/lumina-image2', inputs: publishedInputs },
    });
  });

  test('takes several stacks, no diffusion decoder, and a tokenizer inside the checkpoint', () => {
    const { pixel_decoder: _decoder, ...rest } = published3B;
    const pixel_encoder = { ...published3B.pixel_encoder, model_path: '' };
    const stacked_ar = [{ num_layers: 2 }, { num_layers: 3, tasks: ['edit'] }];
    const config = parseStarConfig({ ...rest, pixel_encoder, stacked_ar }, 's');
    expect(config.stackedAr).toEqual([
      { numLayers: 2, tasks: ['generate', 'edit'] },
      { numLayers: 3, tasks: ['edit'] },
    ]);
    expect(config.pixelDecoder).toBeUndefined();
    expect(config.pixelEncoder.path).toBeUndefined();
  });

  const encoder = published3B.pixel_encoder;
  const head = published3B.pixel_output_head;
  test.each<[string, object, RegExp]>([
    [
      'a grid that is no square',
      { pixel_encoder: { ...encoder, num_tokens: 575 } },
      /num_tokens: expected a square.*575/,
    ],
    ['heads that do not divide', { pixel_encoder: { ...encoder, num_heads: 7 } }, /num_heads: .*2048, got 7/],
    ['channels without norm groups', { pixel_encoder: { ...encoder, ch: 40 } }, /pixel_encoder\.ch: .*32.*got 40/],
    [
      'another tokenizer',
      { pixel_encoder: { ...encoder, model_name: 'X' } },
      /model_name: expected "VQ_Model", got "X"/,
    ],
    [
      'a head of another codebook',
      { pixel_output_head: { ...head, image_token_size: 9 } },
      /image_token_size: .*65536, got 9/,
    ],
    [
      'a head of another width',
      { pixel_output_head: { ...head, n_embed: 9 } },
      /pixel_output_head\.n_embed: .*2048, got 9/,
    ],
    [
      'an adapter of other codes',
      { pixel_adapter: { ...published3B.pixel_adapter, input_dim: 8 } },
      /pixel_adapter\.input_dim: .*512, got 8/,
    ],
    ['no stack', { stacked_ar: [] }, /stacked_ar: .*got \[\]/],
    ['a stack of less than none', { stacked_ar: [{ num_layers: -1 }] }, /stacked_ar\[0\]\.num_layers: .*got -1/],
    ['sampling that cannot be', { sampling: { generate: { top_p: 0 }, edit: {} } }, /sampling\.generate\.top_p: /],
    ['another base', { language_model: { model_name: 'Llama', model_path: 'x' } }, /"Qwen2.5-VL", got "Llama"/],
  ])('refuses %s', (_name, change, message) => {
    expect(() => parseStarConfig({ ...published3B, ...change }, 'STAR.json')).toThrow(message);
  });
});
