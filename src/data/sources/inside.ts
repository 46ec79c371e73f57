/** Files named by data from strangers: they must lie inside the data's folder, be regular, and be small enough. */
import type { Stats } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, sep } from 'node:path';
import type { ByteSource } from '../../checkpoint/byte-source.ts';
import { CheckpointError, quote } from '../../checkpoint/error.ts';
import { openFile } from '../../checkpoint/node-files.ts';
import { DataError } from '../error.ts';

/** Longer names are no names. */
const longestPath = 4096;

/** Turns an error of the file system into a DataError; others pass through. */
export function asDataError(error: unknown, file: string): unknown {
  const details = { file };
  if (error instanceof CheckpointError) {
    const code = {
      checkpoint_not_found: 'data_not_found',
      checkpoint_unreadable: 'data_unreadable',
    } as const;
    return new DataError(code[error.code as keyof typeof code] ?? 'data_invalid', error.message, details, {
      cause: error,
    });
  }
  if (error instanceof DataError || !(error instanceof Error) || !('code' in error)) return error;
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
    return new DataError('data_not_found', `${file}: does not exist; check the path`, details, { cause: error });
  }
  return new DataError('data_unreadable', `${file}: cannot be read (${error.code})`, details, { cause: error });
}

/** The real path of a data folder. Throws `DataError` when there is none. */
export async function openFolder(folder: string): Promise<string> {
  try {
    const root = await realpath(folder);
    if (!(await stat(root)).isDirectory()) {
      throw new DataError('data_unreadable', `${folder}: expected a folder, got a file`, { file: folder });
    }
    return root;
  } catch (error) {
    throw asDataError(error, folder);
  }
}

/** Opens a regular file for positioned reads, as `openFile` does, with errors of this room. */
export async function openDataFile(path: string): Promise<ByteSource> {
  try {
    return await openFile(path);
  } catch (error) {
    throw asDataError(error, path);
  }
}

/** True for a name that stays where it is put: relative, with `/` between its parts, without `..`. */
export function isInside(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  if (path === '' || path.length > longestPath || /[\u0000-\u001f\\]/.test(path)) return false;
  return !isAbsolute(path) && !/^[a-zA-Z]:/.test(path) && !path.split('/').includes('..');
}

/**
 * The bytes of a file that data names.
 * @param root real path of the data's folder
 * @throws DataError when the name or a link leads outside, or the file is missing, no regular file, or above `maxBytes`
 */
export async function readInside(root: string, path: string, maxBytes: number): Promise<Uint8Array> {
  const outside = () =>
    new DataError('data_invalid', `${quote(path)} does not stay inside the data folder; use a relative path`, { path });
  if (!isInside(path)) throw outside();
  try {
    const real = await realpath(join(root, path));
    const way = relative(root, real);
    if (way === '' || way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) throw outside();
    // Asked before opening: a pipe would wait for ever.
    checkFile(path, await stat(real), maxBytes);
    const handle = await open(real, 'r');
    try {
      const status = await handle.stat();
      checkFile(path, status, maxBytes);
      const bytes = new Uint8Array(status.size);
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, done);
        if (bytesRead === 0) throw new DataError('data_invalid', `${quote(path)} became shorter while it was read`);
        done += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw asDataError(error, path);
  }
}

function checkFile(path: string, status: Stats, maxBytes: number): void {
  if (!status.isFile()) throw new DataError('data_unreadable', `${quote(path)} is no regular file`, { path });
  if (status.size > maxBytes) {
    throw new DataError('data_invalid', `${quote(path)} has ${status.size} bytes, the limit is ${maxBytes}`, {
      path,
      bytes: status.size,
      maxBytes,
    });
  }
}
