/** Which files a data set of several files consists of. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { quote } from '../../checkpoint/error.ts';
import { DataError } from '../error.ts';
import { asDataError, isInside, openFolder } from './inside.ts';

/** Names that one pattern may stand for. */
const mostNames = 100_000;

export interface Shard {
  /** Relative to the folder. */
  readonly name: string;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * The names that a pattern with braces stands for, as a shell expands them: `a-{000..002}.tar`, `{x,y}-{0..9}.tar`.
 * Both ends of a range keep their leading zeros. Other signs mean themselves.
 * @throws DataError `data_option_invalid` for braces that do not close or nest, and for more than 100,000 names
 */
export function expandBraces(pattern: string): string[] {
  const refuse = (reason: string) => new DataError('data_option_invalid', `${quote(pattern)}: ${reason}`, { pattern });
  let names = [''];
  for (let at = 0; at < pattern.length; ) {
    const open = pattern.indexOf('{', at);
    const plain = pattern.slice(at, open < 0 ? undefined : open);
    if (plain.includes('}')) throw refuse('a closing brace without an opening one');
    let choices = [''];
    if (open >= 0) {
      const close = pattern.indexOf('}', open);
      if (close < 0) throw refuse('a brace that does not close');
      const inner = pattern.slice(open + 1, close);
      if (inner.includes('{')) throw refuse('braces inside of braces are not read');
      choices = expandRange(inner, refuse) ?? inner.split(',');
      at = close + 1;
    } else at = pattern.length;
    if (names.length * choices.length > mostNames) throw refuse(`more than ${mostNames} names`);
    names = names.flatMap((name) => choices.map((choice) => name + plain + choice));
  }
  return names;
}

function expandRange(inner: string, refuse: (reason: string) => DataError): string[] | undefined {
  const match = /^(\d{1,9})\.\.(\d{1,9})$/.exec(inner);
  if (!match) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  const count = Number(last) - Number(first) + 1;
  if (count < 1) throw refuse('a range that runs backwards');
  if (count > mostNames) throw refuse(`more than ${mostNames} names`);
  const width = first.startsWith('0') || last.startsWith('0') ? Math.max(first.length, last.length) : 0;
  return Array.from({ length: count }, (_, i) => String(Number(first) + i).padStart(width, '0'));
}

/**
 * The files of a data set, in order: those of the pattern, or every one of the folder with the ending.
 * @throws DataError when the folder or a named file is missing, or a name leads outside
 */
export async function listShards(folder: string, pattern: string | undefined, ending: string): Promise<Shard[]> {
  const root = await openFolder(folder);
  const names = pattern === undefined ? await namesWithEnding(root, ending) : expandBraces(pattern);
  if (names.length === 0) throw new DataError('data_not_found', `${folder}: holds no ${ending} files`, { folder });
  const shards: Shard[] = [];
  for (const name of names) {
    if (!isInside(name)) {
      throw new DataError('data_option_invalid', `${quote(name)} does not stay inside ${folder}`, { folder, name });
    }
    const path = join(root, name);
    const status = await stat(path).catch((error: unknown) => {
      throw asDataError(error, path);
    });
    if (!status.isFile()) throw new DataError('data_unreadable', `${path}: is no regular file`, { file: path });
    shards.push({ name, path, size: status.size });
  }
  return shards;
}

async function namesWithEnding(root: string, ending: string): Promise<string[]> {
  const names = await readdir(root).catch((error: unknown) => {
    throw asDataError(error, root);
  });
  return names.filter((name) => name.endsWith(ending) && !name.startsWith('.')).sort();
}
