import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { parseLuminaTransformerConfig } from './transformer-config.ts';

/** `transformer/config.json` of Alpha-VLLM/Lumina-Image-2.0. */
const published = {
  _class_name: 'Lumina2Transformer2DModel',
  _diffusers_version: '0.33.0.dev0',
  axes_dim_rope: [32, 32, 32],
  axes_lens: [300, 512, 512],
  cap_feat_dim: 2304,
  ffn_dim_multiplier: null,
  hidden_size: 2304,
  in_channels: 16,
  multiple_of: 256,
  norm_eps: 1e-5,
  num_attention_heads: 24,
  num_kv_heads: 8,
  num_layers: 26,
  num_refiner_layers: 2,
  out_channels: null,
  patch_size: 2,
  sample_size: 128,
  scaling_factor: 1.0,
};

const parse = (changes: object = {}) => parseLuminaTransformerConfig({ ...published, ...changes }, 'config.json');

describe('parseLuminaTransformerConfig', () => {
  test('brings the published file into normal form', () => {
    expect(parse()).toEqual({
      latentChannels: 16,
      patchSize: 2,
      hiddenSize: 2304,
      layers: 26,
      refinerLayers: 2,
      heads: 24,
      keyValueHeads: 8,
      headDim: 96,
      feedForwardSize: 9216,
      normEps: 1e-5,
      captionDim: 2304,
      timeSize: 1024,
      ropeChannels: [32, 32, 32],
      ropePositions: [300, 512, 512],
    });
  });

  test.each(referenceVariants)('reads the file of %s', (variant) => {
    const file = referencePath(variant, 'checkpoints/lumina-image2-tiny/transformer/config.json');
    const config = parseLuminaTransformerConfig(JSON.parse(readFileSync(file, 'utf8')), file);
    expect(config).toMatchObject({ headDim: 12, keyValueHeads: 2, feedForwardSize: 192, timeSize: 48 });
  });

  test.each([
    // int(1.3 * 9216) = 11980, up to the next multiple of 256.
    [{ ffn_dim_multiplier: 1.3 }, 12032],
    [{ ffn_dim_multiplier: 0.5 }, 4608],
    // 9216 is not a multiple of 1000.
    [{ multiple_of: 1000 }, 10000],
    // int(1.00005 * 9216) = 9216: the fraction is cut off before rounding up.
    [{ ffn_dim_multiplier: 1.00005 }, 9216],
  ])('sizes the feed-forward layers: %o', (changes, size) => {
    expect(parse(changes).feedForwardSize).toBe(size);
  });

  test('takes as many key-value heads as heads where none are named', () => {
    expect(parse({ num_kv_heads: null }).keyValueHeads).toBe(24);
  });

  test.each<[string, object, RegExp]>([
    ['another class', { _class_name: 'SD3Transformer2DModel' }, /_class_name: expected "Lumina2Transformer2DModel"/],
    ['a missing size', { hidden_size: undefined }, /hidden_size: expected .*number, got nothing/],
    ['a size that is no whole number', { num_layers: 1.5 }, /num_layers: expected a whole number, got 1\.5/],
    ['heads that do not divide', { num_attention_heads: 7 }, /num_attention_heads: .*2304.*got 7/],
    ['key-value heads that do not divide', { num_kv_heads: 5 }, /num_kv_heads: .*24, got 5/],
    ['axes of another sum', { axes_dim_rope: [32, 32, 30] }, /axes_dim_rope: .*head size, 96, got \[32,32,30\]/],
    ['odd axes', { axes_dim_rope: [33, 33, 30] }, /axes_dim_rope: expected three even/],
    ['two axes', { axes_dim_rope: [48, 48] }, /axes_dim_rope/],
    ['more channels out than in', { out_channels: 32 }, /out_channels: expected null or in_channels, 16, got 32/],
  ])('refuses %s', (_, changes, message) => {
    expect(() => parse(changes)).toThrow(message);
    expect(() => parse(changes)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});
