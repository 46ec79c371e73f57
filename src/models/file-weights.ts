/**
 * Parameters that stay in the files of checkpoints: a program refers to their bytes, and ONNX Runtime reads them from
 * there.
 */
import type { ByteSource } from '../checkpoint/byte-source.ts';
import type { TensorEntry } from '../checkpoint/entry.ts';
import type { Files } from '../checkpoint/files.ts';
import { type Checkpoint, readFloat32Tensor } from '../checkpoint/source.ts';
import type { Declare } from '../nn/parameters.ts';
import { cast, constant, type Tensor, weight } from '../tensor/index.ts';

/** Weights found and checked, none in memory. */
export interface FileWeights {
  /** Gives a parameter as float32, whatever its type in the file. */
  readonly declare: Declare;
  /** Reads one parameter into memory. */
  read(name: string): Promise<Float32Array>;
  /** Where the folder lies. */
  readonly files: Files;
  /** Folder that the programs' weight locations are relative to. */
  readonly folder: string;
  /** Where each parameter lies, by the model's name for it. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
}

/** Reads many parameters: each file is opened once, and closed with the reader. */
export class WeightReader implements AsyncDisposable {
  readonly #files: Files;
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  readonly #opened = new Map<string, Promise<ByteSource>>();

  constructor({ files, entries }: Pick<FileWeights, 'files' | 'entries'>) {
    this.#files = files;
    this.#entries = entries;
  }

  async read(name: string): Promise<Float32Array> {
    const entry = requireEntry(this.#entries, name);
    const source = this.#opened.get(entry.file) ?? this.#files.open(entry.file);
    this.#opened.set(entry.file, source);
    return (await readFloat32Tensor(await source, entry)).data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const source of this.#opened.values()) await (await source)[Symbol.asyncDispose]();
  }
}

function requireEntry(entries: ReadonlyMap<string, TensorEntry>, name: string): TensorEntry {
  const entry = entries.get(name);
  if (!entry) throw new Error(`internal: ${name} was not among the declared parameters`);
  return entry;
}

/**
 * Weights at `entries`, which `matchEntries` found in `checkpoints`. The checkpoints may be closed afterwards.
 * @param place the folder holds all of their files: ONNX Runtime reads none outside of it.
 */
export async function fileWeights(
  entries: ReadonlyMap<string, TensorEntry>,
  checkpoints: readonly Checkpoint[],
  { files, folder }: Pick<FileWeights, 'files' | 'folder'>,
): Promise<FileWeights> {
  const strided = await readStrided(entries, checkpoints);
  return {
    declare: (name, shape) => {
      const value = strided.get(name);
      return value
        ? constant('float32', shape, value)
        : inPlace(name, shape, requireEntry(entries, name), files.relative(folder, requireEntry(entries, name).file));
    },
    read: async (name) => {
      await using reader = new WeightReader({ files, entries });
      return await reader.read(name);
    },
    files,
    folder,
    entries,
  };
}

/**
 * Tensors that do not lie row by row in their file are the exception; they are read now and travel inside the program.
 */
async function readStrided(entries: ReadonlyMap<string, TensorEntry>, checkpoints: readonly Checkpoint[]) {
  const values = new Map<string, Float32Array>();
  for (const [name, entry] of entries) {
    if (!entry.strides) continue;
    const checkpoint = checkpoints.find((each) => each.entries.get(entry.name) === entry)!;
    values.set(name, (await checkpoint.readFloat32(entry.name)).data);
  }
  return values;
}

function inPlace(name: string, shape: readonly number[], entry: TensorEntry, file: string): Tensor {
  const location = { file, offset: entry.offset, byteLength: entry.byteLength };
  return cast(weight(name, entry.dtype, shape, location), 'float32');
}
