/** Sizes of the published diffusion decoder, Lumina-Image-2.0, for planning without its files. */
import { type Gemma2Config, parseGemma2Config } from '../../models/lumina2/gemma2-config.ts';
import { type LuminaTransformerConfig, parseLuminaTransformerConfig } from '../../models/lumina2/transformer-config.ts';
import { parseVaeConfig, type VaeConfig } from '../../models/lumina2/vae-config.ts';
import { type DecoderInputs, publishedInputs } from '../../models/star/config.ts';

export interface DecoderConfig {
  readonly transformer: LuminaTransformerConfig;
  readonly vae: VaeConfig;
  /** The base: the decoder has no text encoder of its own. */
  readonly textEncoder: Gemma2Config | 'base';
  readonly inputs: DecoderInputs;
}

/** As Alpha-VLLM/Lumina-Image-2.0 has them in its `config.json` files. */
export function publishedDecoder(): DecoderConfig {
  return {
    inputs: publishedInputs,
    transformer: parseLuminaTransformerConfig(
      {
        _class_name: 'Lumina2Transformer2DModel',
        patch_size: 2,
        in_channels: 16,
        hidden_size: 2304,
        num_layers: 26,
        num_refiner_layers: 2,
        num_attention_heads: 24,
        num_kv_heads: 8,
        multiple_of: 256,
        norm_eps: 1e-5,
        axes_dim_rope: [32, 32, 32],
        axes_lens: [300, 512, 512],
        cap_feat_dim: 2304,
      },
      'Lumina-Image-2.0 (transformer)',
    ),
    vae: parseVaeConfig(
      {
        latent_channels: 16,
        block_out_channels: [128, 256, 512, 512],
        down_block_types: Array(4).fill('DownEncoderBlock2D'),
        up_block_types: Array(4).fill('UpDecoderBlock2D'),
        layers_per_block: 2,
        use_quant_conv: false,
        use_post_quant_conv: false,
        scaling_factor: 0.3611,
        shift_factor: 0.1159,
      },
      'Lumina-Image-2.0 (vae)',
    ),
    textEncoder: parseGemma2Config(
      {
        model_type: 'gemma2',
        hidden_size: 2304,
        intermediate_size: 9216,
        num_hidden_layers: 26,
        num_attention_heads: 8,
        num_key_value_heads: 4,
        vocab_size: 256000,
      },
      'Lumina-Image-2.0 (text_encoder)',
    ),
  };
}
