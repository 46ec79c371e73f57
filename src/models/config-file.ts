/** Text files on the disk of Node, limited in size; `config-text.ts` reads them from any place of files. */
import { nodeFiles } from '../checkpoint/node-files.ts';
import { readJsonIn, readTextIn } from './config-text.ts';

/** The text of a UTF-8 file. See `readTextIn`. */
export function readTextFile(file: string, maximumBytes?: number): Promise<string> {
  return readTextIn(nodeFiles, file, maximumBytes);
}

/** The parsed JSON of a file. See `readJsonIn`. */
export function readJsonFile(file: string, maximumBytes?: number): Promise<unknown> {
  return readJsonIn(nodeFiles, file, maximumBytes);
}
