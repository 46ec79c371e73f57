import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError } from './error.ts';
import { openSafetensorsIndex } from './open.ts';
import { writeSafetensors } from './safetensors-writer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starstack-'));
  const tensor = (name: string, value: number) =>
    ({ name, dtype: 'uint8', shape: [1], data: new Uint8Array([value]) }) as const;
  await writeSafetensors(join(folder, 'one.safetensors'), [tensor('a', 1)], { format: 'pt', by: 'one' });
  await writeSafetensors(join(folder, 'two.safetensors'), [tensor('b', 2)], { format: 'pt', by: 'two' });
  await writeSafetensors(join(folder, 'both.safetensors'), [tensor('a', 1), tensor('z', 2)]);
});
afterAll(() => rm(folder, { recursive: true }));

async function openIndex(index: unknown) {
  const path = join(folder, 'model.safetensors.index.json');
  await writeFile(path, typeof index === 'string' ? index : JSON.stringify(index));
  return openSafetensorsIndex(path);
}

describe('openSafetensorsIndex', () => {
  it('reads several files as one checkpoint', async () => {
    const index = { metadata: { total_size: 2 }, weight_map: { a: 'one.safetensors', b: 'two.safetensors' } };
    await using checkpoint = await openIndex(index);
    expect(checkpoint.files).toEqual([join(folder, 'one.safetensors'), join(folder, 'two.safetensors')]);
    expect((await checkpoint.read('a')).data).toEqual(new Uint8Array([1]));
    expect((await checkpoint.read('b')).data).toEqual(new Uint8Array([2]));
    expect(Object.fromEntries(checkpoint.metadata)).toEqual({ total_size: '2', format: 'pt', by: 'one' });
    expect(checkpoint.warnings).toEqual([
      `${join(folder, 'two.safetensors')}: metadata "by" differs from the files before`,
    ]);
  });

  const many = Object.fromEntries(Array.from({ length: 513 }, (_, i) => [i, `${i}`]));
  it.each<[string, unknown, RegExp]>([
    ['a path upwards', { weight_map: { a: '../one.safetensors' } }, /without a path/],
    ['an absolute path', { weight_map: { a: '/etc/passwd' } }, /without a path/],
    ['a Windows path', { weight_map: { a: 'C:one.safetensors' } }, /without a path/],
    ['a parent', { weight_map: { a: '..' } }, /without a path/],
    ['a number', { weight_map: { a: 1 } }, /without a path/],
    ['a missing shard', { weight_map: { a: 'three.safetensors' } }, /three.safetensors: does not exist/],
    ['a tensor that is elsewhere', { weight_map: { a: 'two.safetensors' } }, /holds tensor "a", which it does not/],
    ['a tensor that is not placed', { weight_map: { a: 'both.safetensors' } }, /does not place tensor "z"/],
    ['itself as a shard', { weight_map: { a: 'model.safetensors.index.json' } }, /header claims/],
    ['no weight_map', {}, /expected an object with "weight_map"/],
    ['a repeated tensor', '{"weight_map":{"a":"one.safetensors","a":"two.safetensors"}}', /key that was there before/],
    ['metadata that is no object', { weight_map: {}, metadata: 1 }, /"metadata" must be an object/],
    ['more shards than files may be open', { weight_map: many }, /more than 512 files/],
    ['what is no JSON', 'weights', /not valid JSON/],
  ])('refuses %s', async (_, index, message) => {
    const error = await openIndex(index).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toMatch(message);
  });
});
