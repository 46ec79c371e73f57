/**
 * Gives a model folder a diffusion decoder of its own: its configuration, and weights in the STAR checkpoint, random ones but
 * for an autoencoder that is trained already.
 */
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { writeFileDurably } from '../../checkpoint/durable.ts';
import { nodeFiles } from '../../checkpoint/node-files.ts';
import { readJsonFile } from '../../models/config-file.ts';
import { declareVae } from '../../models/lumina2/vae.ts';
import { openPartWeights, overlayPrefixes } from '../../models/lumina2/weights.ts';
import { type ModelFolder, openModelFolder } from '../../models/star/folder.ts';
import { openStarWeights } from '../../models/star/weights.ts';
import { openDiffusionDecoder } from '../../tasks/diffusion-decoder.ts';
import { TrainingError } from '../error.ts';
import {
  type DecoderConfigurations,
  decoderConfigurations,
  decoderShapes,
  openTrainedAutoencoder,
  type TrainedAutoencoder,
} from './decoder-configurations.ts';
import { type DecoderSettings, decoderSettingsSchema, type ResolvedDecoderSettings } from './decoder-settings.ts';
import { narrowFloat, weightTypes } from './narrow-float.ts';
import { requireSavable, writeTensors } from './save-model.ts';
import { startValue } from './start-value.ts';

export interface AddDecoderOptions {
  /** Of the weights. Default 0. */
  readonly seed?: number;
}

/**
 * Adds a decoder of these sizes to a model that has none; one of these sizes that is there stays as it is. Weights have the type
 * of the model's own, those of a trained autoencoder too. `STAR_<name>.json` names the decoder last, so that a model that was
 * cut off has none.
 * @throws ConfigError for sizes that contradict each other or the model, and for a trained autoencoder that is not there;
 *   CheckpointError for one whose weights do not fit its configuration; TrainingError for a decoder of other sizes, for a
 *   checkpoint that is no safetensors file, and for a folder that is in the way.
 */
export async function ensureDecoder(
  folder: string,
  settings: DecoderSettings,
  { seed = 0 }: AddDecoderOptions = {},
): Promise<void> {
  const model = await openModelFolder(folder);
  const resolved = decoderSettingsSchema.parse(settings);
  if (model.pixelDecoder) return requireSame(model, resolved);
  requireSavable(model);
  const trained = await openTrainedAutoencoder(resolved);
  const wanted = decoderConfigurations(resolved, model, trained);
  const given = trained && (await openWeights(trained));
  const name = `Lumina2-${path.basename(model.configFile, '.json').replace(/^STAR_/, '')}`;
  const place = path.join(folder, 'checkpoints', name);
  await requireFree(place, wanted);
  for (const [file, content] of Object.entries(wanted.files)) {
    await mkdir(path.dirname(path.join(place, file)), { recursive: true });
    await writeJson(path.join(place, file), content);
  }
  const stored = (await openStarWeights(model)).entries.get('llm.model.embed_tokens.weight')!.dtype;
  const dtype = weightTypes.find((each) => each === stored) ?? 'float32';
  await writeTensors(
    model.checkpointFile,
    [...decoderShapes(wanted, model)].map(([name, shape]) => ({
      name,
      dtype,
      shape,
      data: async () => narrowFloat((await given?.(name)) ?? startValue(name, shape, model, seed), dtype, name),
    })),
  );
  const config = (await readJsonFile(model.configFile)) as Record<string, unknown>;
  const pixel_decoder = {
    model_name: 'LUMINA2',
    model_path: `checkpoints/${name}`,
    text_encoder: wanted.textEncoder,
    ...wanted.inputs,
    steps: resolved.steps,
  };
  await writeJson(model.configFile, { ...config, pixel_decoder });
}

/** Reads what a trained autoencoder has of a parameter's name in the STAR checkpoint; all of it is checked before. */
async function openWeights({ part, config }: TrainedAutoencoder) {
  const weights = await openPartWeights(part, (declare) => declareVae(declare, config), {
    files: nodeFiles,
    folder: part.folder,
  });
  const prefix = `${overlayPrefixes.vae}.`;
  return (name: string) => (name.startsWith(prefix) ? weights.read(name.slice(prefix.length)) : undefined);
}

/**
 * A trained autoencoder that the settings name is the decoder's own by now, and its folder may be gone.
 * @throws TrainingError for a decoder of other sizes. What is measured of its latents may differ.
 */
async function requireSame(model: ModelFolder, settings: ResolvedDecoderSettings): Promise<void> {
  const decoder = await openDiffusionDecoder({ folder: model });
  const own = settings.autoencoderFrom === undefined ? undefined : { json: {}, config: decoder.vae.config };
  const wanted = decoderConfigurations(settings, model, own);
  const { scalingFactor, shiftFactor } = decoder.vae.config;
  const there = {
    textEncoder: decoder.textEncoder.kind,
    inputs: decoder.inputs,
    transformer: decoder.transformer.config,
    vae: decoder.vae.config,
    scheduler: decoder.scheduler,
  };
  const asked = { ...wanted, vae: { ...wanted.vae, scalingFactor, shiftFactor } };
  const differing = (['textEncoder', 'inputs', 'transformer', 'vae', 'scheduler'] as const).flatMap((part) => {
    const [ours, theirs] = [there[part], asked[part]];
    if (typeof ours !== 'object' || typeof theirs !== 'object') return ours === theirs ? [] : [part];
    const [have, want] = [new Map(Object.entries(ours)), new Map(Object.entries(theirs))];
    return [...have]
      .filter(([key, value]) => !isDeepStrictEqual(value, want.get(key)))
      .map(([key]) => `${part}.${key}`);
  });
  if (differing.length === 0) return;
  const message = `decoder: ${model.configFile} names a diffusion decoder of other sizes: ${differing.join(', ')} differ`;
  throw new TrainingError('training_option_invalid', message, { differing });
}

/** Nothing may lie there but what a cut-off addition left. */
async function requireFree(place: string, { files }: DecoderConfigurations): Promise<void> {
  const own = Object.keys(files).flatMap((file) => [path.normalize(file), path.dirname(file)]);
  const there = await readdir(place, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const other = there.find((name) => !own.includes(name) && !name.endsWith('.tmp'));
  if (other === undefined) return;
  const message = `decoder: ${place}: expected no such folder, for the decoder to be written there; it holds ${other}`;
  throw new TrainingError('training_option_invalid', message);
}

async function writeJson(file: string, content: unknown): Promise<void> {
  await writeFileDurably(file, [Buffer.from(`${JSON.stringify(content, null, 2)}\n`)]);
}
