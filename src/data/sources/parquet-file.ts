/** Row groups of a Parquet file from a stranger, checked before hyparquet sets memory aside for what they claim. */
import {
  type AsyncBuffer,
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { compressors as allCompressors } from 'hyparquet-compressors';
import { type ByteSource, readBytes } from '../../checkpoint/byte-source.ts';
import { quote } from '../../checkpoint/error.ts';
import { StarError } from '../../errors.ts';
import { DataError } from '../error.ts';
import { openDataFile } from './inside.ts';

/** The most bytes of a file's description of itself. */
const maximumFooterBytes = 64 * 1024 * 1024;
/** The most rows of a group; Hugging Face writes 100 to 1,000 for pictures. */
const mostRows = 1_000_000;
/** The most values of a column in a group: a few for each row, where a row has several captions. */
const mostValues = 4 * mostRows;

export interface RowGroupPlace {
  /** The first row, counted in the file. */
  readonly start: number;
  readonly rows: number;
}

export interface ParquetFile {
  readonly groups: readonly RowGroupPlace[];
  /** All rows of a group, of the asked columns. Throws `DataError` (`data_invalid`) for a damaged group. */
  readGroup(group: number): Promise<Record<string, unknown>[]>;
}

/**
 * Reads a file's footer.
 * @param maxGroupBytes the most bytes of the asked columns in one group, before and after decompression
 * @throws DataError when it is no Parquet file or a column is missing
 */
export async function openParquet(
  path: string,
  columns: readonly string[],
  maxGroupBytes: number,
): Promise<ParquetFile> {
  await using source = await openDataFile(path);
  const metadata = await refused(path, () => readFooter(source));
  const names = new Set(metadata.row_groups[0]?.columns.map((column) => column.meta_data?.path_in_schema[0]));
  const missing = columns.find((column) => !names.has(column));
  if (metadata.row_groups.length > 0 && missing !== undefined) {
    throw new DataError('data_invalid', `${path}: has no column ${quote(missing)}, only ${[...names].join(', ')}`, {
      file: path,
      column: missing,
    });
  }
  let start = 0;
  const groups = metadata.row_groups.map(({ num_rows }) => {
    const rows = Number(num_rows);
    if (!(rows >= 0 && rows <= mostRows)) {
      throw new DataError('data_invalid', `${path}: a group of ${rows} rows, the limit is ${mostRows}`, { file: path });
    }
    start += rows;
    return { start: start - rows, rows };
  });
  return {
    groups,
    readGroup: async (group) => {
      // Opened for each group: a data set may have more files than a process may hold open.
      await using file = await openDataFile(path);
      return await refused(path, async () => {
        await checkPages(file, metadata, group, columns, maxGroupBytes);
        const { start: rowStart, rows } = groups[group]!;
        const read = await parquetReadObjects({
          file: asBuffer(file, maxGroupBytes),
          metadata,
          columns: [...columns],
          rowStart,
          rowEnd: rowStart + rows,
          compressors: limited(maxGroupBytes),
          utf8: false,
        });
        if (read.length !== rows) throw new Error(`expected ${rows} rows, got ${read.length}`);
        return read;
      });
    },
  };
}

async function readFooter(source: ByteSource): Promise<FileMetaData> {
  if (source.size < 12) throw new Error('too short');
  const end = await readBytes(source, source.size - 8, 8);
  const length = new DataView(end.buffer).getUint32(0, true);
  if (length > maximumFooterBytes) throw new Error(`a footer of ${length} bytes, the limit is ${maximumFooterBytes}`);
  return parquetMetadataAsync(asBuffer(source, maximumFooterBytes + 8), { geoparquet: false });
}

function asBuffer(source: ByteSource, maxBytes: number): AsyncBuffer {
  return {
    byteLength: source.size,
    async slice(start, end = source.size) {
      if (end - start > maxBytes) throw new Error(`a part of ${end - start} bytes, the limit is ${maxBytes}`);
      const bytes = await readBytes(source, start, end - start);
      return bytes.buffer as ArrayBuffer;
    },
  };
}

/**
 * Walks over the pages of the columns: each claims its sizes, and the reader believes them. A page of a few bytes could
 * claim two thousand million values, and would be filled in for minutes.
 */
async function checkPages(
  file: ByteSource,
  metadata: FileMetaData,
  group: number,
  columns: readonly string[],
  maxBytes: number,
): Promise<void> {
  const { columns: chunks } = metadata.row_groups[group]!;
  const asked = chunks.map(({ meta_data }) => meta_data).filter((chunk) => chunk !== undefined);
  let expanded = 0;
  for (const chunk of asked) {
    if (!columns.includes(chunk.path_in_schema[0]!)) continue;
    const [start, length] = rangeOf(chunk);
    if (length > maxBytes) throw new Error(`a column of ${length} bytes, the limit is ${maxBytes}`);
    const bytes = await readBytes(file, start, length);
    const reader = { view: new DataView(bytes.buffer), offset: 0 };
    let total = 0;
    // The reader, too, stops one byte before the end.
    while (reader.offset < length - 1) {
      const header = parquetHeader(reader);
      const { compressed_page_size: packed, uncompressed_page_size: plain, data_page_header_v2: second } = header;
      const values = (header.data_page_header ?? second ?? header.dictionary_page_header)?.num_values ?? 0;
      if (!(packed >= 0 && packed <= length - reader.offset) || !(plain >= 0))
        throw new Error('a page of a wrong size');
      if (second) checkLevels(second, values, packed);
      total += values;
      if (!(values >= 0 && total <= mostValues)) throw new Error(`more than ${mostValues} values`);
      expanded += plain;
      if (expanded > maxBytes) throw new Error(`more than ${maxBytes} bytes after decompression`);
      reader.offset += packed;
    }
  }
}

type SecondPageHeader = NonNullable<ReturnType<typeof parquetHeader>['data_page_header_v2']>;

/** Of a page of the second version. Without a length of its levels the reader would go round for ever. */
function checkLevels(page: SecondPageHeader, values: number, packed: number): void {
  if (!(page.num_nulls >= 0 && page.num_nulls <= values)) throw new Error('a page of wrong nulls');
  const [repetition, definition] = [page.repetition_levels_byte_length, page.definition_levels_byte_length];
  const fit = repetition >= 0 && definition >= 0 && repetition + definition <= packed;
  if (!fit) throw new Error('a page of levels without a length that fits');
}

function rangeOf({
  dictionary_page_offset,
  data_page_offset,
  total_compressed_size,
}: ColumnMetaData): [number, number] {
  return [Number(dictionary_page_offset || data_page_offset), Number(total_compressed_size)];
}

function limited(maxBytes: number): typeof allCompressors {
  return Object.fromEntries(
    Object.entries(allCompressors).map(([codec, decompress]) => [
      codec,
      (input: Uint8Array, length: number) => {
        if (!(length >= 0 && length <= maxBytes)) throw new Error(`a page of ${length} bytes`);
        return decompress(input, length);
      },
    ]),
  );
}

// hyparquet throws plain errors, RangeErrors and TypeErrors at damage.
async function refused<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (StarError.isInstance(cause)) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataError('data_invalid', `${file}: no Parquet that can be read: ${reason}`, { file }, { cause });
  }
}
