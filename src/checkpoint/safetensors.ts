/**
 * Reading one file of the safetensors format: u64 header length, JSON header, tensor bytes without gaps to the end.
 *
 * The rules are those of the reference reader (huggingface/safetensors, `safetensors/src/tensor.rs`), and a little
 * stricter: a repeated key and an unknown field are errors here.
 */

import type { DType } from '../tensor/dtype.ts';
import { type ByteSource, readBytes } from './byte-source.ts';
import { byteCount, maximumRank, type TensorEntry } from './entry.ts';
import { CheckpointError, quote } from './error.ts';
import type { Files } from './files.ts';
import { JsonSyntaxError, type JsonValue, parseJson } from './json.ts';
import { type Checkpoint, type CheckpointParts, createCheckpoint } from './source.ts';

/** The format's own limit on the header's length in bytes. */
export const maximumHeaderLength = 100_000_000;

/** More than 100,000 tensors: each takes seven to ten JSON values. */
const headerLimits = { depth: 4, values: 1_000_000 };

export const safetensorsDTypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

/** Element types of the format that no tensor here can have. */
const foreignDTypes = new Set([
  'U16',
  'U32',
  'U64',
  'C64',
  'F8_E4M3',
  'F8_E5M2',
  'F8_E8M0',
  'F6_E2M3',
  'F6_E3M2',
  'F4',
]);

/**
 * Opens one safetensors file.
 *
 * @throws CheckpointError if the header breaks a rule, or tensors overlap, leave gaps or do not end with the file.
 */
export async function openSafetensorsIn(files: Files, path: string): Promise<Checkpoint> {
  const source = await files.open(path);
  try {
    return createCheckpoint(await readSafetensors(source));
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}

/** Reads and checks the header of `source`; the tensors' bytes are not touched. */
export async function readSafetensors(
  source: ByteSource,
): Promise<CheckpointParts & { metadata: Map<string, string> }> {
  const { file } = source;
  if (source.size < 8) {
    throw new CheckpointError(
      `a safetensors file starts with 8 bytes of header length, this has ${source.size} bytes`,
      {
        file,
        byteOffset: 0,
      },
    );
  }
  const lengthBytes = await readBytes(source, 0, 8);
  const length = new DataView(lengthBytes.buffer as ArrayBuffer).getBigUint64(0, true);
  if (length > BigInt(maximumHeaderLength)) {
    throw new CheckpointError(`the header claims ${length} bytes, the limit is ${maximumHeaderLength}`, {
      file,
      byteOffset: 0,
    });
  }
  const headerLength = Number(length);
  const header = await readBytes(source, 8, headerLength);
  const members = parseHeader(header, file);

  const metadata = readMetadata(members.get('__metadata__'), file);
  members.delete('__metadata__');
  const dataStart = 8 + headerLength;
  const entries = [...members].map(([name, value]) => readEntry(name, value, file, dataStart));
  checkCoverage(entries, source, dataStart);
  return {
    format: 'safetensors',
    sources: [source],
    entries: new Map(entries.map((entry) => [entry.name, entry])),
    metadata,
    warnings: [],
  };
}

function parseHeader(header: Uint8Array, file: string): Map<string, JsonValue> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
  } catch (cause) {
    throw new CheckpointError('the header is not valid UTF-8', { file, byteOffset: 8, cause });
  }
  let value: JsonValue;
  try {
    value = parseJson(text, headerLimits);
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError)) throw cause;
    throw new CheckpointError(`the header is not valid JSON: ${cause.message}`, {
      file,
      byteOffset: 8 + new TextEncoder().encode(text.slice(0, cause.position)).length,
      cause,
    });
  }
  if (value instanceof Map) return value;
  throw new CheckpointError('the header is not a JSON object', { file, byteOffset: 8 });
}

function readMetadata(value: JsonValue | undefined, file: string): Map<string, string> {
  if (value === undefined) return new Map();
  if (value instanceof Map && [...value.values()].every((text) => typeof text === 'string')) {
    return value as Map<string, string>;
  }
  throw new CheckpointError('"__metadata__" must be an object of strings', { file, byteOffset: 8 });
}

function readEntry(name: string, value: JsonValue, file: string, dataStart: number): TensorEntry {
  const fail = (reason: string, code?: 'checkpoint_unsupported'): never => {
    throw new CheckpointError(`tensor ${quote(name)}: ${reason}`, { file, byteOffset: 8, ...(code && { code }) });
  };
  if (!(value instanceof Map) || value.size !== 3) return fail('expected exactly "dtype", "shape" and "data_offsets"');
  const code = value.get('dtype');
  if (typeof code !== 'string') return fail('"dtype" must be a string');
  const dtype = safetensorsDTypes.get(code);
  if (!dtype) {
    return foreignDTypes.has(code)
      ? fail(`element type ${code} is not supported`, 'checkpoint_unsupported')
      : fail(`unknown element type ${quote(code)}`);
  }
  const shape = readIntegers(value.get('shape'));
  if (!shape) return fail('"shape" must be an array of integers from 0 to 2^53 − 1');
  if (shape.length > maximumRank) return fail(`rank ${shape.length}, the limit is ${maximumRank}`);
  const offsets = readIntegers(value.get('data_offsets'));
  if (offsets?.length !== 2) return fail('"data_offsets" must be two integers from 0 to 2^53 − 1');
  const [begin, end] = offsets as [number, number];
  if (end < begin) return fail(`data_offsets end at ${end}, before they begin at ${begin}`);
  const expected = byteCount(shape, dtype);
  if (expected === undefined) return fail(`shape [${shape}] overflows`);
  if (end - begin !== expected) {
    return fail(`shape [${shape}] of ${dtype} needs ${expected} bytes, data_offsets hold ${end - begin}`);
  }
  return { name, dtype, shape, file, offset: dataStart + begin, byteLength: expected };
}

function readIntegers(value: JsonValue | undefined): number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const sound = value.every((item) => typeof item === 'bigint' && item >= 0n && item <= Number.MAX_SAFE_INTEGER);
  return sound ? value.map(Number) : undefined;
}

/** The tensors must tile the rest of the file: nothing shared, nothing hidden between or behind them. */
function checkCoverage(entries: readonly TensorEntry[], source: ByteSource, dataStart: number): void {
  const { file, size } = source;
  const inOrder = [...entries].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let position = dataStart;
  for (const { name, offset, byteLength } of inOrder) {
    if (offset !== position) {
      const fault = offset < position ? 'overlaps the tensor before it' : 'leaves a gap before it';
      throw new CheckpointError(`tensor ${quote(name)} ${fault}: starts at byte ${offset}, expected ${position}`, {
        file,
        byteOffset: offset,
      });
    }
    position += byteLength;
  }
  if (position !== size) {
    const fault = position < size ? 'bytes follow the last tensor' : 'the file is cut';
    throw new CheckpointError(`${fault}: the header describes ${position} bytes, the file has ${size}`, {
      file,
      byteOffset: Math.min(position, size),
    });
  }
}
