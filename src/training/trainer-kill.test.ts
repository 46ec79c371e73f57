/** The promise that costs most when it is broken: a training that was killed goes on as if it had not been. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { killedSettings, smallTask } from '../../test/training/small-task.ts';
import { Runtime } from '../runtime/index.ts';
import { train } from './trainer.ts';
import type { TrainingEvent } from './training-events.ts';

const child = fileURLToPath(new URL('../../test/training/train-child.ts', import.meta.url));
const loader = new URL('../runtime/typescript-loader.mjs', import.meta.url).href;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'starstack-killed-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Life {
  readonly events: TrainingEvent[];
  /** A checkpoint was half written when the process died. */
  readonly diedSaving: boolean;
}

type Kill = (
  | { readonly when: 'after a step' }
  /** Some milliseconds after a checkpoint begins to be written. */
  | { readonly when: 'saving'; readonly delay: number }
) & { readonly step: number };

/** Runs the training in a process of its own; without `kill` to its end. */
async function live(folder: string, kill?: Kill): Promise<Life> {
  const checkpoints = join(folder, 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  const running = spawn(process.execPath, ['--import', loader, child, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(running, 'exit');
  const events: TrainingEvent[] = [];
  const stepsDone = () => events.reduce((most, event) => ('step' in event ? Math.max(most, event.step) : most), 0);
  const watcher = watch(checkpoints, (_, name) => {
    if (kill?.when !== 'saving' || stepsDone() < kill.step || !/^\.step-\d+\.tmp$/.test(name ?? '')) return;
    watcher.close();
    if (kill.delay === 0) running.kill('SIGKILL');
    else setTimeout(() => running.kill('SIGKILL'), kill.delay);
  });
  for await (const line of createInterface({ input: running.stdout })) {
    events.push(JSON.parse(line) as TrainingEvent);
    if (kill?.when === 'after a step' && stepsDone() >= kill.step) running.kill('SIGKILL');
  }
  watcher.close();
  const [code, signal] = await ended;
  expect(kill ? signal : code).toBe(kill ? 'SIGKILL' : 0);
  const left = await readdir(checkpoints);
  return { events, diedSaving: left.some((name) => /^\.step-\d+\.tmp$/.test(name)) };
}

async function filesOf(checkpoint: string): Promise<Record<string, string>> {
  const names = await readdir(checkpoint);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, (await readFile(join(checkpoint, name))).toString('hex')])),
  );
}

it('gives bit for bit the same after it was killed at any moment, also while it saved', async () => {
  const folder = join(root, 'killed');
  const lives = [
    await live(folder, { when: 'after a step', step: 7 }),
    await live(folder, { when: 'saving', step: 18, delay: 3 }),
    await live(folder, { when: 'saving', step: 26, delay: 0 }),
  ];
  // On a busy machine the signal can come after the save.
  for (let step = 32; step < 50 && !lives.some(({ diedSaving }) => diedSaving); step += 6) {
    lives.push(await live(folder, { when: 'saving', step, delay: 0 }));
  }
  lives.push(await live(folder));
  expect(lives.some(({ diedSaving }) => diedSaving)).toBe(true);
  expect(lives.slice(1).every(({ events }) => events[0]!.type === 'training-started')).toBe(true);

  const expected: number[] = [];
  await using runtime = await Runtime.create({ device: 'cpu', threads: 1 });
  for await (const event of train(smallTask(), killedSettings, { folder: join(root, 'whole'), runtime })) {
    if (event.type === 'step-end') expected.push(event.loss);
  }
  // Steps that were done again after a kill gave the same again.
  for (const { events } of lives) {
    for (const event of events) if (event.type === 'step-end') expect(event.loss).toBe(expected[event.step - 1]);
  }
  const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).loss)).toEqual(expected);
  // Weights, moments, averages, cursor and hashes: every byte, the manifest's too.
  const last = join('checkpoints', 'step-00000060');
  expect(await filesOf(join(folder, last))).toEqual(await filesOf(join(root, 'whole', last)));
  expect(await readdir(join(folder, 'checkpoints'))).toEqual(['step-00000058', 'step-00000060']);
}, 180_000);
