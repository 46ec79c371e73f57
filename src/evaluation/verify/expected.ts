/** The expectations of a folder: its files, and the tensors in each. They come from strangers. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { openCheckpoint } from '../../checkpoint/open.ts';
import { StarError } from '../../errors.ts';
import { isFloating, type TensorValue } from '../../tensor/index.ts';

/** Expectations that are not there or cannot be used: `expected_missing`, `expected_invalid`. */
export class VerifyError extends StarError {}

const extension = '.safetensors';

/** Files that belong to the others: settings, and the pictures that are read. */
export const companions = { meta: 'meta.json', image: 'image.png', oddImage: 'image_odd_size.png' } as const;

export interface Expectations {
  /** The `expected` folder. */
  readonly folder: string;
  /** Names of the safetensors files, without the ending. */
  readonly files: readonly string[];
  /** Names of files of other kinds. */
  readonly others: readonly string[];
}

/** @throws VerifyError (`expected_missing`) for a model folder without expectations. */
export async function openExpectations(model: string): Promise<Expectations> {
  const folder = path.join(model, 'expected');
  const missing = (cause?: unknown) =>
    new VerifyError(
      'expected_missing',
      `${folder}: nothing to verify against; expected a folder of reference vectors (*${extension}) beside the checkpoint`,
      { folder },
      { cause },
    );
  const names = await readdir(folder).catch((cause: unknown) => {
    throw missing(cause);
  });
  const files = names.filter((name) => name.endsWith(extension)).map((name) => name.slice(0, -extension.length));
  if (files.length === 0) throw missing();
  const known: readonly string[] = Object.values(companions);
  const others = names.filter((name) => !name.endsWith(extension) && !known.includes(name));
  return { folder, files: files.sort(), others: others.sort() };
}

/** The tensors of one file, in memory. */
export class ExpectedFile {
  readonly name: string;
  readonly #path: string;
  readonly #tensors: ReadonlyMap<string, TensorValue>;
  readonly #unread: Set<string>;

  private constructor(name: string, file: string, tensors: ReadonlyMap<string, TensorValue>) {
    this.name = name;
    this.#path = file;
    this.#tensors = tensors;
    this.#unread = new Set(tensors.keys());
  }

  /** @throws CheckpointError for a file that cannot be read. */
  static async read(folder: string, name: string): Promise<ExpectedFile> {
    const file = path.join(folder, `${name}${extension}`);
    await using checkpoint = await openCheckpoint(file);
    const tensors = new Map<string, TensorValue>();
    for (const [tensor, { dtype }] of checkpoint.entries) {
      tensors.set(tensor, await (isFloating(dtype) ? checkpoint.readFloat32(tensor) : checkpoint.read(tensor)));
    }
    return new ExpectedFile(name, file, tensors);
  }

  has(tensor: string): boolean {
    return this.#tensors.has(tensor);
  }

  names(): string[] {
    return [...this.#tensors.keys()];
  }

  /**
   * @param rank axes that it must have, where that matters.
   * @throws VerifyError (`expected_invalid`) when the file has no such tensor.
   */
  tensor(name: string, rank?: number): TensorValue {
    const value = this.#tensors.get(name);
    this.#unread.delete(name);
    const details = { file: this.#path, tensor: name };
    if (!value) throw new VerifyError('expected_invalid', `${this.#path}: there is no tensor ${name}`, details);
    if (rank !== undefined && value.shape.length !== rank) {
      const message = `${this.#path}: ${name} has shape [${value.shape}], expected ${rank} axes`;
      throw new VerifyError('expected_invalid', message, details);
    }
    return value;
  }

  /** Tensors that nobody has asked for. */
  unread(): string[] {
    return [...this.#unread];
  }
}
