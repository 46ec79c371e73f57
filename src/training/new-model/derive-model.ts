/** A new model around the frozen parts of another: other stacks, or another codebook, on the same base and semantic encoder. */
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeFileDurably } from '../../checkpoint/durable.ts';
import { writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import { readJsonFile } from '../../models/config-file.ts';
import { WeightReader } from '../../models/file-weights.ts';
import { parseStarConfig, requireMatchingBase } from '../../models/star/config.ts';
import { type ModelFolder, openModelFolder } from '../../models/star/folder.ts';
import { openStarWeights } from '../../models/star/weights.ts';
import { stacksJson } from './configurations.ts';
import { narrowFloat, weightTypes } from './narrow-float.ts';
import { modelShapes, requireEmpty } from './new-model.ts';
import { modelSettingsSchema } from './settings.ts';
import { type ModelConfig, startValue } from './start-value.ts';

export const derivedModelSchema = z
  .strictObject({
    from: z.string().min(1).describe('Folder of the model whose parts are kept.'),
    stacks: modelSettingsSchema.shape.stacks.optional().describe('Of the new model. Default: as there.'),
    codebookSize: z
      .int()
      .min(1)
      .max(1 << 20)
      .optional()
      .describe('Codes of a tokenizer that starts anew, and the adapter with it. Default: both are kept.'),
  })
  .describe(
    'A new model with the base, the semantic encoder, the tokenizer and the adapter of another, and new stacks and head. A ' +
      'diffusion decoder is left behind.',
  );

export type DerivedModelSettings = z.output<typeof derivedModelSchema>;

export interface DerivedModel extends ModelConfig {
  readonly source: ModelFolder;
  /** `STAR_<name>.json`, the name of the source's. */
  readonly starFile: Readonly<Record<string, unknown>>;
}

const languageModelFiles = /^(?!.*\.index\.json$).*\.(?:json|jinja|txt)$/;

/**
 * The configuration of the model, from the source's; nothing is written.
 * @throws ConfigError for a folder that is no model's.
 */
export async function derivedModel({ from, stacks, codebookSize }: DerivedModelSettings): Promise<DerivedModel> {
  const source = await openModelFolder(from);
  const raw = (await readJsonFile(source.configFile)) as Record<string, Record<string, unknown>>;
  const { pixel_decoder: _, ...kept } = raw;
  const codes = codebookSize === undefined ? {} : { image_token_size: codebookSize };
  const starFile = {
    ...kept,
    language_model: {
      ...raw.language_model,
      model_path: `checkpoints/${path.basename(source.languageModelFolder)}`,
    },
    pixel_encoder: { ...raw.pixel_encoder, ...codes, model_path: null },
    pixel_output_head: { ...raw.pixel_output_head, ...codes },
    ...(stacks && { stacked_ar: stacksJson(stacks) }),
  };
  const star = parseStarConfig(starFile, source.configFile);
  requireMatchingBase(star, source.qwen, source.configFile);
  return { source, star, qwen: source.qwen, starFile };
}

/**
 * Writes the model into an empty folder; its configuration last, so that a folder that was cut off is not taken for a model.
 * @param seed of what starts anew.
 * @throws TrainingError for a folder that holds something already, CheckpointError for weights of the source that do not fit.
 */
export async function deriveModelFolder(folder: string, settings: DerivedModelSettings, seed = 0): Promise<void> {
  const derived = await derivedModel(settings);
  const { source, starFile } = derived;
  const weights = await openStarWeights(source);
  await requireEmpty(folder);
  const languageModel = path.join(folder, 'checkpoints', path.basename(source.languageModelFolder));
  await mkdir(languageModel, { recursive: true });
  for (const name of await readdir(source.languageModelFolder)) {
    if (!languageModelFiles.test(name)) continue;
    await copyFile(path.join(source.languageModelFolder, name), path.join(languageModel, name));
  }
  const kept = settings.codebookSize === undefined ? /^(?:llm|pixel_encoder|pixel_adapter)\./ : /^llm\./;
  const typeOf = (name: string) => weightTypes.find((type) => type === weights.entries.get(name)?.dtype);
  const common = typeOf([...weights.entries.keys()].find((name) => name.startsWith('llm.'))!) ?? 'float32';
  const checkpoint = path.basename(source.checkpointFile).replace(/\.pt$/, '.safetensors');
  await using reader = new WeightReader(weights);
  await writeSafetensors(
    path.join(folder, 'checkpoints', checkpoint),
    [...modelShapes(derived)].map(([name, shape]) => {
      const dtype = typeOf(name) ?? common;
      const value = async () => (kept.test(name) ? await reader.read(name) : startValue(name, shape, derived, seed));
      return { name, dtype, shape, data: async () => narrowFloat(await value(), dtype, name) };
    }),
    { format: 'pt' },
  );
  const text = `${JSON.stringify(starFile, null, 2)}\n`;
  await writeFileDurably(path.join(folder, path.basename(source.configFile)), [Buffer.from(text)]);
}
