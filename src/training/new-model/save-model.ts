/** Puts trained weights into a model folder. */
import type { TensorEntry } from '../../checkpoint/entry.ts';
import { openCheckpoint, readEntry } from '../../checkpoint/open.ts';
import { type TensorToWrite, writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import { overlayPrefixes } from '../../models/lumina2/weights.ts';
import { type ModelFolder, openModelFolder } from '../../models/star/folder.ts';
import { openStarWeights } from '../../models/star/weights.ts';
import { openDiffusionDecoder } from '../../tasks/diffusion-decoder.ts';
import { TrainingError } from '../error.ts';
import { narrowFloat, type WeightType, weightTypes } from './narrow-float.ts';

/** Values by the names of the published checkpoint; a function is called once, when its parameter is written. */
export type WeightValues = ReadonlyMap<string, Float32Array | (() => Float32Array | Promise<Float32Array>)>;

export interface SaveOptions {
  /** How the given parameters are stored. Default: as each was stored before, wherever that was. */
  readonly dtype?: WeightType;
}

/**
 * Replaces parameters in `checkpoints/STAR-<name>.safetensors`, durably: the file is the old or the new one at any
 * moment. All other parameters keep their bytes. The old and the new file stand side by side until the end, one
 * parameter is in memory at a time. The diffusion decoder's, `diffusion_decoder.*`, may stand in the diffusers folder alone;
 * then they are added to the checkpoint, which lies over it, and the folder stays as it is.
 * @throws TrainingError for a parameter that the checkpoint does not hold or of another size, and for a checkpoint that
 *   is no single safetensors file.
 */
export async function saveModel(folder: string, weights: WeightValues, { dtype }: SaveOptions = {}): Promise<void> {
  const model = await openModelFolder(folder);
  const file = model.checkpointFile;
  requireSavable(model);
  const entries = await entriesOf(model, [...weights.keys()].some(isDecoder));
  const replaced = new Map<string, TensorToWrite>();
  for (const [name, value] of weights) {
    const entry = entries.get(name);
    if (!entry) throw refusal(`the model has no parameter ${name}`);
    const added = entry.file !== file;
    if (added && !isDecoder(name)) throw refusal(`${name} lies in ${entry.file}, expected ${file}`);
    const type = dtype ?? weightTypes.find((each) => each === entry.dtype) ?? 'float32';
    const count = entry.shape.reduce((a, b) => a * b, 1);
    const data = async () => {
      const numbers = typeof value === 'function' ? await value() : value;
      if (numbers.length === count) return narrowFloat(numbers, type, name);
      throw refusal(`${name}: expected ${count} numbers for shape [${entry.shape}], got ${numbers.length}`);
    };
    const key = added ? name : entry.name;
    replaced.set(key, { name: key, dtype: type, shape: entry.shape, data });
  }
  await writeTensors(file, [...replaced.values()]);
}

/**
 * Puts tensors into a safetensors checkpoint, durably: in place of those of the same name, and beside all others, which keep
 * their bytes.
 * @throws TrainingError for a checkpoint that is no single safetensors file.
 */
export async function writeTensors(file: string, added: readonly TensorToWrite[]): Promise<void> {
  const { tensors, metadata } = await listTensors(file);
  const names = new Set(added.map(({ name }) => name));
  await writeSafetensors(file, [...tensors.filter(({ name }) => !names.has(name)), ...added], metadata);
}

/** @throws TrainingError for a checkpoint that is no safetensors file. */
export function requireSavable({ checkpointFile: file }: Pick<ModelFolder, 'checkpointFile'>): void {
  if (file.endsWith('.safetensors')) return;
  throw refusal(`${file}: expected a .safetensors checkpoint; a .pt file is read only`);
}

const decoderParts = Object.keys(overlayPrefixes) as (keyof typeof overlayPrefixes)[];

function isDecoder(name: string): boolean {
  return decoderParts.some((part) => name.startsWith(`${overlayPrefixes[part]}.`));
}

/** Where parameters lie by their published names, the diffusion decoder's among them if asked for. */
async function entriesOf(model: ModelFolder, withDecoder: boolean): Promise<ReadonlyMap<string, TensorEntry>> {
  const { entries } = await openStarWeights(model);
  if (!withDecoder || !model.pixelDecoder) return entries;
  const decoder = await openDiffusionDecoder({ folder: model });
  const own = decoderParts.flatMap((part) =>
    [...decoder[part].weights.entries].map(([name, entry]) => [`${overlayPrefixes[part]}.${name}`, entry] as const),
  );
  return new Map([...entries, ...own]);
}

/** The tensors of a file, read when it is their turn. No file stays open: Windows replaces none that is. */
async function listTensors(file: string) {
  await using checkpoint = await openCheckpoint(file);
  if (checkpoint.format !== 'safetensors' || checkpoint.files.join() !== file) {
    throw refusal(`${file}: expected one safetensors file`);
  }
  const tensors = [...checkpoint.entries.values()].map(
    (entry): TensorToWrite => ({
      name: entry.name,
      dtype: entry.dtype,
      shape: entry.shape,
      data: async () => (await readEntry(entry)).data,
    }),
  );
  return { tensors, metadata: Object.fromEntries(checkpoint.metadata) };
}

function refusal(reason: string): TrainingError {
  return new TrainingError('training_option_invalid', `save model: ${reason}`);
}
