/** What a stage of a recipe would take, from its sizes alone: nothing is read but configurations, nothing large allocated. */

import { declareGemma2 } from '../../models/lumina2/gemma2.ts';
import { declareVae } from '../../models/lumina2/vae.ts';
import { declareVisionEncoder } from '../../models/qwen25vl/vision-encoder.ts';
import { type ModelFolder, openModelFolder } from '../../models/star/folder.ts';
import { declareAdapter, declareBase } from '../../models/star/parameters.ts';
import { parameterShapes, within } from '../../nn/parameters.ts';
import { openDiffusionDecoder } from '../../tasks/diffusion-decoder.ts';
import { discriminatorPrefix } from '../adversarial-loss.ts';
import { alignmentStage } from '../alignment-loss.ts';
import { TrainingError } from '../error.ts';
import { adoptedDecoder } from '../new-model/adopt-decoder.ts';
import { configurationsOf } from '../new-model/configurations.ts';
import { decoderConfigurations, openTrainedAutoencoder } from '../new-model/decoder-configurations.ts';
import { derivedModel } from '../new-model/derive-model.ts';
import { countParts, modelShapes } from '../new-model/new-model.ts';
import { type DecoderConfig, publishedDecoder } from '../new-model/published-decoder.ts';
import type { ModelConfig } from '../new-model/start-value.ts';
import { tokenizerFile } from '../new-model/tokenizer-file.ts';
import { trainedPictureParts } from '../picture-loss.ts';
import { tokenizerStage } from '../tokenizer-loss.ts';
import { requireDecoder } from './alignment-task.ts';
import type { StageName, TrainingRecipe } from './recipe.ts';

export interface StagePlan {
  readonly stage: StageName;
  /** Parameters of each part of the model: how many, and whether the stage trains them. */
  readonly parts: readonly { readonly part: string; readonly parameters: number; readonly trained: number }[];
  readonly steps: number;
  /** Samples that all steps together see. */
  readonly samples: number;
  /** Bytes, all in float32. Activations come on top: they depend on the runtime. */
  readonly memory: {
    /** Weights that are read and not trained. Parts that the stage does not run are not loaded. */
    readonly frozen: number;
    readonly trained: number;
    readonly gradients: number;
    /** Two for each trained weight. */
    readonly moments: number;
    /** The running average, where the recipe keeps one. */
    readonly average: number;
  };
}

/**
 * Stages of the diffusion decoder are planned with the model's own; where it has none, with the recipe's; a new model without
 * either with the published one.
 * @param folder a model's folder, in place of the recipe's model
 * @throws TrainingError for a stage that the recipe does not have, ConfigError for sizes that contradict each other.
 */
export async function planStage(recipe: TrainingRecipe, stage: StageName, folder?: string): Promise<StagePlan> {
  const settings = recipe.stages[stage];
  if (!settings) throw noStage(recipe, stage);
  const config = await configOf(recipe, folder);
  const shapes = modelShapes(config);
  const decoder = isDecoderStage(stage)
    ? decoderParts(stage, await decoderOf(recipe, stage, config), config)
    : undefined;
  const trained = isDecoderStage(stage) ? new Map<string, readonly number[]>() : trainedOf(recipe, stage, config);
  const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const all = countParts(shapes);
  const beside = [...trained].filter(([name]) => name.startsWith(discriminatorPrefix));
  const discriminator = beside.reduce((sum, [, shape]) => sum + size(shape), 0);
  const learned = countParts(new Map([...trained].filter(([name]) => shapes.has(name))));
  const decoderRows = (decoder ?? []).map(({ part, shapes: own, role }) => {
    const parameters = [...own.values()].reduce((sum, shape) => sum + size(shape), 0);
    return { part, parameters, trained: role === 'trained' ? parameters : 0, role };
  });
  const run = runs(recipe, stage, decoder?.some(({ part }) => part === textEncoderPart) === false);
  let frozen = 0;
  let count = discriminator;
  for (const [name, shape] of shapes) {
    if (trained.has(name)) count += size(shape);
    else if (run(name)) frozen += size(shape);
  }
  for (const { parameters, role } of decoderRows) {
    if (role === 'trained') count += parameters;
    else if (role === 'frozen') frozen += parameters;
  }
  return {
    stage,
    parts: [
      ...[...all].map(([part, parameters]) => ({ part, parameters, trained: learned.get(part) ?? 0 })),
      ...(discriminator > 0 ? [{ part: 'discriminator', parameters: discriminator, trained: discriminator }] : []),
      ...decoderRows.map(({ role: _, ...row }) => row),
    ],
    steps: settings.steps,
    samples: settings.steps * settings.batch * settings.accumulate,
    memory: {
      frozen: 4 * frozen,
      trained: 4 * count,
      gradients: 4 * count,
      moments: 8 * count,
      average: settings.ema > 0 ? 4 * count : 0,
    },
  };
}

export function noStage(recipe: TrainingRecipe, stage: string): TrainingError {
  const known = Object.keys(recipe.stages).join(', ') || 'none';
  return new TrainingError('training_option_invalid', `the recipe has no stage ${stage}; it has ${known}`);
}

async function configOf(recipe: TrainingRecipe, folder: string | undefined): Promise<ModelConfig | ModelFolder> {
  const place = folder ?? (typeof recipe.model === 'string' ? recipe.model : undefined);
  if (place !== undefined) return openModelFolder(place);
  if (typeof recipe.model === 'string') throw new Error('internal: a model that is a folder has a place');
  if ('from' in recipe.model) return derivedModel(recipe.model);
  return configurationsOf(recipe.model, tokenizerFile({ tokens: [], merges: [] }));
}

const decoderStages = ['autoencoder', 'alignment'] as const;
type DecoderStage = (typeof decoderStages)[number];

function isDecoderStage(stage: StageName): stage is DecoderStage {
  return (decoderStages as readonly StageName[]).includes(stage);
}

/** Sizes of the folder's diffusion decoder, of the one that the recipe gives it, or of the published one. */
async function decoderOf(
  recipe: TrainingRecipe,
  stage: DecoderStage,
  config: ModelConfig | ModelFolder,
): Promise<DecoderConfig> {
  const there = 'folder' in config && config.pixelDecoder;
  if (!there && recipe.decoder) {
    return decoderConfigurations(recipe.decoder, config, await openTrainedAutoencoder(recipe.decoder));
  }
  if (!('folder' in config)) return publishedDecoder();
  if (recipe.decoderFrom !== undefined) return adoptedDecoder(config.folder, recipe.decoderFrom);
  const decoder = await openDiffusionDecoder({ folder: requireDecoder(config, stage) });
  const { transformer, vae, textEncoder: reader } = decoder;
  const textEncoder = reader.kind === 'base' ? reader.kind : reader.config;
  return { transformer: transformer.config, vae: vae.config, textEncoder, inputs: decoder.inputs };
}

interface DecoderPart {
  readonly part: string;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly role: 'trained' | 'frozen' | 'idle';
}

const textEncoderPart = 'text encoder';

function decoderParts(
  stage: DecoderStage,
  { transformer, vae, textEncoder, inputs }: DecoderConfig,
  { star }: ModelConfig,
): DecoderPart[] {
  const models = { transformer, pixelEncoder: star.pixelEncoder, inputs };
  const { trained } = alignmentStage(models, { batch: 1, latentSize: transformer.patchSize, captionTokens: 1 });
  const autoencoder = parameterShapes((declare) => declareVae(declare, vae));
  const [aligns, idle] = [stage === 'alignment', 'idle'] as const;
  const parts: DecoderPart[] = [
    { part: 'diffusion transformer', shapes: trained, role: aligns ? 'trained' : idle },
    { part: 'autoencoder', shapes: autoencoder, role: aligns ? 'frozen' : 'trained' },
  ];
  if (textEncoder === 'base') return parts;
  const encoder = parameterShapes((declare) => declareGemma2(declare, textEncoder));
  return [...parts, { part: textEncoderPart, shapes: encoder, role: aligns ? 'frozen' : idle }];
}

function trainedOf(
  recipe: TrainingRecipe,
  stage: Exclude<StageName, DecoderStage>,
  { star, qwen }: ModelConfig,
): ReadonlyMap<string, readonly number[]> {
  switch (stage) {
    case 'semantic':
      return parameterShapes((declare) => declareVisionEncoder(within(declare, 'llm.visual'), qwen.vision));
    case 'understanding':
      return parameterShapes((declare) => {
        declareBase(declare, qwen);
        if (recipe.stages.understanding!.train === 'base') return;
        declareVisionEncoder(within(declare, 'llm.visual'), qwen.vision);
      });
    case 'tokenizer':
      return tokenizerStage(star.pixelEncoder, {
        batch: 1,
        imageSize: star.pixelEncoder.imageSize,
        train: recipe.stages.tokenizer!.train,
        adversarial: recipe.stages.tokenizer!.adversarial,
      }).trained;
    case 'adapter':
      return parameterShapes((declare) => declareAdapter(declare, star.pixelAdapter));
    case 'generation':
      return trainedPictureParts(star, qwen, 'generate', recipe.stages.generation!.train);
    case 'instruction':
      return trainedPictureParts(star, qwen, 'edit', recipe.stages.instruction!.train);
  }
}

/**
 * Whether a stage runs a parameter's part.
 * @param baseReads whether the base reads the diffusion decoder's captions
 */
function runs(recipe: TrainingRecipe, stage: StageName, baseReads: boolean): (name: string) => boolean {
  switch (stage) {
    case 'semantic':
      return (name) => name.startsWith('llm.visual.') || /^llm\.model\.(embed_tokens|norm)\./.test(name);
    case 'understanding':
      return (name) => name.startsWith('llm.');
    case 'tokenizer':
      return (name) => name.startsWith('pixel_encoder.');
    case 'adapter':
      return (name) =>
        /^(llm\.(model|lm_head)|pixel_adapter|pixel_encoder)\./.test(name) &&
        !name.startsWith('pixel_encoder.decoder.');
    case 'autoencoder': {
      const { perceptualWeight } = recipe.stages.autoencoder!;
      return (name) => perceptualWeight > 0 && name.startsWith('llm.visual.');
    }
    case 'alignment':
      return (name) =>
        (name.startsWith('pixel_encoder.') && !name.startsWith('pixel_encoder.decoder.')) ||
        (baseReads && name.startsWith('llm.model.'));
    case 'generation': {
      const { data } = recipe.stages.generation!;
      // Pictures that are coded already pass no encoder; the codebook is read all the same.
      const coded = data?.train.kind === 'tokens' && data.heldOut.kind === 'tokens';
      const encoder = /^pixel_encoder\.(encoder|quant_conv)\./;
      return (name) =>
        !name.startsWith('llm.visual.') && !name.startsWith('pixel_encoder.decoder.') && !(coded && encoder.test(name));
    }
    case 'instruction':
      return (name) => !name.startsWith('pixel_encoder.decoder.');
  }
}
