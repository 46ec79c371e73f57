/** The file system of Node as a place of files. */
import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ByteSource } from './byte-source.ts';
import { CheckpointError } from './error.ts';
import { asCheckpointError, type Files } from './files.ts';

/** One read call asks for no more than this: Node refuses reads of 2 GiB and more. */
const readPiece = 64 * 1024 * 1024;

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

/** Reads from the disk. Symbolic links are followed, because the caches of the Hugging Face hub are made of them. */
export const nodeFiles: Files = {
  join: (...parts) => path.join(...parts),
  relative: (folder, file) => path.relative(folder, file).split(path.sep).join('/'),
  async kindOf(place) {
    try {
      const entry = await stat(place);
      return entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw error;
    }
  },
  list: (folder) => readdir(folder),
  sizeOf: async (file) => (await stat(file)).size,
  read: (file) => readFile(file),
  open: openFile,
};
