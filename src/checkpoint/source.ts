import { type DType, dtypes, isFloating, type TypedArray } from '../tensor/dtype.ts';
import type { TensorValue } from '../tensor/value.ts';
import { type ByteSource, checkRange } from './byte-source.ts';
import { elementCount, type TensorEntry } from './entry.ts';
import { CheckpointError, quote } from './error.ts';
import { type FloatDType, toFloat32 } from './float.ts';

/**
 * An open checkpoint: all tensors are listed and checked, none is in memory.
 *
 * Holds its files open until disposed. Reads are independent of one another and may overlap in time.
 */
export interface Checkpoint extends AsyncDisposable {
  readonly format: 'safetensors' | 'pytorch';
  /** The files that hold tensor bytes, as they were opened. */
  readonly files: readonly string[];
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** What the file says about itself beside its tensors; untrusted text. */
  readonly metadata: ReadonlyMap<string, string>;
  /** What was found and left unread, for people. */
  readonly warnings: readonly string[];
  /** Reads one tensor as it is stored, made contiguous. 16-bit floats come as their bits. */
  read(name: string): Promise<TensorValue>;
  /** Reads one floating-point tensor as float32. Integers, and float64 values beyond float32's range, are errors. */
  readFloat32(name: string): Promise<Float32TensorValue>;
}

export interface Float32TensorValue extends TensorValue {
  readonly dtype: 'float32';
  readonly data: Float32Array;
}

/** What a reader of a format hands over. */
export interface CheckpointParts {
  readonly format: Checkpoint['format'];
  readonly sources: readonly ByteSource[];
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** Whether this machine's typed arrays read the least byte first. */
const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Conversions hold no more than this beside the result. A multiple of every element size. */
const conversionPiece = 16 * 1024 * 1024;

/** Makes a Checkpoint that owns `sources`: each entry's `file` must be one of them. */
export function createCheckpoint(parts: CheckpointParts): Checkpoint {
  return new OpenCheckpoint(parts);
}

class OpenCheckpoint implements Checkpoint {
  readonly format: Checkpoint['format'];
  readonly files: readonly string[];
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
  readonly #sources: ReadonlyMap<string, ByteSource>;
  #disposed = false;

  constructor(parts: CheckpointParts) {
    this.format = parts.format;
    this.files = parts.sources.map((source) => source.file);
    this.entries = parts.entries;
    this.metadata = parts.metadata;
    this.warnings = parts.warnings;
    this.#sources = new Map(parts.sources.map((source) => [source.file, source]));
  }

  async read(name: string): Promise<TensorValue> {
    const { entry, source } = this.#locate(name);
    return readTensor(source, entry);
  }

  async readFloat32(name: string): Promise<Float32TensorValue> {
    const { entry, source } = this.#locate(name);
    return readFloat32Tensor(source, entry);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const source of this.#sources.values()) await source[Symbol.asyncDispose]();
  }

  #locate(name: string): { entry: TensorEntry; source: ByteSource } {
    const entry = this.entries.get(name);
    const file = entry?.file ?? this.files[0] ?? '(no file)';
    if (this.#disposed) {
      throw new CheckpointError('was closed: read its tensors before disposing of the checkpoint', {
        file,
        code: 'checkpoint_unreadable',
      });
    }
    if (!entry) {
      throw new CheckpointError(`has no tensor ${quote(name)}`, { file, code: 'checkpoint_not_found' });
    }
    const source = this.#sources.get(entry.file);
    if (!source) throw new Error(`entry ${quote(name)} names a file that this checkpoint does not own`);
    return { entry, source };
  }
}

/** Reads a tensor of an open file by its entry, as `Checkpoint.read` does. */
export async function readTensor(source: ByteSource, entry: TensorEntry): Promise<TensorValue> {
  requireLittleEndian(entry);
  const data = entry.strides ? await gather(source, entry, entry.strides) : await readElements(source, entry);
  checkBooleans(entry, data);
  return { dtype: entry.dtype, shape: entry.shape, data };
}

/** Reads a tensor of an open file by its entry, as `Checkpoint.readFloat32` does. */
export async function readFloat32Tensor(source: ByteSource, entry: TensorEntry): Promise<Float32TensorValue> {
  requireLittleEndian(entry);
  const { dtype, shape } = entry;
  if (!isFloat(dtype)) {
    throw new CheckpointError(`tensor ${quote(entry.name)} holds ${dtype}, expected floating-point numbers`, {
      file: entry.file,
      byteOffset: entry.offset,
      code: 'checkpoint_unsupported',
    });
  }
  if (entry.strides) {
    const raw = await gather(source, entry, entry.strides);
    if (raw instanceof Float32Array) return { dtype: 'float32', shape, data: raw };
    const data = allocate(entry, Float32Array, raw.length);
    convert(entry, new Uint8Array(raw.buffer as ArrayBuffer, raw.byteOffset, raw.byteLength), dtype, data, 0);
    return { dtype: 'float32', shape, data };
  }
  if (dtype === 'float32') {
    const data = (await readElements(source, entry)) as Float32Array;
    return { dtype: 'float32', shape, data };
  }
  checkRange(source, entry.offset, entry.byteLength);
  const bytes = dtypes[dtype].bytes;
  const data = allocate(entry, Float32Array, entry.byteLength / bytes);
  const piece = new Uint8Array(Math.min(conversionPiece, entry.byteLength));
  for (let done = 0; done < entry.byteLength; done += piece.length) {
    const raw = piece.subarray(0, Math.min(piece.length, entry.byteLength - done));
    await source.readInto(raw, entry.offset + done);
    convert(entry, raw, dtype, data.subarray(done / bytes, (done + raw.length) / bytes), done / bytes);
  }
  return { dtype: 'float32', shape, data };
}

function requireLittleEndian({ file }: TensorEntry): void {
  if (littleEndian) return;
  throw new CheckpointError('holds little-endian numbers, which this big-endian machine would misread', {
    file,
    code: 'checkpoint_unsupported',
  });
}

function isFloat(dtype: DType): dtype is FloatDType {
  return isFloating(dtype);
}

function convert(
  entry: TensorEntry,
  raw: Uint8Array<ArrayBuffer>,
  dtype: FloatDType,
  target: Float32Array,
  first: number,
): void {
  const index = toFloat32(raw, dtype, target);
  if (index < 0) return;
  throw new CheckpointError(
    `tensor ${quote(entry.name)}: element ${first + index} is beyond float32's range; read it as ${dtype}`,
    { file: entry.file, byteOffset: entry.offset, code: 'checkpoint_unsupported' },
  );
}

/** Allocates, turning the engine's RangeError into words that name the tensor. */
function allocate<T>(entry: TensorEntry, array: new (length: number) => T, length: number): T {
  try {
    return new array(length);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CheckpointError(`tensor ${quote(entry.name)}: no array for ${length} elements (${why})`, {
      file: entry.file,
      byteOffset: entry.offset,
      code: 'checkpoint_unsupported',
      cause: error,
    });
  }
}

/** Reads the elements from the entry's first to its last as they lie in the file. */
async function readElements(source: ByteSource, entry: TensorEntry): Promise<TypedArray> {
  checkRange(source, entry.offset, entry.byteLength);
  const { array, bytes } = dtypes[entry.dtype];
  const data = allocate<TypedArray>(entry, array, entry.byteLength / bytes);
  await source.readInto(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), entry.offset);
  return data;
}

/** Reads the elements that a strided tensor spans and copies its own, as bits, in row-major order. */
async function gather(source: ByteSource, entry: TensorEntry, strides: readonly number[]): Promise<TypedArray> {
  const { dtype, shape } = entry;
  const spanned = asBits(await readElements(source, entry));
  const data = allocate<TypedArray>(entry, dtypes[dtype].array, elementCount(shape)!);
  const target = asBits(data);
  const rank = shape.length;
  const width = shape[rank - 1]!;
  const step = strides[rank - 1]!;
  const index = new Array<number>(rank - 1).fill(0);
  let start = 0;
  for (let row = 0; row < target.length; row += width) {
    for (let column = 0; column < width; column++) target[row + column] = spanned[start + column * step]!;
    for (let axis = rank - 2; axis >= 0; axis--) {
      start += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      start -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return data;
}

/**
 * The same memory as unsigned integers: a NaN that passes through a JavaScript number may change its bits.
 * One type stands for all four in the signature, for they are only copied element by element between equals.
 */
function asBits(data: TypedArray): Uint32Array {
  const { buffer, byteOffset, length } = data;
  const arrays = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array };
  const array = arrays[data.BYTES_PER_ELEMENT as keyof typeof arrays];
  return new array(buffer as ArrayBuffer, byteOffset, length) as unknown as Uint32Array;
}

/** A byte that is neither 0 nor 1 is no bool: what a kernel would make of it is undefined. */
function checkBooleans(entry: TensorEntry, data: TypedArray): void {
  if (entry.dtype !== 'bool') return;
  const index = data.findIndex((value) => value > 1);
  if (index < 0) return;
  throw new CheckpointError(
    `tensor ${quote(entry.name)}: element ${index} is ${data[index]}, expected a bool, 0 or 1`,
    {
      file: entry.file,
      byteOffset: entry.offset,
    },
  );
}
