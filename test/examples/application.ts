/** An application of somebody else's, with the built package among its own. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';
import type { Installation } from '../cli/starstack.ts';
import { repository } from '../docs/pages.ts';

export interface Application {
  readonly folder: string;
  /** Runs a program there; throws what it wrote when it fails. */
  run(program: string, words: readonly string[]): Promise<{ readonly stdout: string; readonly stderr: string }>;
}

/**
 * Copies an example into a folder of its own, where `starstack` is found as npm installs it.
 * @param packages further ones, by their names
 */
export function application(starstack: Installation, example: string, packages: readonly string[]): Application {
  const state = { folder: '' };
  beforeAll(async () => {
    state.folder = await mkdtemp(path.join(tmpdir(), 'starstack-example-'));
    const modules = path.join(state.folder, 'node_modules');
    await cp(path.join(repository, 'examples', example), state.folder, { recursive: true });
    await writeFile(path.join(state.folder, 'package.json'), '{ "type": "module" }\n');
    await mkdir(path.join(modules, '.bin'), { recursive: true });
    await symlink(starstack.package, path.join(modules, 'starstack'));
    for (const name of packages) await symlink(path.join(repository, 'node_modules', name), path.join(modules, name));
    const program = `#!/bin/sh\nexec "${process.execPath}" "${starstack.main}" "$@"\n`;
    await writeFile(path.join(modules, '.bin/starstack'), program, { mode: 0o755 });
  }, 120_000);
  // What an application builds with a model in it is large.
  afterAll(() => rm(state.folder, { recursive: true, force: true }), 60_000);
  return {
    get folder() {
      return state.folder;
    },
    run: (program, words) => promisify(execFile)(program, words, { cwd: state.folder }),
  };
}
