/** The command line as users have it: compiled, in a process of its own. */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';
import { referencePath } from '../reference-vectors.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

export const models = { a: referencePath('tiny-a', ''), b: referencePath('tiny-b', '') };
export const picture = referencePath('tiny-a', 'expected/image.png');

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export interface RunOptions {
  /** Value of STARSTACK_MODEL; tiny-a unless given, unset when null. */
  readonly model?: string | null;
  /** Standard input; empty unless given. */
  readonly input?: string;
  /** Called once, when the process has started; `interrupt` sends SIGINT. */
  readonly whileRunning?: (interrupt: () => void) => Promise<void>;
}

export interface Installation {
  /** Folder of the package. */
  readonly package: string;
  /** Folder in which commands run. */
  readonly folder: string;
  /** The program's file. */
  readonly main: string;
  run(words: readonly string[], options?: RunOptions): Promise<Outcome>;
}

/** Compiles `src` beside a package.json, as the published package has it, once for the tests of a file. */
export function installStarstack(): Installation {
  const state = { base: '' };
  beforeAll(async () => {
    state.base = await mkdtemp(path.join(tmpdir(), 'starstack-cli-'));
    await mkdir(path.join(state.base, 'work'));
    await copyFile(path.join(root, 'package.json'), path.join(state.base, 'package.json'));
    for (const name of ['node_modules', 'assets', 'models']) {
      await symlink(path.join(root, name), path.join(state.base, name));
    }
    const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
    // `npm run typecheck` checks the types; here only the output counts.
    const flags = ['--noCheck', '--declaration', 'false', '--incremental', 'false', '--tsBuildInfoFile', 'null'];
    const project = ['-p', path.join(root, 'tsconfig.build.json'), '--outDir', path.join(state.base, 'dist')];
    await promisify(execFile)(process.execPath, [compiler, ...project, ...flags]);
  }, 120_000);
  afterAll(() => rm(state.base, { recursive: true, force: true }));
  return {
    get package() {
      return state.base;
    },
    get folder() {
      return path.join(state.base, 'work');
    },
    get main() {
      return path.join(state.base, 'dist/cli/main.js');
    },
    run: (words, options) => runProgram(state.base, words, options ?? {}),
  };
}

async function runProgram(base: string, words: readonly string[], options: RunOptions): Promise<Outcome> {
  const { STARSTACK_MODEL: _, ...environment } = process.env;
  const model = options.model === undefined ? models.a : options.model;
  const child = spawn(process.execPath, [path.join(base, 'dist/cli/main.js'), ...words], {
    cwd: path.join(base, 'work'),
    env: { ...environment, ...(model === null ? {} : { STARSTACK_MODEL: model }) },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // A program that ends before it has read everything is no fault of the test's.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const written = textOf(child);
  const closed = new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject));
  await options.whileRunning?.(() => child.kill('SIGINT'));
  return { code: await closed, ...written };
}

/** What a program writes, as far as it has come. */
export function textOf(child: ChildProcessByStdio<Writable | null, Readable, Readable>): {
  stdout: string;
  stderr: string;
} {
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      written[name] += text;
    });
  }
  return written;
}
