import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { smallBatch, smallTask } from '../../test/training/small-task.ts';
import { openSafetensors } from '../checkpoint/safetensors.ts';
import { Runtime } from '../runtime/index.ts';
import type { TrainerSettings } from './recipe.ts';
import type { TrainingTask } from './task.ts';
import { type TrainOptions, train } from './trainer.ts';
import type { TrainingEvent, TrainingResult } from './training-events.ts';

let runtime: Runtime;
let root: string;
let folders = 0;
beforeAll(async () => {
  runtime = await Runtime.create({ device: 'cpu', threads: 1 });
  root = await mkdtemp(join(tmpdir(), 'starstack-training-'));
});
afterAll(async () => {
  await runtime.dispose();
  await rm(root, { recursive: true, force: true });
});

const settings: TrainerSettings = {
  steps: 20,
  learningRate: 0.02,
  warmupSteps: 3,
  ema: 0.9,
  saveEvery: 5,
  logEvery: 1,
};
const newFolder = () => join(root, String(folders++));

interface Followed {
  readonly events: TrainingEvent[];
  readonly result: TrainingResult;
}

async function follow(
  task: TrainingTask,
  own: TrainerSettings,
  options: TrainOptions,
  onEvent: (event: TrainingEvent) => void = () => {},
): Promise<Followed> {
  const events: TrainingEvent[] = [];
  const going = train(task, own, { runtime, ...options });
  for (;;) {
    const { done, value } = await going.next();
    if (done) return { events, result: value };
    events.push(value);
    onEvent(value);
  }
}

const lossesOf = ({ events }: { events: readonly TrainingEvent[] }) =>
  events.flatMap((event) => (event.type === 'step-end' ? [event.loss] : []));

/** Bytes of the tensors of a saved training. */
async function tensorsOf(checkpoint: string): Promise<Record<string, string>> {
  const names = (await readdir(checkpoint)).filter((name) => name.endsWith('.safetensors'));
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, (await readFile(join(checkpoint, name))).toString('hex')])),
  );
}

let unbroken: Promise<Followed> | undefined;
const wholeRun = () => {
  unbroken ??= follow(smallTask(), settings, { folder: newFolder() });
  return unbroken;
};

/** Stops after `step` by the signal. */
async function stopAt(step: number, own: TrainerSettings, folder: string): Promise<Followed> {
  const abort = new AbortController();
  return follow(smallTask(), own, { folder, signal: abort.signal }, (event) => {
    if (event.type === 'step-end' && event.step === step) abort.abort();
  });
}

describe('train', () => {
  it('learns, and tells of every step', async () => {
    const { events, result } = await wholeRun();
    const losses = lossesOf({ events });
    expect(losses.length).toBe(20);
    expect(losses.slice(15).reduce((a, b) => a + b)).toBeLessThan(losses.slice(0, 5).reduce((a, b) => a + b));
    expect(result).toMatchObject({ step: 20, stopped: 'finished' });
    expect(events[0]).toMatchObject({ type: 'training-started', step: 0, steps: 20, resumedFrom: undefined });
    expect(events.filter(({ type }) => type === 'checkpoint-saved').length).toBe(4);
  });

  it('gives bit for bit the same when it was stopped and resumed', async () => {
    const folder = newFolder();
    const first = await stopAt(8, settings, folder);
    expect(first.result).toMatchObject({ step: 8, stopped: 'aborted' });
    const second = await follow(smallTask(), settings, { folder, resume: true });
    expect(second.events[0]).toMatchObject({ type: 'training-started', step: 8, warnings: [] });
    const whole = await wholeRun();
    expect([...lossesOf(first), ...lossesOf(second)]).toEqual(lossesOf(whole));
    expect(await tensorsOf(second.result.checkpoint)).toEqual(await tensorsOf(whole.result.checkpoint));
    const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).step)).toEqual(Array.from({ length: 20 }, (_, step) => step + 1));
  });

  it('gives bit for bit the same with several steps a run', async () => {
    const packed = await follow(smallTask(), { ...settings, stepsPerRun: 5 }, { folder: newFolder() });
    const whole = await wholeRun();
    expect(lossesOf(packed)).toEqual(lossesOf(whole));
    expect(await tensorsOf(packed.result.checkpoint)).toEqual(await tensorsOf(whole.result.checkpoint));
  });

  it('stops at a step that is not finite, keeps its batch and the state before it', async () => {
    const folder = newFolder();
    const failing = follow(smallTask({ brokenFrom: 7 }), settings, { folder });
    await expect(failing).rejects.toMatchObject({ code: 'step_not_finite', details: { step: 8, savedStep: 7 } });
    await using batch = await openSafetensors(join(folder, 'failed-step-00000008.safetensors'));
    const { x, y } = smallBatch(7, 4, true).feeds;
    expect((await batch.read('x')).data).toEqual(x!.data);
    expect((await batch.read('y')).data).toEqual(y!.data);
    // With sound data the training goes on as if nothing had been.
    const repaired = await follow(smallTask(), settings, { folder, resume: true });
    expect(lossesOf(repaired)).toEqual(lossesOf(await wholeRun()).slice(7));
  });

  it('passes over a damaged checkpoint', async () => {
    const folder = newFolder();
    await stopAt(10, settings, folder);
    const broken = join(folder, 'checkpoints', 'step-00000010', 'weights.safetensors');
    const bytes = await readFile(broken);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(broken, bytes);
    const resumed = await follow(smallTask(), { ...settings, keep: 1 }, { folder, resume: true });
    expect(resumed.events[0]).toMatchObject({ type: 'checkpoint-skipped', reason: expect.stringMatching(/SHA-256/) });
    expect(resumed.events[1]).toMatchObject({ type: 'training-started', step: 5 });
    const whole = await wholeRun();
    expect(lossesOf(resumed)).toEqual(lossesOf(whole).slice(5));
    expect(await readdir(join(folder, 'checkpoints'))).toEqual(['damaged-step-00000010', 'step-00000020']);
  });
});
