import { describe, expect, test } from 'vitest';
import { parseVaeConfig } from './vae-config.ts';

/** `vae/config.json` of Lumina-Image-2.0. */
const published = {
  _class_name: 'AutoencoderKL',
  act_fn: 'silu',
  block_out_channels: [128, 256, 512, 512],
  down_block_types: new Array(4).fill('DownEncoderBlock2D'),
  up_block_types: new Array(4).fill('UpDecoderBlock2D'),
  force_upcast: true,
  in_channels: 3,
  latent_channels: 16,
  latents_mean: null,
  latents_std: null,
  layers_per_block: 2,
  mid_block_add_attention: true,
  norm_num_groups: 32,
  out_channels: 3,
  sample_size: 1024,
  scaling_factor: 0.3611,
  shift_factor: 0.1159,
  use_post_quant_conv: false,
  use_quant_conv: false,
};

describe('parseVaeConfig', () => {
  test('the published sizes', () => {
    expect(parseVaeConfig(published, 'config.json')).toEqual({
      inChannels: 3,
      outChannels: 3,
      latentChannels: 16,
      levelChannels: [128, 256, 512, 512],
      resBlocks: 2,
      normGroups: 32,
      middleAttention: true,
      quantConvolution: false,
      postQuantConvolution: false,
      scalingFactor: 0.3611,
      shiftFactor: 0.1159,
      downsampling: 8,
    });
  });

  test('absent keys take the defaults of diffusers', () => {
    expect(parseVaeConfig({}, 'config.json')).toMatchObject({
      latentChannels: 4,
      levelChannels: [64],
      resBlocks: 1,
      quantConvolution: true,
      postQuantConvolution: true,
      scalingFactor: 0.18215,
      shiftFactor: 0,
      downsampling: 1,
    });
    expect(parseVaeConfig({ ...published, shift_factor: null }, 'config.json').shiftFactor).toBe(0);
  });

  test.each<[string, object, RegExp]>([
    [
      'another class',
      { _class_name: 'AutoencoderTiny' },
      /_class_name: expected "AutoencoderKL", got "AutoencoderTiny"/,
    ],
    [
      'blocks with attention',
      { down_block_types: ['AttnDownEncoderBlock2D'] },
      /down_block_types\[0\]: expected "Down/,
    ],
    ['too few blocks', { up_block_types: ['UpDecoderBlock2D'] }, /up_block_types: expected one for each .*4, got \[/],
    ['channels without groups', { norm_num_groups: 24 }, /block_out_channels: expected multiples of .*24, got \[128/],
    ['another activation', { act_fn: 'relu' }, /act_fn: expected "silu" or "swish", got "relu"/],
    ['statistics of latents', { latents_std: [1, 2] }, /latents_std: expected null, got \[1,2\]/],
    ['no scale', { scaling_factor: 0 }, /scaling_factor: expected more than 0, got 0/],
    ['no levels', { block_out_channels: [] }, /block_out_channels: expected a length of at least 1, got \[\]/],
  ])('refuses %s', (_, change, message) => {
    expect(() => parseVaeConfig({ ...published, ...change }, 'config.json')).toThrow(message);
  });
});
