/**
 * The commands of the pages, run as they stand there: a block that begins with "```console run" is run, the blocks of a page
 * one after the other in one shell, and what is shown below a command must be what it says.
 */
import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { installStarstack } from '../cli/starstack.ts';
import { commandsOf, pages, repository, type ShownCommand } from './pages.ts';

const starstack = installStarstack();
const separator = 'END OF A COMMAND';

const shown = pages.map((page) => ({ page, commands: commandsOf(page, 'run') })).filter(({ commands }) => commands[0]);

/** A folder that looks like a clone, and `starstack` in the path. */
async function clone(page: string): Promise<{ folder: string; bin: string }> {
  const folder = path.join(starstack.folder, path.basename(page, '.md'));
  const bin = path.join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  for (const name of ['models', 'recipes', 'test']) await symlink(path.join(repository, name), path.join(folder, name));
  const program = `#!/bin/sh\nexec "${process.execPath}" "${starstack.main}" "$@"\n`;
  await writeFile(path.join(bin, 'starstack'), program, { mode: 0o755 });
  return { folder, bin };
}

/** What each command wrote, on standard output and standard error together, and how it ended. */
async function runAll(page: string, commands: readonly ShownCommand[]): Promise<{ code: number; output: string[] }[]> {
  const { folder, bin } = await clone(page);
  const script = commands.map(({ command }) => `${command}\nprintf '${separator} %d\\n' $?`);
  const { STARSTACK_MODEL: _, ...environment } = process.env;
  const env = { ...environment, PATH: `${bin}:${environment.PATH}` };
  const text = await new Promise<string>((resolve, reject) => {
    execFile('sh', ['-c', `exec 2>&1\n${script.join('\n')}`], { cwd: folder, env }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
  });
  const parts = text.split(new RegExp(`^${separator} (\\d+)\\n`, 'm'));
  return commands.map((_, index) => ({
    code: Number(parts[2 * index + 1]),
    output: parts[2 * index]!.split('\n').slice(0, -1),
  }));
}

/** Fractions and seconds are measured anew each time; `…` stands for anything. */
function sameLine(shown: string, written: string): boolean {
  const measured = (line: string) => line.replace(/\d+\.\d+(e-?\d+)?|\d+(?= (samples\/)?s\b)/g, '#');
  const parts = measured(shown)
    .split('…')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(measured(written));
}

test.skipIf(process.platform === 'win32').each(shown)(
  '$page',
  async ({ page, commands }) => {
    const outcomes = await runAll(page, commands);
    for (const [index, { command, output }] of commands.entries()) {
      const { code, output: written } = outcomes[index]!;
      const all = { command, code, written };
      expect(all).toEqual({ ...all, code: 0 });
      // The two streams are told apart by nothing here: lines may come in another order.
      const missing = output.filter((line) => !written.some((other) => sameLine(line, other)));
      expect({ ...all, missing }).toEqual({ ...all, missing: [] });
      if (output.includes('…')) continue;
      const unshown = written.filter((line) => !output.some((other) => sameLine(other, line)));
      expect({ ...all, unshown }).toEqual({ ...all, unshown: [] });
    }
  },
  120_000,
);

test('commands of many pages are run', () => {
  expect(shown.map(({ page }) => page)).toEqual(expect.arrayContaining(['docs/index.md', 'docs/cli.md']));
});
