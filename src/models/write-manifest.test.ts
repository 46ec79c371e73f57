import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { manifestName, manifestSchema } from './model-manifest.ts';
import { writeManifest } from './write-manifest.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'manifest-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('lists the files of all folders, and not itself or what is for people', async () => {
  await mkdir(path.join(folder, 'checkpoints'));
  await writeFile(path.join(folder, 'checkpoints/a.safetensors'), 'abc');
  await writeFile(path.join(folder, 'README.md'), 'about');
  await writeFile(path.join(folder, '.hidden'), 'x');
  const manifest = await writeManifest(folder);
  expect(manifest.files).toEqual([
    {
      path: 'checkpoints/a.safetensors',
      size: 3,
      sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    },
  ]);
  expect(await writeManifest(folder)).toEqual(manifest);
  expect(JSON.parse(await readFile(path.join(folder, manifestName), 'utf8'))).toEqual(manifest);
});

it.each(['../a', 'a/../b', '/a', './a', 'a//b', '..', 'https://else.where/a', 'a?b', 'a\\b'])(
  'refuses the path %s',
  (name) => {
    const file = { path: name, size: 1, sha256: '0'.repeat(64) };
    expect(manifestSchema.safeParse({ version: 1, files: [file] }).success).toBe(false);
  },
);
