/** Reading bytes at a position: all that the parsers of this folder ask of a file. */

import { type FileHandle, open, stat } from 'node:fs/promises';
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

/** One read call asks for no more than this: Node refuses reads of 2 GiB and more. */
const readPiece = 64 * 1024 * 1024;

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

/** Opens a regular file (a link to one is fine) for positioned reads. */
export async function openFile(path: string): Promise<ByteSource> {
  let handle: FileHandle | undefined;
  try {
    // Looked at before opening: opening a named pipe would wait for its writer for ever.
    const before = await stat(path);
    if (!before.isFile()) {
      throw new CheckpointError('is not a regular file', { file: path, code: 'checkpoint_unreadable' });
    }
    handle = await open(path, 'r');
    const { size } = await handle.stat();
    return new FileSource(path, size, handle);
  } catch (error) {
    await handle?.close();
    throw asCheckpointError(error, path);
  }
}

/** Turns an error of the file system into a CheckpointError; others pass through. */
export function asCheckpointError(error: unknown, file: string): unknown {
  if (error instanceof CheckpointError || !(error instanceof Error) || !('code' in error)) return error;
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
    return new CheckpointError('does not exist', { file, code: 'checkpoint_not_found', cause: error });
  }
  return new CheckpointError(`cannot be read (${error.message})`, {
    file,
    code: 'checkpoint_unreadable',
    cause: error,
  });
}

class FileSource implements ByteSource {
  readonly file: string;
  readonly size: number;
  readonly #handle: FileHandle;

  constructor(file: string, size: number, handle: FileHandle) {
    this.file = file;
    this.size = size;
    this.#handle = handle;
  }

  async readInto(target: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < target.byteLength) {
      const length = Math.min(readPiece, target.byteLength - done);
      let bytesRead: number;
      try {
        ({ bytesRead } = await this.#handle.read(target, done, length, position + done));
      } catch (error) {
        throw asCheckpointError(error, this.file);
      }
      if (bytesRead === 0) {
        throw new CheckpointError(
          `ends here, ${target.byteLength - done} bytes too early: it was changed or is damaged`,
          {
            file: this.file,
            byteOffset: position + done,
          },
        );
      }
      done += bytesRead;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
