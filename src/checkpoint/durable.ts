import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CheckpointError } from './error.ts';

/** One write call hands over no more than this. */
const writePiece = 64 * 1024 * 1024;

/**
 * Writes a file so that after a crash at any moment `path` holds either what it held before, or all of the new bytes.
 *
 * A temporary file in the same folder is written, synchronised and renamed over `path`, then the folder is
 * synchronised. On an error the temporary file is removed and `path` is as it was; a killed process can leave
 * a `.<name>.<random>.tmp` behind. A link at `path` is replaced, not followed.
 *
 * @param chunks written one after another as they come; an error that they throw is passed on as it is.
 * @throws CheckpointError `checkpoint_write_failed` if the operating system refuses, with its error as `cause`.
 */
export async function writeFileDurably(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const handle = await attempt(path, () => open(temporary, 'wx'));
  try {
    try {
      for await (const chunk of chunks) await attempt(path, () => writeAll(handle, chunk));
      await attempt(path, () => handle.sync());
    } finally {
      await attempt(path, () => handle.close());
    }
    await attempt(path, () => rename(temporary, path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await attempt(path, () => syncFolder(folder));
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.byteLength; ) {
    const length = Math.min(writePiece, chunk.byteLength - done);
    const { bytesWritten } = await handle.write(chunk, done, length);
    if (bytesWritten === 0) throw new Error('the operating system wrote nothing');
    done += bytesWritten;
  }
}

/** Makes the new name itself durable. Windows opens no folders; its file system journals renames. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function attempt<T>(file: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const reason = `cannot be written (${cause instanceof Error ? cause.message : cause})`;
    throw new CheckpointError(reason, { file, code: 'checkpoint_write_failed', cause });
  }
}
