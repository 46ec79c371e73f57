/**
 * The folder of a diffusion decoder in the layout of diffusers, found and checked without reading weights:
 *
 *     model_index.json     the classes of the parts
 *     transformer/         config.json, diffusion_pytorch_model.safetensors
 *     vae/                 config.json, diffusion_pytorch_model.safetensors
 *     text_encoder/        config.json, model.safetensors
 *     tokenizer/           tokenizer.json, tokenizer_config.json
 *     scheduler/           scheduler_config.json
 *
 * Weights may be split into several files, tied together by a `<name>.safetensors.index.json`. An index from strangers
 * names files of its own folder only: paths are refused. Symbolic links are followed, because the caches of the Hugging
 * Face hub are made of them.
 *
 * A decoder whose captions the model's own base reads (`openWordlessFolder`) has no text encoder and no tokenizer; its weights
 * may stand in the STAR checkpoint alone.
 */
import { z } from 'zod';
import { type Files, systemCode } from '../../checkpoint/files.ts';
import { abbreviate, ConfigError, parseConfig, requireConfig } from '../config-error.ts';
import { readJsonIn } from '../config-text.ts';

/** A part whose weights may lie elsewhere. */
export interface ConfiguredPart {
  readonly folder: string;
  readonly configFile: string;
  /** What `openCheckpoint` takes: the `.safetensors` file, or the index of several. Undefined where there are none. */
  readonly weightsFile: string | undefined;
  /** The files that hold the tensors, in order of their names. */
  readonly weightFiles: readonly string[];
}

/** A part with weights. */
export interface WeightedPart extends ConfiguredPart {
  readonly weightsFile: string;
}

/** What every decoder has. */
export interface WordlessFolder<Part = ConfiguredPart> {
  readonly folder: string;
  /** The `model_index.json`. */
  readonly indexFile: string;
  readonly transformer: Part;
  readonly vae: Part;
  readonly scheduler: { readonly folder: string; readonly configFile: string };
}

export interface Lumina2Folder extends WordlessFolder<WeightedPart> {
  readonly textEncoder: WeightedPart;
  readonly tokenizer: { readonly folder: string; readonly tokenizerFile: string; readonly configFile: string };
}

/** Both names of the same pipeline: diffusers renamed it after the model came out. */
const pipelines = ['Lumina2Pipeline', 'Lumina2Text2ImgPipeline'];

const tokenizers = ['GemmaTokenizerFast', 'GemmaTokenizer', 'PreTrainedTokenizerFast', 'TokenizersBackend'];

/** The library and the classes of each part that are supported. Of a tokenizer only its files count. */
const supported = {
  transformer: { library: 'diffusers', classes: ['Lumina2Transformer2DModel'] },
  vae: { library: 'diffusers', classes: ['AutoencoderKL'] },
  text_encoder: { library: 'transformers', classes: ['Gemma2Model'] },
  tokenizer: { library: 'transformers', classes: tokenizers },
  scheduler: { library: 'diffusers', classes: ['FlowMatchEulerDiscreteScheduler'] },
} as const;

type Parts = Readonly<Record<string, { readonly library: string; readonly classes: readonly string[] }>>;

/**
 * Finds and checks the parts of a diffusers folder.
 * @throws ConfigError `config_not_found` for a part or a file that is missing, `config_unsupported` for a part of
 *   another class, `config_invalid` for a broken file.
 */
export async function openLumina2Folder(files: Files, folder: string): Promise<Lumina2Folder> {
  const indexFile = await requireIndex(files, folder, supported);
  const transformer = await openPart(files, folder, 'transformer');
  const vae = await openPart(files, folder, 'vae');
  const textEncoder = await openPart(files, folder, 'text_encoder');
  const tokenizer = await openPart(files, folder, 'tokenizer');
  return {
    folder,
    indexFile,
    transformer: await weighted(files, transformer, '_class_name', 'Lumina2Transformer2DModel', diffusersStem),
    vae: await weighted(files, vae, '_class_name', 'AutoencoderKL', diffusersStem),
    textEncoder: await weighted(files, textEncoder, 'model_type', 'gemma2', 'model'),
    tokenizer: {
      folder: tokenizer.folder,
      tokenizerFile: requireFile(files, tokenizer, 'tokenizer.json'),
      configFile: requireFile(files, tokenizer, 'tokenizer_config.json'),
    },
    scheduler: await openScheduler(files, folder),
  };
}

/**
 * The same of a decoder that leaves captions to the model's own base: without text encoder and tokenizer, of which
 * `model_index.json` says nothing or `[null, null]`.
 * @throws ConfigError as `openLumina2Folder`, and for a text encoder that is named all the same.
 */
export async function openWordlessFolder(files: Files, folder: string): Promise<WordlessFolder> {
  const { text_encoder: _encoder, tokenizer: _tokenizer, ...wordless } = supported;
  const indexFile = await requireIndex(files, folder, wordless);
  const transformer = await openPart(files, folder, 'transformer');
  const vae = await openPart(files, folder, 'vae');
  return {
    folder,
    indexFile,
    transformer: await configured(files, transformer, '_class_name', 'Lumina2Transformer2DModel', diffusersStem),
    vae: await configured(files, vae, '_class_name', 'AutoencoderKL', diffusersStem),
    scheduler: await openScheduler(files, folder),
  };
}

/**
 * The folder of an autoencoder alone, as the `vae/` of a pipeline.
 * @throws ConfigError as `openLumina2Folder`.
 */
export async function openAutoencoderFolder(files: Files, folder: string): Promise<WeightedPart> {
  const part = await openPartFolder(files, folder, 'autoencoder');
  return weighted(files, part, '_class_name', 'AutoencoderKL', diffusersStem);
}

const diffusersStem = 'diffusion_pytorch_model';

async function openScheduler(files: Files, folder: string): Promise<Lumina2Folder['scheduler']> {
  const scheduler = await openPart(files, folder, 'scheduler');
  const file = requireFile(files, scheduler, 'scheduler_config.json');
  const configFile = await requireClass(files, file, '_class_name', 'FlowMatchEulerDiscreteScheduler');
  return { folder: scheduler.folder, configFile };
}

async function requireIndex(files: Files, folder: string, parts: Parts): Promise<string> {
  const file = files.join(folder, 'model_index.json');
  requireSupported(parseConfig(z.record(z.string(), z.unknown()), await readJsonIn(files, file), file), file, parts);
  return file;
}

/** Checks that the pipeline and its parts are those that are supported, and no others. */
function requireSupported(index: Readonly<Record<string, unknown>>, file: string, parts: Parts): void {
  requireConfig(pipelines.includes(index._class_name as string), file, {
    code: 'config_unsupported',
    path: '_class_name',
    expected: pipelines.join(' or '),
    got: got(index._class_name),
  });
  for (const [part, { library, classes }] of Object.entries(parts)) {
    const [from, name] = z.tuple([z.unknown(), z.unknown()]).safeParse(index[part]).data ?? [];
    requireConfig(from === library && classes.includes(name as string), file, {
      code: index[part] === undefined ? 'config_not_found' : 'config_unsupported',
      path: part,
      expected: `${classes.join(' or ')} of ${library}`,
      got: got(index[part]),
    });
  }
  // Keys with an underscore are facts about the file, and a part that is [null, null] was left out when it was saved.
  const others = Object.entries(index).filter(([part]) => !part.startsWith('_') && !Object.hasOwn(parts, part));
  const other = others.find(([, value]) => !(Array.isArray(value) && value.every((each) => each === null)));
  if (other) {
    const expected = `no other parts than ${Object.keys(parts).join(', ')}`;
    throw new ConfigError(file, { code: 'config_unsupported', path: other[0], expected, got: got(other[1]) });
  }
}

function got(value: unknown): string {
  return value === undefined ? 'nothing' : abbreviate(value);
}

interface Part {
  readonly folder: string;
  /** What is in it. */
  readonly names: readonly string[];
}

function openPart(files: Files, folder: string, name: string): Promise<Part> {
  return openPartFolder(files, files.join(folder, name), name);
}

async function openPartFolder(files: Files, folder: string, name: string): Promise<Part> {
  try {
    return { folder, names: (await files.list(folder)).sort() };
  } catch (cause) {
    const reason = systemCode(cause);
    const code = reason === 'ENOENT' || reason === 'ENOTDIR' ? 'config_not_found' : 'config_unreadable';
    throw new ConfigError(folder, { code, expected: `the folder of the ${name}`, got: reason, cause });
  }
}

function requireFile(files: Files, { folder, names }: Part, name: string): string {
  const file = files.join(folder, name);
  requireConfig(names.includes(name), file, { code: 'config_not_found', expected: 'a file', got: 'none of that name' });
  return file;
}

/** The file, if its JSON says that it describes what is expected. */
async function requireClass(files: Files, file: string, key: string, expected: string): Promise<string> {
  const config = parseConfig(z.record(z.string(), z.unknown()), await readJsonIn(files, file), file);
  requireConfig(config[key] === expected, file, {
    code: 'config_unsupported',
    path: key,
    expected: abbreviate(expected),
    got: got(config[key]),
  });
  return file;
}

/** A part with weights called `<stem>.safetensors`, or the same with an index. */
async function weighted(files: Files, part: Part, key: string, className: string, stem: string): Promise<WeightedPart> {
  const { weightsFile, ...found } = await configured(files, part, key, className, stem);
  if (weightsFile !== undefined) return { ...found, weightsFile };
  throw new ConfigError(part.folder, {
    code: 'config_not_found',
    expected: `either ${stem}.safetensors or ${stem}.safetensors.index.json`,
    got: part.names.join(', '),
  });
}

async function configured(
  files: Files,
  part: Part,
  key: string,
  className: string,
  stem: string,
): Promise<ConfiguredPart> {
  const configFile = await requireClass(files, requireFile(files, part, 'config.json'), key, className);
  const [single, index] = [`${stem}.safetensors`, `${stem}.safetensors.index.json`];
  const found = [single, index].filter((name) => part.names.includes(name));
  requireConfig(found.length < 2, part.folder, { expected: `either ${single} or ${index}`, got: 'both' });
  if (found.length === 0) return { folder: part.folder, configFile, weightsFile: undefined, weightFiles: [] };
  const weightsFile = files.join(part.folder, found[0]!);
  const names = found[0] === single ? [single] : await shardsOf(files, weightsFile, part);
  const weightFiles = names.map((name) => files.join(part.folder, name));
  return { folder: part.folder, configFile, weightsFile, weightFiles };
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });
/** As far as `checkpoint/` reads one; Lumina-Image-2.0's have some 50 kilobytes. */
const maximumIndexBytes = 64 << 20;

/** The files that an index names, each in the index's own folder and there. */
async function shardsOf(files: Files, index: string, part: Part): Promise<string[]> {
  const { weight_map } = parseConfig(indexSchema, await readJsonIn(files, index, maximumIndexBytes), index);
  const shards = new Map(Object.entries(weight_map).map(([tensor, shard]) => [shard, tensor]));
  for (const [shard, tensor] of shards) {
    const plain = shard !== '' && shard !== '.' && shard !== '..' && !/[/\\:\0]/.test(shard);
    requireConfig(plain, index, {
      path: `weight_map.${tensor}`,
      expected: 'a file name in the same folder, without a path',
      got: abbreviate(shard),
    });
    requireConfig(part.names.includes(shard), index, {
      code: 'config_not_found',
      path: `weight_map.${tensor}`,
      expected: `${shard} in the same folder`,
      got: 'none of that name',
    });
  }
  return [...shards.keys()].sort();
}
