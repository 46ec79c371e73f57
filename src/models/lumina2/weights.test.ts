import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { nodeFiles } from '../../checkpoint/node-files.ts';
import { writeSafetensors } from '../../checkpoint/safetensors-writer.ts';
import type { Declare } from '../../nn/parameters.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { compile } from '../../tensor/index.ts';
import { readJsonFile } from '../config-file.ts';
import { openLumina2Folder, type WeightedPart } from './folder.ts';
import { declareVae } from './vae.ts';
import { parseVaeConfig } from './vae-config.ts';
import { openPartWeights, overlayPrefixes } from './weights.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lumina2-weights-'));
});
afterEach(() => rm(folder, { recursive: true }));

const at = (name: string) => path.join(folder, name);
const prefix = overlayPrefixes.transformer;

type Tensors = Readonly<Record<string, { readonly shape: readonly number[]; readonly value: number }>>;

/** A file of tensors that are one value throughout. */
async function write(name: string, tensors: Tensors): Promise<string> {
  const list = Object.entries(tensors).map(([tensor, { shape, value }]) => {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value);
    return { name: tensor, dtype: 'float32' as const, shape, data };
  });
  await writeSafetensors(at(name), list);
  return at(name);
}

function partOf(weightsFile: string): WeightedPart {
  return { folder, configFile: at('config.json'), weightsFile, weightFiles: [weightsFile] };
}

/** Declares parameters of these shapes. */
const declaring = (shapes: Readonly<Record<string, readonly number[]>>) => (declare: Declare) => {
  for (const [name, shape] of Object.entries(shapes)) declare(name, shape);
};

const own: Tensors = {
  'embedder.weight': { shape: [2, 3], value: 1 },
  'embedder.bias': { shape: [2], value: 2 },
  'block.weight': { shape: [4], value: 3 },
};
const star: Tensors = {
  [`${prefix}.embedder.weight`]: { shape: [2, 5], value: 10 },
  [`${prefix}.refiner.weight`]: { shape: [1], value: 20 },
  [`${prefix}_other.x`]: { shape: [1], value: 30 },
  'llm.embedder.bias': { shape: [2], value: 40 },
};

describe('a STAR checkpoint over the folder', () => {
  const shapes = {
    'embedder.weight': [2, 5],
    'embedder.bias': [2],
    'block.weight': [4],
    'refiner.weight': [1],
  };

  test('its tensors win, widened or new; the folder gives the others', async () => {
    const part = partOf(await write('part.safetensors', own));
    const overlay = { file: await write('star.safetensors', star), prefix };
    const weights = await openPartWeights(part, declaring(shapes), { files: nodeFiles, folder, overlay });
    expect([...weights.entries.keys()]).toEqual(Object.keys(shapes));
    const values = await Promise.all(Object.keys(shapes).map((name) => weights.read(name)));
    expect(values.map((each) => [...each])).toEqual([new Array(10).fill(10), [2, 2], [3, 3, 3, 3], [20]]);
    // The same numbers where programs read them.
    await using runtime = await Runtime.create({ device: 'cpu', threads: 1 });
    const outputs = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, weights.declare(name, shape)]),
    );
    await using session = await runtime.load(compile({ name: 'weights', inputs: [], outputs }), {
      weightsFolder: weights.folder,
    });
    const read = await session.run({});
    expect(Object.keys(shapes).map((name) => read[name]!.data)).toEqual(values);
  });

  test('without it the folder is what it is', async () => {
    const part = partOf(await write('part.safetensors', own));
    const failure = openPartWeights(part, declaring(shapes), { files: nodeFiles, folder });
    await expect(failure).rejects.toMatchObject({ name: 'CheckpointError', code: 'checkpoint_mismatch' });
    await expect(failure).rejects.toThrow(
      /1 missing: "refiner\.weight"; 1 of another shape: "embedder\.weight: .*2,5.*2,3/,
    );
  });

  test('a fault names the tensor as its file does', async () => {
    const part = partOf(await write('part.safetensors', own));
    const overlay = { file: await write('star.safetensors', star), prefix };
    const { 'refiner.weight': _, ...fewer } = shapes;
    const failure = openPartWeights(part, declaring({ ...fewer, 'block.weight': [5] }), {
      files: nodeFiles,
      folder,
      overlay,
    });
    await expect(failure).rejects.toThrow(
      `1 unexpected: "${prefix}.refiner.weight"; 1 of another shape: "block.weight: `,
    );
  });

  test('the published one carries a whole autoencoder', async () => {
    const checkpoints = referencePath('tiny-a', 'checkpoints');
    const { vae } = await openLumina2Folder(nodeFiles, path.join(checkpoints, 'lumina-image2-tiny'));
    const config = parseVaeConfig(await readJsonFile(vae.configFile), vae.configFile);
    const overlay = { file: path.join(checkpoints, 'STAR-tiny.pt'), prefix: overlayPrefixes.vae };
    const { entries, warnings } = await openPartWeights(vae, (declare) => declareVae(declare, config), {
      files: nodeFiles,
      folder: checkpoints,
      overlay,
    });
    expect(entries.size).toBe(176);
    expect(new Set([...entries.values()].map(({ file }) => file))).toEqual(new Set([overlay.file]));
    expect(warnings).toEqual([]);
  });
});

describe('a part of the folder', () => {
  test('in several files', async () => {
    const { 'block.weight': block, ...embedder } = own;
    await write('1.safetensors', embedder);
    await write('2.safetensors', { 'block.weight': block! });
    const weight_map = {
      'embedder.weight': '1.safetensors',
      'embedder.bias': '1.safetensors',
      'block.weight': '2.safetensors',
    };
    await writeFile(at('model.safetensors.index.json'), JSON.stringify({ weight_map }));
    const shapes = Object.fromEntries(Object.entries(own).map(([name, { shape }]) => [name, shape]));
    const weights = await openPartWeights(partOf(at('model.safetensors.index.json')), declaring(shapes), {
      files: nodeFiles,
      folder,
    });
    expect(weights.entries.get('block.weight')!.file).toBe(at('2.safetensors'));
    expect([...(await weights.read('block.weight'))]).toEqual([3, 3, 3, 3]);
    expect([...(await weights.read('embedder.bias'))]).toEqual([2, 2]);
  });

  test('under other names, with tensors that the part does without', async () => {
    const part = partOf(await write('part.safetensors', own));
    const weights = await openPartWeights(part, declaring({ weight: [2, 3], bias: [2] }), {
      files: nodeFiles,
      folder,
      rename: (name) => name.replace(/^embedder\./, ''),
      ignore: (name) => name.startsWith('block.'),
    });
    expect([...weights.entries].map(([name, entry]) => [name, entry.name])).toEqual([
      ['weight', 'embedder.weight'],
      ['bias', 'embedder.bias'],
    ]);
    expect([...(await weights.read('bias'))]).toEqual([2, 2]);
  });

  test('tensors that do not lie row by row travel inside the program', async () => {
    const views = fileURLToPath(new URL('../../../test/checkpoints/views.pt', import.meta.url));
    await copyFile(views, at('views.pt'));
    const weights = await openPartWeights(partOf(at('views.pt')), declaring({ transposed: [6, 4], base: [4, 6] }), {
      files: nodeFiles,
      folder,
      ignore: (name) => name !== 'transposed' && name !== 'base',
    });
    expect(weights.declare('transposed', [6, 4]).node.operator).toBe('constant');
    expect(weights.declare('base', [4, 6]).node.operator).toBe('weight');
    const expected = Array.from({ length: 24 }, (_, place) => (place % 4) * 6 + Math.floor(place / 4));
    expect([...(await weights.read('transposed'))]).toEqual(expected);
  });
});
