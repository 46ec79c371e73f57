import { type DType, dtypes, type TypedArray } from '../tensor/dtype.ts';
import { writeFileDurably } from './durable.ts';
import { byteCount, maximumRank } from './entry.ts';
import { CheckpointError, quote } from './error.ts';
import { maximumHeaderLength, safetensorsDTypes } from './safetensors.ts';

/** A tensor to be written. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The elements, or a function that is called once, when it is their turn: so one tensor at a time is in memory. */
  readonly data: TypedArray | (() => TypedArray | Promise<TypedArray>);
}

/**
 * The order of tensors in a file: by element type, the widest first, then by name. It is the reference writer's, so
 * that the same tensors give the same bytes, and every tensor is aligned to its element size.
 */
const dtypeOrder: readonly DType[] = [
  'int64',
  'float64',
  'float32',
  'int32',
  'bfloat16',
  'float16',
  'int16',
  'int8',
  'uint8',
  'bool',
];

const codes = new Map([...safetensorsDTypes].map(([code, dtype]) => [dtype, code]));

/**
 * Writes a safetensors file durably (see `writeFileDurably`).
 *
 * The bytes depend on the tensors and the metadata only, not on their order. A strided source must be made
 * contiguous before.
 *
 * @throws CheckpointError for a repeated name, or data whose type or length is not that of its dtype and shape.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const inOrder = [...tensors].sort(
    (a, b) =>
      dtypeOrder.indexOf(a.dtype) - dtypeOrder.indexOf(b.dtype) ||
      Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  const header = encodeHeader(path, inOrder, metadata);
  await writeFileDurably(path, fileBytes(path, header, inOrder));
}

function encodeHeader(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>>,
): Buffer {
  const members: string[] = [];
  const described = Object.entries(metadata).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (described.length > 0) {
    const pairs = described.map(([key, value]) => `${jsonString(path, key)}:${jsonString(path, value)}`);
    members.push(`"__metadata__":{${pairs.join(',')}}`);
  }
  let position = 0;
  const names = new Set<string>(['__metadata__']);
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name))
      throw new CheckpointError(`tensor name ${quote(name)} is reserved or given twice`, { file: path });
    names.add(name);
    const end = position + checkedByteCount(path, name, dtype, shape);
    members.push(
      `${jsonString(path, name)}:{"dtype":"${codes.get(dtype)}","shape":[${shape}],"data_offsets":[${position},${end}]}`,
    );
    position = end;
  }
  const json = `{${members.join(',')}}`;
  const length = Math.ceil(Buffer.byteLength(json) / 8) * 8;
  if (length > maximumHeaderLength) {
    throw new CheckpointError(`needs a header of ${length} bytes, the limit is ${maximumHeaderLength}`, { file: path });
  }
  const header = Buffer.alloc(8 + length, ' ');
  header.writeBigUInt64LE(BigInt(length), 0);
  header.write(json, 8);
  return header;
}

function checkedByteCount(path: string, name: string, dtype: DType, shape: readonly number[]): number {
  const sound =
    shape.length <= maximumRank && shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0);
  const bytes = sound ? byteCount(shape, dtype) : undefined;
  if (bytes === undefined) {
    throw new CheckpointError(`tensor ${quote(name)}: shape [${shape}] is not valid`, { file: path });
  }
  return bytes;
}

/** JSON text of a string; half a surrogate pair is refused, because it has no UTF-8. */
function jsonString(path: string, text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw new CheckpointError(`${quote(text)} is not valid Unicode`, { file: path });
  return JSON.stringify(text);
}

async function* fileBytes(
  path: string,
  header: Uint8Array,
  tensors: readonly TensorToWrite[],
): AsyncGenerator<Uint8Array> {
  yield header;
  for (const { name, dtype, shape, data } of tensors) {
    const elements = typeof data === 'function' ? await data() : data;
    const expected = byteCount(shape, dtype);
    if (!(elements instanceof dtypes[dtype].array) || elements.byteLength !== expected) {
      throw new CheckpointError(
        `tensor ${quote(name)}: expected ${expected} bytes in a ${dtypes[dtype].array.name}, got ${elements.byteLength} in a ${elements.constructor.name}`,
        { file: path },
      );
    }
    yield new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
  }
}
