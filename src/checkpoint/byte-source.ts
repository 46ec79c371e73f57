/** Reading bytes at a position: all that the parsers of this folder ask of a file. */

import { CheckpointError } from './error.ts';

/** Bytes that can be read at any position. The parsers never hold more of it than they need. */
export interface ByteSource extends AsyncDisposable {
  /** Name for messages and for `TensorEntry.file`. */
  readonly file: string;
  /** Bytes in all, when it was opened. */
  readonly size: number;
  /** Fills `target` from `position`; throws a CheckpointError if the source ends before. */
  readInto(target: Uint8Array, position: number): Promise<void>;
}

/** Reads `length` bytes at `position`; the range is checked against the size before anything is allocated. */
export async function readBytes(source: ByteSource, position: number, length: number): Promise<Uint8Array> {
  checkRange(source, position, length);
  const bytes = new Uint8Array(length);
  await source.readInto(bytes, position);
  return bytes;
}

export function checkRange(source: ByteSource, position: number, length: number): void {
  const sound = Number.isSafeInteger(position) && Number.isSafeInteger(length) && position >= 0 && length >= 0;
  if (!sound || position > source.size - length) {
    throw new CheckpointError(
      `needs ${length} bytes here, but the file has ${source.size} bytes: it is cut or damaged`,
      {
        file: source.file,
        byteOffset: position,
      },
    );
  }
}
