import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  configurationHash,
  differingKeys,
  listSavedTrainings,
  openNewestTraining,
  openTraining,
  removeLeftovers,
  type StateTensor,
  saveTraining,
} from './saved-training.ts';

let root: string;
let folders = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'starstack-saved-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));
const newFolder = () => join(root, String(folders++), 'checkpoints');

const place = (step: number) => ({
  ...{ step, samples: 4 * step, stage: 'small', seed: 3, threads: 2, cursor: { file: 'a', row: 7 } },
  configuration: { clipNorm: Infinity, data: ['a', 'b'] },
});

function tensor(name: string, ...values: number[]): StateTensor {
  const shape = [values.length];
  const value = { dtype: 'float32', shape, data: Float32Array.from(values) } as const;
  return { name, dtype: 'float32', shape, read: async () => value };
}

const tensors = [
  tensor('weight.a', 1, 2),
  tensor('first_moment.a', 3, 4),
  tensor('average.a', 5, Number.NaN),
  tensor('task.counts', 6),
];

describe('a saved training', () => {
  it('comes back as it was', async () => {
    const folder = newFolder();
    const { path, bytes } = await saveTraining(folder, place(12), tensors, 3);
    expect(path).toBe(join(folder, 'step-00000012'));
    const names = ['average', 'optimizer', 'task', 'weights'].map((name) => `${name}.safetensors`);
    expect(await readdir(path)).toEqual([names[0], 'manifest.json', ...names.slice(1)]);
    const saved = await openTraining(path);
    expect(saved.manifest).toMatchObject({ ...place(12), configuration: { clipNorm: 'Infinity', data: ['a', 'b'] } });
    expect(Object.values(saved.manifest.files).reduce((sum, file) => sum + file.bytes, 0)).toBe(bytes);
    expect(differingKeys(saved.manifest.configuration, place(12).configuration)).toEqual([]);
    for (const { name, read } of tensors) expect(await saved.read(name)).toEqual(await read());
    expect(saved.taskNames).toEqual(['counts']);
  });

  it.each<[string, (path: string) => Promise<unknown>, RegExp]>([
    ['a missing manifest', (path) => rm(join(path, 'manifest.json')), /manifest\.json cannot be read/],
    ['a cut manifest', (path) => truncate(join(path, 'manifest.json'), 90), /manifest\.json is damaged/],
    ['another kind of manifest', (path) => writeFile(join(path, 'manifest.json'), '{"format":"x"}'), /is damaged/],
    ['a missing file', (path) => rm(join(path, 'average.safetensors')), /average\.safetensors cannot be read/],
    ['a cut file', (path) => truncate(join(path, 'optimizer.safetensors'), 80), /has 80 bytes, expected \d+$/],
    [
      'a bit that fell over',
      async (path) => {
        const bytes = await readFile(join(path, 'weights.safetensors'));
        bytes[bytes.length - 3]! ^= 8;
        await writeFile(join(path, 'weights.safetensors'), bytes);
      },
      /weights\.safetensors is damaged/,
    ],
  ])('is passed over with %s', async (_, damage, reason) => {
    const folder = newFolder();
    await saveTraining(folder, place(9), tensors, 3);
    const { path } = await saveTraining(folder, place(10), tensors, 3);
    await damage(path);
    const skipped: [string, string][] = [];
    const found = await openNewestTraining(folder, (...one) => skipped.push(one));
    expect(found?.manifest.step).toBe(9);
    expect(skipped).toEqual([[path, expect.stringMatching(reason)]]);
  });

  it('leaves nothing of a save that failed, and what was before', async () => {
    const folder = newFolder();
    await saveTraining(folder, place(1), tensors, 1);
    const failing = {
      ...tensor('first_moment.b', 1),
      read: async () => {
        throw new Error('no space');
      },
    };
    await expect(saveTraining(folder, place(2), [...tensors, failing], 1)).rejects.toThrow('no space');
    expect(await readdir(folder)).toEqual(['step-00000001']);
  });

  it('is none while it is being written; leftovers of killed processes go', async () => {
    const folder = newFolder();
    await saveTraining(folder, place(1), tensors, 1);
    for (const name of ['.step-00000002.tmp', '.step-00000001.old.tmp']) await mkdir(join(folder, name));
    await writeFile(join(folder, 'notes.txt'), 'mine');
    expect(await listSavedTrainings(folder)).toEqual(['step-00000001']);
    await removeLeftovers(folder);
    expect((await readdir(folder)).sort()).toEqual(['notes.txt', 'step-00000001']);
  });

  it('is sorted by its step, not its name', async () => {
    const folder = newFolder();
    for (const step of [99_999_999, 100_000_000, 5]) await saveTraining(folder, place(step), tensors, 3);
    expect(await listSavedTrainings(folder)).toEqual(['step-100000000', 'step-99999999', 'step-00000005']);
    expect(await listSavedTrainings(join(folder, 'none'))).toEqual([]);
  });
});

describe('configurations', () => {
  it('are the same whatever the order of their keys', () => {
    expect(configurationHash({ a: 1, b: { c: 2, d: 3 } })).toBe(configurationHash({ b: { d: 3, c: 2 }, a: 1 }));
    expect(configurationHash({ a: [1, 2] })).not.toBe(configurationHash({ a: [2, 1] }));
    expect(configurationHash({ a: Infinity })).not.toBe(configurationHash({ a: null }));
  });

  it('differ in keys with their paths', () => {
    const a = { same: 1, inner: { x: 1, list: [1, 2] }, gone: true };
    const b = { same: 1, inner: { x: 2, list: [1, 3, 4] }, fresh: null };
    expect(differingKeys(a, b)).toEqual(['fresh', 'gone', 'inner.list.1', 'inner.list.2', 'inner.x']);
  });
});
