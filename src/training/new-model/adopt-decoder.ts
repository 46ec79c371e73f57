/**
 * Gives a model folder a trained Lumina-Image-2.0 as its diffusion decoder, widened for what STAR tells it, as the published
 * `Lumina2Decoder` does before its training: columns for codes that are 0, and a refiner of sources that ends in 0. So at
 * first it heeds neither.
 */
import path from 'node:path';
import { writeFileDurably } from '../../checkpoint/durable.ts';
import { nodeFiles } from '../../checkpoint/node-files.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import type { TensorToWrite } from '../../checkpoint/safetensors-writer.ts';
import { readJsonFile } from '../../models/config-file.ts';
import { type Lumina2Folder, openLumina2Folder } from '../../models/lumina2/folder.ts';
import { parseGemma2Config } from '../../models/lumina2/gemma2-config.ts';
import { channelsOf } from '../../models/lumina2/star-inputs.ts';
import { declareLuminaTransformer } from '../../models/lumina2/transformer.ts';
import { type LuminaTransformerConfig, parseLuminaTransformerConfig } from '../../models/lumina2/transformer-config.ts';
import { parseVaeConfig } from '../../models/lumina2/vae-config.ts';
import { openPartWeights, overlayPrefixes } from '../../models/lumina2/weights.ts';
import { publishedInputs } from '../../models/star/config.ts';
import { type ModelFolder, openModelFolder } from '../../models/star/folder.ts';
import { parameterShapes, within } from '../../nn/parameters.ts';
import { TrainingError } from '../error.ts';
import { narrowFloat, weightTypes } from './narrow-float.ts';
import type { DecoderConfig } from './published-decoder.ts';
import { requireSavable, writeTensors } from './save-model.ts';
import { startValue } from './start-value.ts';

const embedder = `${overlayPrefixes.transformer}.x_embedder.weight`;
/** What STAR widens or adds; the rest stays in the diffusers folder until it is trained. */
const own = /\.(?:x_embedder|ori_inp_refiner\.\d)\.(?:weight|bias)$/;

export interface AdoptDecoderOptions {
  /** Of what is added. Default 0. */
  readonly seed?: number;
}

/**
 * Names the decoder in `STAR_<name>.json`, if nothing is named there yet, and writes into the STAR checkpoint what it needs
 * beyond Lumina. One that was widened before stays as it is.
 * @param from path of the decoder's folder (layout of diffusers) in the model folder
 * @throws ConfigError for a folder that is not there or lacks a part, CheckpointError for weights that do not fit their
 *   configuration, TrainingError for a path that leaves the model, for a model with another decoder and for a checkpoint that
 *   is no safetensors file.
 */
export async function adoptDecoder(
  folder: string,
  from: string,
  { seed = 0 }: AdoptDecoderOptions = {},
): Promise<void> {
  const model = await openModelFolder(folder);
  const named = model.star.pixelDecoder;
  const same = named && path.normalize(named.path) === path.normalize(from);
  if (named && (!same || named.textEncoder === 'base')) {
    const message = `decoderFrom: ${model.configFile} names another diffusion decoder, ${named.path}`;
    throw new TrainingError('training_option_invalid', message);
  }
  if (named && (await holds(model.checkpointFile, embedder))) return;
  requireSavable(model);
  const { parts, transformer } = await openPlain(folder, from);
  const plain = await openPartWeights(parts.transformer, (declare) => declareLuminaTransformer(declare, transformer), {
    files: nodeFiles,
    folder: parts.folder,
  });
  const channels = channelsOf(publishedInputs, model.star.pixelEncoder, transformer);
  const shapes = parameterShapes((declare) =>
    declareLuminaTransformer(within(declare, overlayPrefixes.transformer), transformer, channels),
  );
  const stored = plain.entries.get('x_embedder.weight')!.dtype;
  const dtype = weightTypes.find((each) => each === stored) ?? 'float32';
  const value = async (name: string, shape: readonly number[]) => {
    const inside = name.slice(overlayPrefixes.transformer.length + 1);
    const known = plain.entries.has(inside) ? await plain.read(inside) : undefined;
    if (name === embedder) return widenEmbedder(known!, transformer, channels.codeChannels);
    return known ?? startValue(name, shape, model, seed);
  };
  await writeTensors(
    model.checkpointFile,
    [...shapes]
      .filter(([name]) => own.test(name))
      .map(([name, shape]): TensorToWrite => {
        const data = async () => narrowFloat(await value(name, shape), dtype, name);
        return { name, dtype, shape, data };
      }),
  );
  if (!named) await nameDecoder(model, from);
}

/** Sizes of such a decoder, for planning. @throws ConfigError as `adoptDecoder`. */
export async function adoptedDecoder(folder: string, from: string): Promise<DecoderConfig> {
  const { parts, transformer } = await openPlain(folder, from);
  return {
    transformer,
    vae: parseVaeConfig(await readJsonFile(parts.vae.configFile), parts.vae.configFile),
    textEncoder: parseGemma2Config(await readJsonFile(parts.textEncoder.configFile), parts.textEncoder.configFile),
    inputs: publishedInputs,
  };
}

async function openPlain(
  folder: string,
  from: string,
): Promise<{ readonly parts: Lumina2Folder; readonly transformer: LuminaTransformerConfig }> {
  const place = path.normalize(from);
  if (path.isAbsolute(place) || place.split(path.sep).includes('..')) {
    const message = `decoderFrom: expected a path inside the model folder, got ${from}`;
    throw new TrainingError('training_option_invalid', message);
  }
  const parts = await openLumina2Folder(nodeFiles, path.join(folder, place));
  const { configFile } = parts.transformer;
  return { parts, transformer: parseLuminaTransformerConfig(await readJsonFile(configFile), configFile) };
}

/**
 * Columns for codes beside those of the latent, 0. A patch is its pixels one after another, each with all its channels, so
 * the latent's columns are apart afterwards. (The published code copies them to the front in one piece, where all but the
 * first pixel's then meet other channels; its checkpoints were trained on from there.)
 */
export function widenEmbedder(
  weight: Float32Array,
  { hiddenSize, latentChannels, patchSize }: LuminaTransformerConfig,
  codeChannels: number,
): Float32Array {
  const channels = latentChannels + codeChannels;
  const wide = new Float32Array(hiddenSize * patchSize ** 2 * channels);
  for (let pixel = 0; pixel < hiddenSize * patchSize ** 2; pixel++) {
    wide.set(weight.subarray(pixel * latentChannels, (pixel + 1) * latentChannels), pixel * channels);
  }
  return wide;
}

async function holds(file: string, name: string): Promise<boolean> {
  await using checkpoint = await openCheckpoint(file);
  return checkpoint.entries.has(name);
}

async function nameDecoder({ configFile }: ModelFolder, from: string): Promise<void> {
  const config = (await readJsonFile(configFile)) as Record<string, unknown>;
  const pixel_decoder = { model_name: 'LUMINA2', model_path: from };
  await writeFileDurably(configFile, [Buffer.from(`${JSON.stringify({ ...config, pixel_decoder }, null, 2)}\n`)]);
}
