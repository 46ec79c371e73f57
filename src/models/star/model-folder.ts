/**
 * A STAR model folder in the published layout, found and checked without reading weights:
 *
 *     STAR_<name>.json               the configuration
 *     checkpoints/STAR-<name>.pt     the checkpoint, or .safetensors
 *     checkpoints/VQ-Model.pt        the pixel tokenizer, where the configuration names one
 *     checkpoints/<Qwen folder>/     config.json, tokenizer.json, chat template, preprocessor_config.json, ...
 *     checkpoints/<Lumina folder>/   the diffusion decoder, optional
 *
 * Paths in the configuration are looked up in this order: `<folder>/<path>`, then `<folder>/checkpoints/<last part of
 * path>`; so a hub id such as `Qwen/Qwen2.5-VL-3B-Instruct` finds the folder of that name in `checkpoints`.
 * Absolute paths and paths with `..` are refused: a configuration from strangers names nothing outside its folder.
 * Symbolic links are followed, because the caches of the Hugging Face hub are made of them.
 */
import { type Files, systemCode } from '../../checkpoint/files.ts';
import { ConfigError } from '../config-error.ts';
import { readJsonIn } from '../config-text.ts';
import { parseQwen25VLConfig, type Qwen25VLConfig } from '../qwen25vl/config.ts';
import { type GenerationConfig, parseGenerationConfig } from '../qwen25vl/generation-config.ts';
import { parseStarConfig, requireMatchingBase, type StarConfig } from './config.ts';

export interface ModelFolder {
  /** Where the files lie. */
  readonly files: Files;
  readonly folder: string;
  /** The `STAR_*.json`. */
  readonly configFile: string;
  /** The `.pt` or `.safetensors` file with the STAR weights. */
  readonly checkpointFile: string;
  /** Undefined when the configuration names none: the STAR checkpoint then holds the tokenizer's weights. */
  readonly pixelEncoderFile: string | undefined;
  readonly languageModelFolder: string;
  /** The image processor's settings. */
  readonly preprocessorFile: string;
  /** `present` is false when the configuration names a diffusion decoder that is not in the folder. */
  readonly pixelDecoder: { readonly folder: string; readonly present: boolean } | undefined;
  readonly star: StarConfig;
  readonly qwen: Qwen25VLConfig;
  readonly generation: GenerationConfig;
}

export interface ModelFolderOptions {
  /** Name of the configuration file, where the folder holds several. */
  readonly config?: string;
  /** Name of the checkpoint file in `checkpoints`, where it holds several. */
  readonly checkpoint?: string;
}

const configPattern = /^STAR_.*\.json$/;
const checkpointPattern = /^STAR-.*\.(?:pt|safetensors)$/;
const checkpointsFolder = 'checkpoints';

/**
 * Finds and checks the parts of a model folder.
 * @throws ConfigError naming the part that is missing, ambiguous or contradictory.
 */
export async function openModelFolderIn(
  files: Files,
  folder: string,
  options: ModelFolderOptions = {},
): Promise<ModelFolder> {
  const configFile = await onlyFile(files, folder, configPattern, 'STAR_<name>.json', options.config, 'config');
  const star = parseStarConfig(await readJsonIn(files, configFile), configFile);
  const checkpoints = files.join(folder, checkpointsFolder);
  const checkpointFile = await onlyFile(
    files,
    checkpoints,
    checkpointPattern,
    'STAR-<name>.pt or STAR-<name>.safetensors',
    options.checkpoint,
    'checkpoint',
  );
  const find = (key: string, relative: string, kind: PartKind) =>
    findPart(files, folder, configFile, key, relative, kind);
  const languageModelFolder = (await find('language_model.model_path', star.languageModel.path, 'folder')).required();
  const pixelEncoderFile =
    star.pixelEncoder.path === undefined
      ? undefined
      : (await find('pixel_encoder.model_path', star.pixelEncoder.path, 'file')).required();
  const decoder = star.pixelDecoder && (await find('pixel_decoder.model_path', star.pixelDecoder.path, 'folder'));

  const qwenFile = files.join(languageModelFolder, 'config.json');
  const qwen = parseQwen25VLConfig(await readJsonIn(files, qwenFile), qwenFile);
  requireMatchingBase(star, qwen, configFile);
  const generationFile = files.join(languageModelFolder, 'generation_config.json');
  const generation = parseGenerationConfig(await readJsonIn(files, generationFile), generationFile);
  const preprocessorFile = files.join(languageModelFolder, 'preprocessor_config.json');
  if ((await kindOf(files, preprocessorFile)) !== 'file') {
    throw new ConfigError(preprocessorFile, {
      code: 'config_not_found',
      expected: 'the settings of the image processor',
      got: 'no such file',
    });
  }
  return {
    files,
    folder,
    configFile,
    checkpointFile,
    pixelEncoderFile,
    languageModelFolder,
    preprocessorFile,
    pixelDecoder: decoder && { folder: decoder.location ?? decoder.first, present: decoder.location !== undefined },
    star,
    qwen,
    generation,
  };
}

type PartKind = 'file' | 'folder';

interface Part {
  /** Where it lies; undefined when it is in none of the places. */
  readonly location: string | undefined;
  /** The place looked at first. */
  readonly first: string;
  /** The location, or a `ConfigError`. */
  required(): string;
}

async function findPart(
  files: Files,
  folder: string,
  configFile: string,
  key: string,
  named: string,
  kind: PartKind,
): Promise<Part> {
  const parts = relativeParts(named, configFile, key);
  const candidates = [files.join(folder, ...parts), files.join(folder, checkpointsFolder, parts.at(-1)!)];
  let location: string | undefined;
  for (const candidate of candidates) {
    if (location === undefined && (await kindOf(files, candidate)) === kind) location = candidate;
  }
  return {
    location,
    first: candidates[0]!,
    required: () => {
      if (location !== undefined) return location;
      throw new ConfigError(configFile, {
        code: 'config_not_found',
        path: key,
        expected: `a ${kind} at ${[...new Set(candidates)].join(' or ')}`,
        got: 'none there',
      });
    },
  };
}

/** The parts of a path that stays inside its folder; both slashes separate, on every system. */
function relativeParts(named: string, file: string, key: string): string[] {
  const parts = named.split(/[\\/]/).filter((part) => part !== '' && part !== '.');
  const absolute = /^(?:[\\/]|[a-z]:)/i.test(named);
  if (absolute || parts.length === 0 || parts.includes('..') || named.includes('\0')) {
    throw new ConfigError(file, {
      path: key,
      expected: 'a path relative to the model folder, without ".."',
      got: JSON.stringify(named),
    });
  }
  return parts;
}

async function onlyFile(
  files: Files,
  folder: string,
  pattern: RegExp,
  description: string,
  chosen: string | undefined,
  option: string,
): Promise<string> {
  let names: string[];
  try {
    names = (await files.list(folder)).filter((name) => pattern.test(name)).sort();
  } catch (cause) {
    const got = systemCode(cause);
    const code = got === 'ENOENT' ? 'config_not_found' : 'config_unreadable';
    throw new ConfigError(folder, { code, expected: `a folder with ${description}`, got, cause });
  }
  if (chosen !== undefined) {
    if (names.includes(chosen)) return files.join(folder, chosen);
    throw new ConfigError(folder, {
      code: 'config_not_found',
      expected: `${chosen}, a ${description}`,
      got: names.join(', ') || 'none',
    });
  }
  if (names.length === 1) return files.join(folder, names[0]!);
  throw new ConfigError(folder, {
    code: names.length === 0 ? 'config_not_found' : 'config_invalid',
    expected: `one ${description}`,
    got: names.length === 0 ? 'none' : `${names.join(', ')}; choose one with the option "${option}"`,
  });
}

async function kindOf(files: Files, location: string): Promise<PartKind | undefined> {
  try {
    return await files.kindOf(location);
  } catch (cause) {
    const got = systemCode(cause);
    throw new ConfigError(location, { code: 'config_unreadable', expected: 'a file or a folder', got, cause });
  }
}
