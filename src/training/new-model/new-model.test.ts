import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOf } from '../../../test/tensor-bytes.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { openModelFolder } from '../../models/star/folder.ts';
import { Star } from '../../tasks/star.ts';
import { configurationsOf } from './configurations.ts';
import { createModelFolder } from './new-model.ts';
import { saveModel } from './save-model.ts';
import { type ModelSettings, parseModelSettings } from './settings.ts';
import { baseOfStack, initialiseStack } from './stack-start.ts';
import { startValue } from './start-value.ts';
import { trainTokenizer } from './tokenizer-file.ts';

const settings: ModelSettings = {
  name: 'small',
  text: { hiddenSize: 32, intermediateSize: 48, layers: 3, heads: 2, keyValueHeads: 1, vocabularySize: 320 },
  vision: { depth: 2, hiddenSize: 16, intermediateSize: 24, heads: 2, patchSize: 4 },
  tokenizer: { gridSize: 4, codebookSize: 64, codebookDim: 8, ch: 32, chMult: [1, 1, 1], zChannels: 16, heads: 2 },
  stacks: [2],
};
const names = {
  base: 'llm.model.layers.0.mlp.up_proj.weight',
  stack: 'stacked_ar.model.layers.0.self_attn.q_proj.weight',
  norm: 'pixel_encoder.encoder.norm_out.weight',
};

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'starstack-new-model-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const create = (name: string, changes: Partial<ModelSettings> = {}, seed = 1) =>
  createModelFolder(path.join(root, name), { ...settings, ...changes }, { texts: ['a red cup', 'a red cup'], seed });

describe('a new model', () => {
  test('loads, draws, edits and answers', async () => {
    const { folder } = await create('whole');
    await using star = await Star.load(folder, { device: 'cpu' });
    const drawn = await star.generate('a red cup', { seed: 3 });
    const [image] = drawn.images;
    expect([image!.width, image!.height, image!.tokens.length]).toEqual([16, 16, 16]);
    const picture: RgbImage = { width: 9, height: 5, data: new Uint8Array(9 * 5 * 3).fill(200) };
    const edited = await star.edit(picture, 'make it red', { seed: 3 });
    expect(edited.images[0]!.tokens).toHaveLength(16);
    const { tokenIds } = await star.understand(picture, 'what is it?', { maxNewTokens: 4 });
    expect(tokenIds.length).toBeGreaterThan(0);
  });

  test('says how it is best drawn with', async () => {
    const sampling = { generate: { guidance: 2, topK: 0, temperature: 0.9 }, edit: { topP: 0.5 } };
    const samplingOf = async ({ folder }: { readonly folder: string }) => (await openModelFolder(folder)).star.sampling;
    expect(await samplingOf(await create('sampled', { sampling }))).toMatchObject(sampling);
    expect(await samplingOf(await create('plain'))).toEqual({ generate: {}, edit: {} });
  });

  test('is the same again from the same seed, and another from another', async () => {
    const files = await Promise.all([create('first'), create('second'), create('third', {}, 2)]);
    const [first, second, third] = await Promise.all(files.map(({ checkpointFile }) => readFile(checkpointFile)));
    expect(second!.equals(first!)).toBe(true);
    expect(third!.equals(first!)).toBe(false);
  });

  test('holds what its settings say, several stacks among it', async () => {
    const { folder, parameters, parts } = await create('stacks', { stacks: [2, 1], dtype: 'float32' });
    const { star, qwen, generation } = await openModelFolder(folder);
    expect(star.stackedAr).toEqual([
      { numLayers: 2, tasks: ['generate', 'edit'] },
      { numLayers: 1, tasks: ['generate', 'edit'] },
    ]);
    expect(star.pixelEncoder).toMatchObject({ imageSize: 16, downsampling: 4, codebookSize: 64 });
    expect(qwen.vision).toMatchObject({ patchSize: 4, windowSize: 32, fullAttentionBlocks: [0, 1] });
    expect(qwen.text.mropeSection).toEqual([2, 3, 3]);
    expect(generation.doSample).toBe(false);
    expect([...parts.values()].reduce((a, b) => a + b)).toBe(parameters);
  });

  test('is never written into a folder that holds something', async () => {
    const { folder } = await create('taken');
    const before = await stat(path.join(folder, 'STAR_small.json'));
    await expect(create('taken')).rejects.toThrow(/taken: expected an empty folder or none; choose another place/);
    expect((await stat(path.join(folder, 'STAR_small.json'))).mtimeMs).toBe(before.mtimeMs);
  });
});

describe('bad settings give one clear line', () => {
  const cases: [string, unknown, RegExp][] = [
    [
      'an unknown key',
      { ...settings, text: { ...settings.text, layer: 3 } },
      /^model settings: text\.layer: no such setting$/,
    ],
    ['nothing for a size', { ...settings, stacks: undefined }, /^model settings: stacks: .*got nothing$/],
    [
      'a small vocabulary',
      { ...settings, text: { ...settings.text, vocabularySize: 100 } },
      /text\.vocabularySize: .*got 100$/,
    ],
    [
      'heads',
      { ...settings, text: { ...settings.text, heads: 5 } },
      /config\.json\), num_attention_heads: expected a divisor/,
    ],
    [
      'channels',
      { ...settings, tokenizer: { ...settings.tokenizer, ch: 48 } },
      /pixel_encoder\.ch: expected a multiple of 32/,
    ],
    [
      'blocks',
      { ...settings, vision: { ...settings.vision, fullAttentionBlocks: [7] } },
      /fullatt_block_indexes: expected/,
    ],
    ['a path', { ...settings, name: '../x' }, /^model settings: name: expected letters/],
  ];
  test.each(cases)('%s', async (_, bad, message) => {
    const folder = path.join(root, 'bad');
    const error = await createModelFolder(folder, bad as ModelSettings).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error?.message).toMatch(message);
    expect(error?.message).not.toContain('\n');
    expect(await readdir(root)).not.toContain('bad');
  });
});

describe('start values', () => {
  const config = configurationsOf(parseModelSettings(settings), trainTokenizer([], { vocabularySize: 320 }));
  const deviation = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);

  test('have the deviations of the field', () => {
    const value = (name: string, shape: number[]) => startValue(name, shape, config, 0);
    expect(deviation(value(names.base, [200, 100]))).toBeCloseTo(0.02, 3);
    const end = deviation(value('llm.model.layers.0.mlp.down_proj.weight', [200, 100]));
    expect(end).toBeCloseTo(0.02 / Math.sqrt(6), 3);
    expect(deviation(value('stacked_ar.model.layers.1.self_attn.o_proj.weight', [200, 100]))).toBeCloseTo(0.01, 3);
    expect(deviation(value('pixel_encoder.encoder.conv_in.weight', [500, 3, 3, 3]))).toBeCloseTo(1 / Math.sqrt(81), 2);
    expect(Math.max(...value('pixel_encoder.quantize.embedding.weight', [64, 8]))).toBeLessThanOrEqual(1 / 64);
    expect([...value(names.norm, [3])]).toEqual([1, 1, 1]);
    expect([...value('pixel_output_head.bias', [3])]).toEqual([0, 0, 0]);
  });

  test('differ by name, and do not depend on the length', () => {
    const first = startValue(names.base, [10, 10], config, 5);
    expect(startValue(names.base, [5, 10], config, 5)).toEqual(first.subarray(0, 50));
    expect(startValue(names.stack, [10, 10], config, 5)).not.toEqual(first);
  });
});

describe('saving', () => {
  test('replaces what is given and keeps every other byte', async () => {
    const { checkpointFile, folder } = await create('saved');
    const before = await bytesOf(checkpointFile);
    const value = Float32Array.from({ length: before.get(names.base)!.length / 2 }, (_, index) => index);
    await saveModel(folder, new Map([[names.base, () => value]]), { dtype: 'float32' });
    const after = await bytesOf(checkpointFile);
    expect(after.get(names.base)).toEqual(Buffer.from(value.buffer));
    after.delete(names.base);
    before.delete(names.base);
    expect(after).toEqual(before);
    expect((await readdir(path.dirname(checkpointFile))).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  test('of nothing, or of what is there, writes the same file', async () => {
    const { checkpointFile, folder } = await create('kept');
    const before = await readFile(checkpointFile);
    await saveModel(folder, new Map());
    expect((await readFile(checkpointFile)).equals(before)).toBe(true);
    await using checkpoint = await openCheckpoint(checkpointFile);
    const all = [...checkpoint.entries.keys()].map((name) => {
      return [name, async () => (await checkpoint.readFloat32(name)).data] as const;
    });
    await saveModel(folder, new Map(all));
    expect((await readFile(checkpointFile)).equals(before)).toBe(true);
  });

  test('refuses what the model does not hold and leaves the file alone', async () => {
    const { checkpointFile, folder } = await create('refused');
    const before = await readFile(checkpointFile);
    const save = (name: string, length: number) => saveModel(folder, new Map([[name, new Float32Array(length)]]));
    await expect(save('llm.other', 1)).rejects.toThrow(/the model has no parameter llm\.other/);
    await expect(save(names.norm, 3)).rejects.toThrow(/norm_out\.weight: expected 32 numbers for shape \[32\], got 3/);
    expect((await readFile(checkpointFile)).equals(before)).toBe(true);
  });

  test('puts the base’s last layers into the stack, bit by bit', async () => {
    const { checkpointFile, folder } = await create('stacked');
    const before = await bytesOf(checkpointFile);
    await saveModel(folder, await initialiseStack(folder));
    const after = await bytesOf(checkpointFile);
    const config = await openModelFolder(folder);
    expect(baseOfStack(names.stack, config)).toBe('llm.model.layers.1.self_attn.q_proj.weight');
    expect(baseOfStack('stacked_ar.model.norm.weight', config)).toBe('llm.model.norm.weight');
    let copied = 0;
    for (const [name, bytes] of after) {
      const source = baseOfStack(name, config);
      if (source !== undefined) copied++;
      expect(bytes.equals(before.get(source ?? name)!), name).toBe(true);
    }
    expect(copied).toBe(2 * 12 + 1);
    expect(after.get(names.stack)!.equals(before.get(names.stack)!)).toBe(false);
  });
});
