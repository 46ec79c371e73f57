/** The command line as users have it: compiled, in a process of its own. */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';
import { referencePath } from '../reference-vectors.ts';
import { sharedBuild } from '../shared-builds.ts';

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

/** The package as it is published, and an empty folder to work in for the tests of a file. */
export function installStarstack(): Installation {
  const state = { package: '', folder: '' };
  const main = () => path.join(state.package, 'dist/cli/main.js');
  beforeAll(async () => {
    state.package = await sharedBuild('package', compilePackage);
    state.folder = await mkdtemp(path.join(tmpdir(), 'starstack-cli-'));
  }, 120_000);
  afterAll(() => rm(state.folder, { recursive: true, force: true }));
  return {
    get package() {
      return state.package;
    },
    get folder() {
      return state.folder;
    },
    get main() {
      return main();
    },
    run: (words, options) => runProgram(main(), state.folder, words, options ?? {}),
  };
}

/** Compiles `src` beside a package.json. */
async function compilePackage(folder: string): Promise<void> {
  await copyFile(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  for (const name of ['node_modules', 'assets', 'models'])
    await symlink(path.join(root, name), path.join(folder, name));
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  // `npm run typecheck` checks the types; here only the output counts.
  const flags = ['--noCheck', '--declaration', 'false', '--incremental', 'false', '--tsBuildInfoFile', 'null'];
  const project = ['-p', path.join(root, 'tsconfig.build.json'), '--outDir', path.join(folder, 'dist')];
  await promisify(execFile)(process.execPath, [compiler, ...project, ...flags]);
}

async function runProgram(main: string, cwd: string, words: readonly string[], options: RunOptions): Promise<Outcome> {
  const { STARSTACK_MODEL: _, ...environment } = process.env;
  const model = options.model === undefined ? models.a : options.model;
  const child = spawn(process.execPath, [main, ...words], {
    cwd,
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
