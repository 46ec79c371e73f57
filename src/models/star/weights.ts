/**
 * Finds the weights of a model folder and hands them to the layers. The bytes stay in the files: a program refers to them,
 * and ONNX Runtime reads them from there.
 */
import type { TensorEntry } from '../../checkpoint/entry.ts';
import { matchEntries } from '../../checkpoint/match.ts';
import { openCheckpointIn } from '../../checkpoint/open-in.ts';
import type { Checkpoint } from '../../checkpoint/source.ts';
import { type Declare, parameterShapes, within } from '../../nn/parameters.ts';
import { type FileWeights, fileWeights } from '../file-weights.ts';
import { declareVisionEncoder } from '../qwen25vl/vision-encoder.ts';
import { declareCodebook, declareVqDecoder, declareVqEncoder, usageName } from '../vq/tokenizer.ts';
import type { ModelFolder } from './model-folder.ts';
import { declareAdapter, declareBase, declareOutputHead, declareStacks } from './parameters.ts';

/** One part of the model as `inspect` lists it. */
export interface WeightsPart {
  readonly name: string;
  readonly parameters: number;
  /** Element types in the files. */
  readonly dtypes: readonly string[];
  /** Bytes in the files. */
  readonly bytes: number;
  readonly file: string;
}

/** The weights of a model folder, found and checked, none in memory. */
export interface StarWeights extends FileWeights {
  readonly parts: readonly WeightsPart[];
  readonly warnings: readonly string[];
}

/** Declares everything that text, pictures and edits need, under the names of the published STAR checkpoint. */
export function declareModel(declare: Declare, { star, qwen }: Pick<ModelFolder, 'star' | 'qwen'>): void {
  declareBase(declare, qwen);
  declareVisionEncoder(within(declare, 'llm.visual'), qwen.vision);
  declareStacks(declare, star, qwen);
  declareAdapter(declare, star.pixelAdapter);
  declareOutputHead(declare, star);
  const pixelEncoder = within(declare, 'pixel_encoder');
  declareCodebook(pixelEncoder, star.pixelEncoder);
  declareVqEncoder(pixelEncoder, star.pixelEncoder);
  declareVqDecoder(pixelEncoder, star.pixelEncoder);
}

/** Names of transformers 4.52 and later, and of a Qwen folder, as the published checkpoint has them. */
function publishedName(name: string): string {
  const bare = name.replace(/^llm\./, '');
  return bare
    .replace(/^model\.language_model\./, 'llm.model.')
    .replace(/^model\.visual\./, 'llm.visual.')
    .replace(/^(model|visual|lm_head)\./, 'llm.$1.');
}

interface Source {
  readonly checkpoint: Checkpoint;
  readonly rename: (name: string) => string;
}

/**
 * Opens the STAR checkpoint, and beside it the Qwen folder and the tokenizer file for parts that the STAR checkpoint does
 * not carry (the published one carries all). A part is taken from one file or the other, never mixed.
 * @throws CheckpointError for missing, unexpected and wrongly shaped tensors, all listed.
 */
export async function openStarWeights(model: ModelFolder): Promise<StarWeights> {
  const expected = parameterShapes((declare) => declareModel(declare, model));
  const opened: Checkpoint[] = [];
  const open = async (file: string): Promise<Checkpoint> => {
    const checkpoint = await openCheckpointIn(model.files, file);
    opened.push(checkpoint);
    return checkpoint;
  };
  try {
    const main: Source = {
      checkpoint: await open(model.checkpointFile),
      rename: (name) => (name.startsWith('llm.') ? publishedName(name) : name),
    };
    const has = (prefix: string) => [...main.checkpoint.entries.keys()].some((name) => name.startsWith(prefix));
    const sources = [main];
    if (!has('llm.')) sources.push({ checkpoint: await open(model.languageModelFolder), rename: publishedName });
    if (!has('pixel_encoder.') && model.pixelEncoderFile) {
      const rename = (name: string) => `pixel_encoder.${name}`;
      sources.push({ checkpoint: await open(model.pixelEncoderFile), rename });
    }
    const all = new Map<string, TensorEntry>();
    for (const { checkpoint, rename } of sources) {
      for (const [name, entry] of checkpoint.entries) all.set(rename(name), entry);
    }
    const tied = model.qwen.text.tieWordEmbeddings;
    const entries = matchEntries(Object.fromEntries([...expected].map(([name, shape]) => [name, { shape }])), all, {
      file: model.checkpointFile,
      ignore: (name) =>
        name.startsWith('diffusion_decoder.') ||
        name === `pixel_encoder.${usageName}` ||
        (tied && name === 'llm.lm_head.weight'),
    });
    const checkpoints = sources.map(({ checkpoint }) => checkpoint);
    return {
      ...(await fileWeights(entries, checkpoints, model)),
      parts: listParts(entries, model),
      warnings: sources.flatMap(({ checkpoint }) => checkpoint.warnings),
    };
  } finally {
    for (const checkpoint of opened) await checkpoint[Symbol.asyncDispose]();
  }
}

const partNames: readonly [prefix: string, part: string][] = [
  ['llm.visual.', 'semantic encoder'],
  ['llm.', 'base AR'],
  ['stacked_ar.', 'stacked AR'],
  ['pixel_adapter.', 'pixel adapter'],
  ['pixel_output_head.', 'pixel output head'],
  ['pixel_encoder.quantize.', 'codebook'],
  ['pixel_encoder.decoder.', 'pixel decoder (VQ)'],
  ['pixel_encoder.post_quant_conv.', 'pixel decoder (VQ)'],
  ['pixel_encoder.', 'pixel encoder'],
];

/** The part of the model, as `inspect` names it, that a parameter belongs to. */
export function partOf(name: string): string {
  return partNames.find(([prefix]) => name.startsWith(prefix))![1];
}

function listParts(entries: ReadonlyMap<string, TensorEntry>, { files, folder }: ModelFolder): WeightsPart[] {
  const parts = new Map<string, { parameters: number; dtypes: Set<string>; bytes: number; file: string }>();
  for (const [name, entry] of entries) {
    const part = partOf(name);
    const row = parts.get(part) ?? {
      parameters: 0,
      dtypes: new Set(),
      bytes: 0,
      file: files.relative(folder, entry.file),
    };
    row.parameters += entry.shape.reduce((a, b) => a * b, 1);
    row.dtypes.add(entry.dtype);
    row.bytes += entry.byteLength;
    parts.set(part, row);
  }
  return [...parts].map(([name, row]) => ({ name, ...row, dtypes: [...row.dtypes] }));
}
