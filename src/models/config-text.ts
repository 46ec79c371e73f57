/** Reads the text files of a model folder, limited in size: folders come from strangers. */
import { type Files, systemCode } from '../checkpoint/files.ts';
import { StarError } from '../errors.ts';
import { ConfigError, requireConfig } from './config-error.ts';

/** Configuration files are a few kilobytes; 1 MiB leaves room for a long chat template. */
export const maximumConfigBytes = 1 << 20;

/**
 * The text of a UTF-8 file of at most `maximumBytes`.
 * @throws ConfigError when it is missing, unreadable, too large or not UTF-8.
 */
export async function readTextIn(files: Files, file: string, maximumBytes = maximumConfigBytes): Promise<string> {
  const bytes = await readLimited(files, file, maximumBytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ConfigError(file, { expected: 'UTF-8 text', got: 'other bytes', cause });
  }
}

async function readLimited(files: Files, file: string, maximumBytes: number): Promise<Uint8Array> {
  try {
    const size = await files.sizeOf(file);
    requireConfig(size <= maximumBytes, file, { expected: `at most ${maximumBytes} bytes`, got: `${size}` });
    return await files.read(file);
  } catch (cause) {
    if (StarError.isInstance(cause)) throw cause;
    const got = systemCode(cause);
    const code = got === 'ENOENT' ? 'config_not_found' : 'config_unreadable';
    throw new ConfigError(file, { code, expected: 'a readable file', got, cause });
  }
}

/** The parsed JSON of a file of at most `maximumBytes`. */
export async function readJsonIn(files: Files, file: string, maximumBytes = maximumConfigBytes): Promise<unknown> {
  const text = await readTextIn(files, file, maximumBytes);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(file, { expected: 'JSON', got: (cause as Error).message.replace(/\s+/g, ' '), cause });
  }
}
