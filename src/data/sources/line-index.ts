/** Where the lines of a large text file begin, so that each can be read alone. */
import { createHash } from 'node:crypto';
import { type ByteSource, readBytes } from '../../checkpoint/byte-source.ts';
import { JsonSyntaxError, type JsonValue, parseJson } from '../../checkpoint/json.ts';
import { DataError } from '../error.ts';
import { asDataError } from './inside.ts';
import { decodeText } from './picture.ts';

const pieceBytes = 1024 * 1024;
const newline = 0x0a;
/** Levels and values of one record. */
const recordLimits = { depth: 16, values: 100_000 };

export interface LineIndex {
  /** Lines that are not blank. */
  readonly count: number;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
  /** The number of a line in the file, from 1. */
  lineNumber(index: number): number;
  /** The object on a line. Throws `DataError` (`data_invalid`) when it is too long, or not an object in JSON. */
  read(index: number): Promise<Map<string, JsonValue>>;
}

/** Reads the file once; memory holds 12 to 24 bytes a line. @param maxLineBytes the longest line that is read */
export async function indexLines(source: ByteSource, maxLineBytes: number): Promise<LineIndex> {
  const hash = createHash('sha256');
  // Grown by doubling: plain arrays of numbers would take more, and a second copy.
  let starts = new Float64Array(1024);
  let numbers = new Uint32Array(1024);
  let count = 0;
  let line = 1;
  let lineStart = 0;
  let blank = true;
  const close = () => {
    if (!blank) {
      if (count === starts.length) [starts, numbers] = [grown(starts, Float64Array), grown(numbers, Uint32Array)];
      starts[count] = lineStart;
      numbers[count++] = line;
    }
    line++;
    blank = true;
  };
  const piece = new Uint8Array(pieceBytes);
  for (let done = 0; done < source.size; ) {
    const bytes = piece.subarray(0, Math.min(pieceBytes, source.size - done));
    try {
      await source.readInto(bytes, done);
    } catch (error) {
      throw asDataError(error, source.file);
    }
    hash.update(bytes);
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      if (byte === newline) {
        close();
        lineStart = done + i + 1;
      } else if (byte !== 0x20 && byte !== 0x0d && byte !== 0x09) blank = false;
    }
    done += bytes.length;
  }
  close();

  return {
    count,
    sha256: hash.digest('hex'),
    lineNumber: (index) => numbers[index]!,
    async read(index) {
      const start = starts[index]!;
      const next = index + 1 < count ? starts[index + 1]! : source.size;
      // One byte more than is allowed, to see whether the line ends in time.
      const bytes = await readBytes(source, start, Math.min(next - start, maxLineBytes + 1));
      const end = bytes.indexOf(newline);
      if (end < 0 && bytes.length > maxLineBytes) {
        throw new DataError('data_invalid', `the line has more than ${maxLineBytes} bytes`);
      }
      return parseRecord(decodeText(end < 0 ? bytes : bytes.subarray(0, end)));
    },
  };
}

function grown<T extends Float64Array | Uint32Array>(array: T, type: new (length: number) => T): T {
  const larger = new type(array.length * 2);
  larger.set(array);
  return larger;
}

/** A text of JSON that must be an object. Throws `DataError` (`data_invalid`). */
export function parseRecord(text: string, limits = recordLimits): Map<string, JsonValue> {
  let value: JsonValue;
  try {
    value = parseJson(text, limits);
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError)) throw cause;
    throw new DataError(
      'data_invalid',
      `no valid JSON: ${cause.message}, at character ${cause.position}`,
      {},
      { cause },
    );
  }
  if (value instanceof Map) return value;
  throw new DataError('data_invalid', 'expected an object in JSON');
}
