/** The pages of `docs/` as the tests read them. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../../', import.meta.url));

/** Pages that are written by hand, by path in the repository; what `npm run docs` makes is left out. */
export const pages: readonly string[] = [
  'README.md',
  'models/nano/README.md',
  ...['docs', 'docs/decisions'].flatMap((folder) =>
    readdirSync(path.join(repository, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

export function readPage(page: string): string {
  return readFileSync(path.join(repository, page), 'utf8');
}

export interface ShownCommand {
  readonly command: string;
  /** Lines that are shown below it. */
  readonly output: readonly string[];
}

/**
 * The commands of a page's `console` blocks: lines after `$ `, with those that a backslash joins to them.
 * @param mark the word after `console` in the opening line; `''` for blocks without one
 */
export function commandsOf(page: string, mark: string): ShownCommand[] {
  const blocks = readPage(page).matchAll(/^```console *(\S*)\n(.*?)^```$/gms);
  return [...blocks]
    .filter(([, found]) => found === mark)
    .flatMap(([, , text]) => text!.split(/^\$ /m).slice(1))
    .map((shown) => {
      const [, command, rest] = /^((?:[^\n]*\\\n)*[^\n]*)\n(.*)$/s.exec(shown)!;
      return { command: command!, output: rest!.split('\n').slice(0, -1) };
    });
}
