import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { WeightReader } from '../../models/file-weights.ts';
import { openModelFolder } from '../../models/star/folder.ts';
import { openStarWeights } from '../../models/star/weights.ts';
import { Star } from '../../tasks/star.ts';
import { type DerivedModelSettings, deriveModelFolder } from './derive-model.ts';

const source = referencePath('tiny-a', '.');
let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'starstack-derive-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Names of the parameters by part, and whether their values are the source's. */
async function derive(name: string, settings: Partial<DerivedModelSettings>) {
  const folder = path.join(root, name);
  await deriveModelFolder(folder, { from: source, ...settings }, 3);
  const [ours, theirs] = await Promise.all(
    [folder, source].map(async (each) => openStarWeights(await openModelFolder(each))),
  );
  await using own = new WeightReader(ours!);
  await using given = new WeightReader(theirs!);
  const parts = [
    ['llm.', 'base'],
    ['stacked_ar.', 'stack'],
    ['pixel_output_head.', 'head'],
    ['pixel_adapter.', 'adapter'],
    ['pixel_encoder.', 'tokenizer'],
  ] as const;
  const kept: Record<string, boolean> = {};
  for (const [prefix, part] of parts) {
    const names = [...ours!.entries.keys()]
      .filter((each) => each.startsWith(prefix) && each.endsWith('weight'))
      .slice(-6);
    expect(names.length).toBeGreaterThan(0);
    const equal = await Promise.all(
      names.map(async (each) => {
        if (!theirs!.entries.has(each)) return false;
        const [a, b] = [await own.read(each), await given.read(each)];
        return a.length === b.length && a.every((value, at) => value === b[at]);
      }),
    );
    kept[part] = equal.every(Boolean);
  }
  return { folder, kept };
}

describe('a model derived from another', () => {
  test('has new stacks and head on the same base, tokenizer and adapter; it draws and answers', async () => {
    const { folder, kept } = await derive('deeper', { stacks: [1, { layers: 1, tasks: ['edit'] }] });
    expect(kept).toEqual({ base: true, tokenizer: true, adapter: true, stack: false, head: false });
    const { star } = await openModelFolder(folder);
    expect(star.stackedAr.map(({ numLayers }) => numLayers)).toEqual([1, 1]);
    await using derived = await Star.load(folder, { device: 'cpu' });
    await using original = await Star.load(source, { device: 'cpu' });
    const { images } = await derived.generate('a cup', { seed: 1 });
    const answers = [derived, original].map((each) => each.understand(images[0]!, 'What is it?', { maxNewTokens: 6 }));
    const [ours, theirs] = await Promise.all(answers);
    expect(ours!.tokenIds).toEqual(theirs!.tokenIds);
  });

  test('with a codebook of its own has a new tokenizer and adapter too', async () => {
    const { folder, kept } = await derive('codes', { codebookSize: 40 });
    expect(kept).toEqual({ base: true, tokenizer: false, adapter: false, stack: false, head: false });
    expect((await openModelFolder(folder)).star.pixelEncoder.codebookSize).toBe(40);
    await using derived = await Star.load(folder, { device: 'cpu' });
    const { images } = await derived.generate('a cup', { seed: 1 });
    expect(Math.max(...images[0]!.tokens)).toBeLessThan(40);
  });

  test('is not written over anything, and needs a model', async () => {
    await expect(deriveModelFolder(source, { from: source })).rejects.toThrow(/expected an empty folder or none/);
    await expect(deriveModelFolder(path.join(root, 'none'), { from: root })).rejects.toThrow(/STAR_<name>\.json/);
  });
});
