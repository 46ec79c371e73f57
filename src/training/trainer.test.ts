import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { smallBatch, smallTask } from '../../test/training/small-task.ts';
import { openSafetensors } from '../checkpoint/open.ts';
import { readImage } from '../image/decode.ts';
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

  it('saves before it passes on an error of the data', async () => {
    const folder = newFolder();
    const task: TrainingTask = {
      ...smallTask(),
      openData: async (cursor) => {
        const data = await smallTask().openData(cursor);
        const next = async () => {
          if (data.cursor().next === 7) throw new Error('the disk went away');
          return data.next();
        };
        return { ...data, next };
      },
    };
    await expect(follow(task, settings, { folder })).rejects.toThrow('the disk went away');
    const resumed = await follow(smallTask(), settings, { folder, resume: true });
    expect(lossesOf(resumed)).toEqual(lossesOf(await wholeRun()).slice(7));
  });

  it('keeps the newest checkpoints', async () => {
    const folder = newFolder();
    await follow(smallTask(), { ...settings, saveEvery: 4, keep: 2 }, { folder });
    expect(await readdir(join(folder, 'checkpoints'))).toEqual(['step-00000016', 'step-00000020']);
  });

  it('refuses a folder that has a training, and another configuration, with what differs', async () => {
    const folder = newFolder();
    await stopAt(5, settings, folder);
    await expect(follow(smallTask(), settings, { folder })).rejects.toMatchObject({ code: 'training_exists' });
    const changed = { ...settings, learningRate: 0.01, beta1: 0.8, saveEvery: 10, logEvery: 3 };
    const task = smallTask({ configuration: { data: { folder: 'other' } } });
    await expect(follow(task, changed, { folder, resume: true })).rejects.toMatchObject({
      code: 'configuration_differs',
      details: { keys: ['settings.beta1', 'settings.learningRate', 'task.data'] },
    });
    const { events } = await follow(task, changed, { folder, resume: true, allowChanges: true });
    expect(events[0]).toMatchObject({ step: 5, warnings: [expect.stringMatching(/settings\.beta1/)] });
  });

  it('goes on where the learning rate has no end', async () => {
    const folder = newFolder();
    const constant: TrainerSettings = { ...settings, schedule: 'constant' };
    const short = await follow(smallTask(), { ...constant, steps: 10 }, { folder });
    const long = await follow(smallTask(), constant, { folder, resume: true });
    const whole = await follow(smallTask(), constant, { folder: newFolder() });
    expect([...lossesOf(short), ...lossesOf(long)]).toEqual(lossesOf(whole));
  });

  it('does nothing to a finished training', async () => {
    const { result } = await wholeRun();
    const folder = join(result.checkpoint, '..', '..');
    const again = await follow(smallTask(), settings, { folder, resume: true });
    expect(again.result).toEqual(result);
    expect(again.events.map(({ type }) => type)).toEqual(['training-started']);
  });

  it('starts anew only where there is nothing to go on from', async () => {
    const folder = newFolder();
    const { result } = await follow(smallTask(), { ...settings, steps: 5 }, { folder, resume: true });
    await rm(join(result.checkpoint, 'optimizer.safetensors'));
    await expect(follow(smallTask(), settings, { folder, resume: true })).rejects.toMatchObject({
      code: 'saved_training_invalid',
      message: expect.stringMatching(/optimizer\.safetensors cannot be read/),
    });
    expect(await readdir(join(folder, 'checkpoints'))).toEqual(['step-00000005']);
  });

  it('averages weights as the formula says, and shows previews at the average', async () => {
    const name = 'second.weight';
    let expected: Float64Array | undefined;
    const folder = newFolder();
    const task: TrainingTask = {
      ...smallTask(),
      maintainEvery: 1,
      maintain: async (weights, step) => {
        expected ??= Float64Array.from(await smallTask().start(name, [16, 1]));
        const decay = Math.min(0.9, (1 + step) / (10 + step));
        const weight = await weights.read(name);
        expected = expected.map((value, index) => decay * value + (1 - decay) * weight[index]!);
        return { decay };
      },
      preview: async (weights, step) => {
        const average = await weights.read(name);
        expected!.forEach((value, index) => {
          expect(average[index]).toBeCloseTo(value, 5);
        });
        await expect(weights.write(name, average)).rejects.toMatchObject({ code: 'weights_read_only' });
        const grey = { width: 3, height: 2, data: new Uint8Array(18).fill(step) };
        return { pictures: [grey, grey], numbers: { held_out: step / 2 } };
      },
    };
    const { events } = await follow(task, { ...settings, steps: 12, previewEvery: 4 }, { folder });
    const path = join(folder, 'previews', 'step-00000008.png');
    expect(events).toContainEqual({ type: 'preview-available', step: 8, path, numbers: { held_out: 4 } });
    expect(await readImage(path)).toMatchObject({ width: 8, height: 2 });
    expect((await readFile(join(folder, 'metrics.jsonl'), 'utf8')).split('\n')).toContain(
      '{"held_out":6,"step":12,"kind":"preview"}',
    );
  });

  it('saves what maintenance replaced and the task gathered', async () => {
    const counting = (): TrainingTask => {
      let seen = 0;
      return {
        ...smallTask(),
        observe: (reported) => {
          seen += (reported.bias!.data as Float32Array)[0]!;
        },
        state: {
          save: () => ({ seen: { dtype: 'float64', shape: [], data: Float64Array.of(seen) } }),
          restore: ({ seen: saved }) => {
            seen = (saved!.data as Float64Array)[0]!;
          },
        },
        maintainEvery: 3,
        maintain: async (weights, step) => {
          const value = await weights.read('first.weight');
          const row = step % 6;
          await weights.write('first.weight', value.fill(seen / 10, 16 * row, 16 * (row + 1)), [row]);
          return { seen };
        },
      };
    };
    const whole = await follow(counting(), settings, { folder: newFolder() });
    const folder = newFolder();
    const abort = new AbortController();
    await follow(counting(), settings, { folder, signal: abort.signal }, (event) => {
      if (event.type === 'step-end' && event.step === 9) abort.abort();
    });
    const resumed = await follow(counting(), settings, { folder, resume: true });
    expect(lossesOf(resumed)).toEqual(lossesOf(whole).slice(9));
    expect(await tensorsOf(resumed.result.checkpoint)).toEqual(await tensorsOf(whole.result.checkpoint));
    expect(lossesOf(whole)).not.toEqual(lossesOf(await wholeRun()));
  });

  it('refuses batches and settings that do not fit', async () => {
    const odd: TrainingTask = {
      ...smallTask(),
      openData: async () => ({
        next: async () => smallBatch(0, 3),
        cursor: () => ({}),
        skippedCount: 0,
        [Symbol.asyncDispose]: async () => {},
      }),
    };
    await expect(follow(odd, settings, { folder: newFolder() })).rejects.toMatchObject({
      code: 'batch_invalid',
      message: 'small stage, data x: expected float32 [4, 6], got float32 [3, 6]',
    });
    const refused = follow(smallTask(), { ...settings, stepsPerRun: 3 }, { folder: newFolder() });
    await expect(refused).rejects.toMatchObject({ code: 'training_option_invalid' });
  });

  it('frees what it held', async () => {
    await wholeRun();
    expect(runtime.memory()).toEqual({ sessions: [], remote: { count: 0, bytes: 0 } });
  });
});
