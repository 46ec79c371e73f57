/** Writes a whole new model with random weights, in the published layout. */
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { writeFileDurably } from '../../checkpoint/durable.ts';
import { writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import { declareModel, partOf } from '../../models/star/weights.ts';
import { parameterShapes } from '../../nn/parameters.ts';
import { TrainingError } from '../error.ts';
import { configurationsOf } from './configurations.ts';
import { narrowFloat } from './narrow-float.ts';
import { type ModelSettings, parseModelSettings } from './settings.ts';
import { type ModelConfig, startValue } from './start-value.ts';
import { type TokenizerFile, trainTokenizer } from './tokenizer-file.ts';

export interface NewModelOptions {
  /** Texts that the tokenizer is trained on. Default none: the vocabulary is the bytes and the roles of a chat. */
  readonly texts?: Iterable<string>;
  /** A tokenizer that was trained before; then `texts` is not read. */
  readonly tokenizer?: TokenizerFile;
  /** Of the weights. Default 0. */
  readonly seed?: number;
}

export interface NewModel {
  readonly folder: string;
  /** `checkpoints/STAR-<name>.safetensors`. */
  readonly checkpointFile: string;
  readonly parameters: number;
  /** Parameters of each part, in the model's order. */
  readonly parts: ReadonlyMap<string, number>;
}

/**
 * Creates a model folder that `Star.load` opens: configuration, tokenizer, chat template, and random weights. The same
 * settings, texts and seed give the same bytes. The configuration is written last, so that a folder that was cut off is
 * not taken for a model.
 * @throws TrainingError for a bad setting, and for a folder that holds something already; ConfigError for sizes that
 *   contradict each other.
 */
export async function createModelFolder(
  folder: string,
  settings: ModelSettings,
  { texts = [], tokenizer, seed = 0 }: NewModelOptions = {},
): Promise<NewModel> {
  const resolved = parseModelSettings(settings);
  const { vocabularySize } = resolved.text;
  const configurations = configurationsOf(resolved, tokenizer ?? trainTokenizer(texts, { vocabularySize }));
  const shapes = modelShapes(configurations);
  const checkpoints = path.join(folder, 'checkpoints');
  const languageModel = path.join(checkpoints, configurations.languageModel);
  const checkpointFile = path.join(checkpoints, `STAR-${resolved.name}.safetensors`);
  await requireEmpty(folder);
  await mkdir(languageModel, { recursive: true });
  for (const [name, content] of Object.entries(configurations.languageModelFiles)) {
    await writeText(path.join(languageModel, name), content);
  }
  const { dtype } = resolved;
  await writeSafetensors(
    checkpointFile,
    [...shapes].map(([name, shape]) => ({
      name,
      dtype,
      shape,
      data: () => narrowFloat(startValue(name, shape, configurations, seed), dtype, name),
    })),
    { format: 'pt' },
  );
  await writeText(path.join(folder, `STAR_${resolved.name}.json`), configurations.starFile);
  const parts = countParts(shapes);
  return { folder, checkpointFile, parameters: [...parts.values()].reduce((a, b) => a + b, 0), parts };
}

/** Makes a folder. @throws TrainingError when it is there and holds something. */
export async function requireEmpty(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length === 0) return;
  const message = `new model: ${folder}: expected an empty folder or none; choose another place`;
  throw new TrainingError('training_option_invalid', message, { folder });
}

/** Name and shape of every parameter of a model. */
export function modelShapes(config: ModelConfig): Map<string, readonly number[]> {
  return parameterShapes((declare) => declareModel(declare, config));
}

/** Parameters of each part, in the model's order. */
export function countParts(shapes: ReadonlyMap<string, readonly number[]>): Map<string, number> {
  const parts = new Map<string, number>();
  for (const [name, shape] of shapes) {
    const part = partOf(name);
    parts.set(part, (parts.get(part) ?? 0) + shape.reduce((a, b) => a * b, 1));
  }
  return parts;
}

async function writeText(file: string, content: unknown): Promise<void> {
  const text = typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`;
  await writeFileDurably(file, [Buffer.from(text)]);
}
