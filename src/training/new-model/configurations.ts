/** The configuration files of a new model, in the published layout, made from its settings. */
import { parseQwen25VLConfig } from '../../models/qwen25vl/config.ts';
import { parseGenerationConfig } from '../../models/qwen25vl/generation-config.ts';
import { parseImageProcessorConfig } from '../../models/qwen25vl/image-processor-config.ts';
import { type PictureSampling, parseStarConfig, requireMatchingBase } from '../../models/star/config.ts';
import { TrainingError } from '../error.ts';
import { chatTemplate } from './chat-template.ts';
import type { ResolvedModelSettings } from './settings.ts';
import type { ModelConfig } from './start-value.ts';
import type { TokenizerFile } from './tokenizer-file.ts';

/** A model's configuration, as parsed and as files. */
export interface Configurations extends ModelConfig {
  /** `STAR_<name>.json`. */
  readonly starFile: unknown;
  /** Name of the folder in `checkpoints`. */
  readonly languageModel: string;
  /** Files of that folder: text, or what becomes JSON. */
  readonly languageModelFiles: Readonly<Record<string, unknown>>;
}

/**
 * @throws ConfigError naming the published key when sizes contradict each other, TrainingError when the tokenizer has
 *   more tokens than the vocabulary.
 */
export function configurationsOf(settings: ResolvedModelSettings, tokenizer: TokenizerFile): Configurations {
  const languageModel = `Qwen2.5-VL-${settings.name}-Instruct`;
  const ids = new Map(tokenizer.added_tokens.map(({ content, id }) => [content, id]));
  const tokens = Math.max(...ids.values()) + 1;
  if (tokens > settings.text.vocabularySize) {
    const message = `model settings: text.vocabularySize: expected at least the tokenizer's ${tokens} tokens, got ${settings.text.vocabularySize}`;
    throw new TrainingError('training_option_invalid', message, { tokens });
  }
  const starFile = starJson(settings, `checkpoints/${languageModel}`);
  const qwenFile = qwenJson(settings, ids);
  const preprocessor = preprocessorJson(settings);
  const generation = generationJson(ids);
  const place = (file: string) => `model settings (${file})`;
  const star = parseStarConfig(starFile, place(`STAR_${settings.name}.json`));
  const qwen = parseQwen25VLConfig(qwenFile, place('config.json'));
  requireMatchingBase(star, qwen, place(`STAR_${settings.name}.json`));
  parseImageProcessorConfig(preprocessor, place('preprocessor_config.json'));
  parseGenerationConfig(generation, place('generation_config.json'));
  return {
    star,
    qwen,
    starFile,
    languageModel,
    languageModelFiles: {
      'config.json': qwenFile,
      'generation_config.json': generation,
      'preprocessor_config.json': preprocessor,
      'tokenizer.json': tokenizer,
      'tokenizer_config.json': tokenizerConfigJson(settings),
      'chat_template.json': { chat_template: chatTemplate },
      'chat_template.jinja': chatTemplate,
    },
  };
}

function starJson(settings: ResolvedModelSettings, languageModelPath: string) {
  const { name, text, tokenizer, dtype } = settings;
  return {
    model_name: `STAR_${name}`,
    model_type: 'STARMultiModalityConfig',
    language_model: { model_name: 'Qwen2.5-VL', model_path: languageModelPath },
    pixel_encoder: {
      model_name: 'VQ_Model',
      // The STAR checkpoint carries the tokenizer's weights.
      model_path: null,
      image_token_size: tokenizer.codebookSize,
      n_embed: tokenizer.codebookDim,
      num_tokens: tokenizer.gridSize ** 2,
      num_heads: tokenizer.heads,
      ch: tokenizer.ch,
      ch_mult: tokenizer.chMult,
      z_channels: tokenizer.zChannels,
      num_res_blocks: tokenizer.resBlocks,
      norm_groups: tokenizer.normGroups,
    },
    pixel_adapter: {
      model_name: 'MLP_GELU',
      depth: settings.adapterDepth,
      input_dim: tokenizer.codebookDim,
      n_embed: text.hiddenSize,
    },
    stacked_ar: stacksJson(settings.stacks),
    pixel_output_head: { image_token_size: tokenizer.codebookSize, n_embed: text.hiddenSize },
    ...(settings.sampling && {
      sampling: { generate: samplingJson(settings.sampling.generate), edit: samplingJson(settings.sampling.edit) },
    }),
    reasoning_suffix: settings.reasoningSuffix,
    torch_dtype: dtype,
  };
}

/** `stacked_ar`, as published where there is one stack. */
export function stacksJson(stacks: ResolvedModelSettings['stacks']): unknown {
  if (stacks.length === 1 && typeof stacks[0] === 'number') return { num_layers: stacks[0] };
  return stacks.map((stack) =>
    typeof stack === 'number' ? { num_layers: stack } : { num_layers: stack.layers, tasks: stack.tasks },
  );
}

/** JSON leaves out what is undefined. */
function samplingJson({ topK, topP, reasoningTemperature, ...others }: PictureSampling = {}) {
  return { ...others, top_k: topK, top_p: topP, reasoning_temperature: reasoningTemperature };
}

function qwenJson({ text, vision, dtype }: ResolvedModelSettings, ids: ReadonlyMap<string, number>) {
  const allBlocks = Array.from({ length: vision.depth }, (_, block) => block);
  return {
    architectures: ['Qwen2_5_VLForConditionalGeneration'],
    model_type: 'qwen2_5_vl',
    attention_dropout: 0,
    bos_token_id: ids.get('<|endoftext|>'),
    eos_token_id: ids.get('<|im_end|>'),
    vision_start_token_id: ids.get('<|vision_start|>'),
    vision_end_token_id: ids.get('<|vision_end|>'),
    vision_token_id: ids.get('<|vision_pad|>'),
    image_token_id: ids.get('<|image_pad|>'),
    video_token_id: ids.get('<|video_pad|>'),
    hidden_act: 'silu',
    hidden_size: text.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: text.intermediateSize,
    max_position_embeddings: text.contextLength,
    max_window_layers: text.layers,
    num_attention_heads: text.heads,
    num_hidden_layers: text.layers,
    num_key_value_heads: text.keyValueHeads ?? text.heads,
    rms_norm_eps: text.rmsNormEps,
    rope_theta: text.ropeTheta,
    sliding_window: text.contextLength,
    tie_word_embeddings: text.tieWordEmbeddings,
    torch_dtype: dtype,
    use_cache: true,
    use_sliding_window: false,
    vocab_size: text.vocabularySize,
    rope_scaling: { type: 'mrope', mrope_section: mropeSection(text.hiddenSize / text.heads) },
    vision_config: {
      depth: vision.depth,
      hidden_act: 'silu',
      hidden_size: vision.hiddenSize,
      intermediate_size: vision.intermediateSize,
      num_heads: vision.heads,
      in_chans: 3,
      out_hidden_size: text.hiddenSize,
      patch_size: vision.patchSize,
      spatial_merge_size: vision.mergeSize,
      spatial_patch_size: vision.patchSize,
      window_size: vision.windowSize ?? 8 * vision.patchSize,
      fullatt_block_indexes: vision.fullAttentionBlocks ?? allBlocks,
      tokens_per_second: 2,
      temporal_patch_size: vision.temporalPatchSize,
    },
  };
}

/** Time, height and width share the frequencies as in Qwen2.5-VL, 2 : 3 : 3 (16, 24, 24 of 64). */
function mropeSection(headDim: number): [number, number, number] {
  const half = Math.floor(headDim / 2);
  const space = Math.max(1, Math.round((3 * half) / 8));
  return [half - 2 * space, space, space];
}

function preprocessorJson({ vision, tokenizer }: ResolvedModelSettings) {
  const pictureSide = tokenizer.gridSize * 2 ** (tokenizer.chMult.length - 1);
  return {
    min_pixels: vision.minPixels ?? pictureSide ** 2,
    max_pixels: vision.maxPixels ?? pictureSide ** 2,
    patch_size: vision.patchSize,
    temporal_patch_size: vision.temporalPatchSize,
    merge_size: vision.mergeSize,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
    image_processor_type: 'Qwen2VLImageProcessor',
    processor_class: 'Qwen2_5_VLProcessor',
  };
}

/** Greedy: a small model of a small world answers in few words, which a repetition penalty would twist. */
function generationJson(ids: ReadonlyMap<string, number>) {
  return {
    bos_token_id: ids.get('<|endoftext|>'),
    pad_token_id: ids.get('<|endoftext|>'),
    eos_token_id: [ids.get('<|im_end|>'), ids.get('<|endoftext|>')],
    do_sample: false,
    repetition_penalty: 1,
  };
}

function tokenizerConfigJson({ text }: ResolvedModelSettings) {
  return {
    clean_up_tokenization_spaces: false,
    eos_token: '<|im_end|>',
    model_max_length: text.contextLength,
    pad_token: '<|endoftext|>',
    tokenizer_class: 'Qwen2Tokenizer',
  };
}
