/** The configuration files of a new diffusion decoder, in the layout of diffusers, made from its settings. */
import { nodeFiles } from '../../checkpoint/node-files.ts';
import { ConfigError } from '../../models/config-error.ts';
import { readJsonFile } from '../../models/config-file.ts';
import { openAutoencoderFolder, type WeightedPart } from '../../models/lumina2/folder.ts';
import { parseSchedulerConfig, type SchedulerConfig } from '../../models/lumina2/scheduler-config.ts';
import { channelsOf } from '../../models/lumina2/star-inputs.ts';
import { declareLuminaTransformer } from '../../models/lumina2/transformer.ts';
import { parseLuminaTransformerConfig } from '../../models/lumina2/transformer-config.ts';
import { declareVae } from '../../models/lumina2/vae.ts';
import { parseVaeConfig, type VaeConfig } from '../../models/lumina2/vae-config.ts';
import { overlayPrefixes } from '../../models/lumina2/weights.ts';
import { parameterShapes, within } from '../../nn/parameters.ts';
import type { ResolvedDecoderSettings } from './decoder-settings.ts';
import type { DecoderConfig } from './published-decoder.ts';
import type { ModelConfig } from './start-value.ts';

/** A decoder's configuration, as parsed and as files. */
export interface DecoderConfigurations extends DecoderConfig {
  readonly scheduler: SchedulerConfig;
  /** What becomes JSON, by the path in the decoder's folder. */
  readonly files: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A trained autoencoder's `config.json`, as it stands there and in its normal form. */
export interface AutoencoderConfiguration {
  readonly json: Readonly<Record<string, unknown>>;
  readonly config: VaeConfig;
}

/**
 * @param autoencoder that is trained, where the settings name one; default: a new one of their sizes.
 * @throws ConfigError naming the published key when sizes contradict each other or the model.
 */
export function decoderConfigurations(
  settings: ResolvedDecoderSettings,
  { qwen }: ModelConfig,
  autoencoder?: AutoencoderConfiguration,
): DecoderConfigurations {
  const { json: vaeJson, config: vae } = autoencoder ?? newAutoencoder(settings);
  const step = vae.downsampling * settings.transformer.patchSize;
  const files = {
    'model_index.json': indexJson(),
    'transformer/config.json': transformerJson(settings, vae, qwen.text.hiddenSize),
    'vae/config.json': vaeJson,
    'scheduler/scheduler_config.json': {
      _class_name: 'FlowMatchEulerDiscreteScheduler',
      num_train_timesteps: 1000,
      shift: settings.shift,
    },
  };
  const parse = <T>(parser: (value: unknown, file: string) => T, file: keyof typeof files) =>
    parser(files[file], place(file));
  if (settings.resolution % step !== 0) {
    const expected = `a multiple of ${step}, the pixels of a patch`;
    throw new ConfigError('decoder settings', { path: 'resolution', expected, got: `${settings.resolution}` });
  }
  return {
    transformer: parse(parseLuminaTransformerConfig, 'transformer/config.json'),
    vae,
    textEncoder: settings.textEncoder,
    inputs: { draft: settings.draft, source: settings.source },
    scheduler: parse(parseSchedulerConfig, 'scheduler/scheduler_config.json'),
    files,
  };
}

/** Name in the STAR checkpoint and shape of every parameter of a decoder, in order. */
export function decoderShapes(
  { transformer, vae, inputs }: Pick<DecoderConfig, 'transformer' | 'vae' | 'inputs'>,
  { star }: Pick<ModelConfig, 'star'>,
): Map<string, readonly number[]> {
  const channels = channelsOf(inputs, star.pixelEncoder, transformer);
  return parameterShapes((declare) => {
    declareLuminaTransformer(within(declare, overlayPrefixes.transformer), transformer, channels);
    declareVae(within(declare, overlayPrefixes.vae), vae);
  });
}

function place(file: string): string {
  return `decoder settings (${file})`;
}

function newAutoencoder({ autoencoder }: ResolvedDecoderSettings): AutoencoderConfiguration {
  const json = newVaeJson(autoencoder!);
  return { json, config: parseVaeConfig(json, place('vae/config.json')) };
}

/** An autoencoder that is trained already. */
export interface TrainedAutoencoder extends AutoencoderConfiguration {
  readonly part: WeightedPart;
}

/**
 * Opens the autoencoder that the settings name, if they do.
 * @throws ConfigError where it is not there or not supported.
 */
export async function openTrainedAutoencoder({
  autoencoderFrom,
}: ResolvedDecoderSettings): Promise<TrainedAutoencoder | undefined> {
  if (autoencoderFrom === undefined) return undefined;
  const part = await openAutoencoderFolder(nodeFiles, autoencoderFrom);
  const json = (await readJsonFile(part.configFile)) as Record<string, unknown>;
  return { json, config: parseVaeConfig(json, part.configFile), part };
}

function indexJson() {
  return {
    _class_name: 'Lumina2Pipeline',
    scheduler: ['diffusers', 'FlowMatchEulerDiscreteScheduler'],
    text_encoder: [null, null],
    tokenizer: [null, null],
    transformer: ['diffusers', 'Lumina2Transformer2DModel'],
    vae: ['diffusers', 'AutoencoderKL'],
  };
}

function transformerJson(
  { transformer, captionTokens, resolution, source }: ResolvedDecoderSettings,
  vae: VaeConfig,
  captionDim: number,
) {
  const { hiddenSize, heads } = transformer;
  const feedForwardSize = transformer.feedForwardSize ?? 4 * hiddenSize;
  const patches = Math.floor(resolution / (vae.downsampling * transformer.patchSize));
  return {
    _class_name: 'Lumina2Transformer2DModel',
    patch_size: transformer.patchSize,
    in_channels: vae.latentChannels,
    hidden_size: hiddenSize,
    num_layers: transformer.layers,
    num_refiner_layers: transformer.refinerLayers,
    num_attention_heads: heads,
    num_kv_heads: transformer.keyValueHeads ?? heads,
    // Together they say feedForwardSize: what is wanted is rounded up to a multiple.
    multiple_of: feedForwardSize,
    ffn_dim_multiplier: feedForwardSize / (4 * hiddenSize),
    norm_eps: transformer.normEps,
    axes_dim_rope: transformer.ropeChannels ?? ropeChannels(hiddenSize / heads),
    axes_lens: [captionTokens + 1, source === 'below' ? 2 * patches : patches, patches],
    cap_feat_dim: captionDim,
  };
}

/** Thirds of a head, each even; what is left over goes to the caption's axis. A head that has none is refused later. */
function ropeChannels(headDim: number): [number, number, number] {
  const side = Math.max(2 * Math.floor(headDim / 6), 2);
  return [Math.max(Math.floor(headDim) - 2 * side, 2), side, side];
}

function newVaeJson({
  channels,
  latentChannels,
  resBlocks,
  normGroups,
  attention,
}: NonNullable<ResolvedDecoderSettings['autoencoder']>) {
  return {
    _class_name: 'AutoencoderKL',
    in_channels: 3,
    out_channels: 3,
    latent_channels: latentChannels,
    block_out_channels: channels,
    down_block_types: channels.map(() => 'DownEncoderBlock2D'),
    up_block_types: channels.map(() => 'UpDecoderBlock2D'),
    layers_per_block: resBlocks,
    norm_num_groups: normGroups,
    mid_block_add_attention: attention,
    use_quant_conv: false,
    use_post_quant_conv: false,
    // Until the stage `autoencoder` has measured its latents.
    scaling_factor: 1,
    shift_factor: 0,
  };
}
