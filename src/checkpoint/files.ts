/** A place of files: a disk in Node, a downloaded model folder in a browser. */
import type { ByteSource } from './byte-source.ts';
import { CheckpointError } from './error.ts';

/**
 * All that the readers of model folders ask of a file system. What fails throws an error whose `code` is that of Node's
 * file system (`ENOENT` for what is not there), or a `StarError`, which the readers hand on as it is.
 */
export interface Files {
  /** One path of several parts, in the place's own form. */
  join(...parts: string[]): string;
  /** The way from a folder to a file in it, with `/` between its parts. */
  relative(folder: string, file: string): string;
  /** Undefined where nothing is, or something that is neither. */
  kindOf(path: string): Promise<'file' | 'folder' | undefined>;
  /** Names of what is in a folder, without its path. */
  list(folder: string): Promise<string[]>;
  /** Bytes of a file. */
  sizeOf(file: string): Promise<number>;
  /** A whole file. Ask for its size before. */
  read(file: string): Promise<Uint8Array>;
  /** A file to be read in parts; throws `CheckpointError`. */
  open(file: string): Promise<ByteSource>;
}

/** The code of a file system's error, for messages. */
export function systemCode(error: unknown): string {
  return (error as { readonly code?: string }).code ?? 'an unknown error';
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
