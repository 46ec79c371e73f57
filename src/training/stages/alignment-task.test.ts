/** The stage on a copy of a tiny model: what it trains, what it leaves alone, and that it can be taken up again. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { bytesOf } from '../../../test/tensor-bytes.ts';
import { smallDecoder, smallModel } from '../../../test/training/small-decoder.ts';
import { tinyCheckpoint as checkpointOf, copyTiny } from '../../../test/training/tiny-copy.ts';
import { openModelFolder } from '../../models/star/folder.ts';
import { openDiffusionDecoder } from '../../tasks/diffusion-decoder.ts';
import { createModelFolder } from '../new-model/new-model.ts';
import type { TrainingEvent } from '../training-events.ts';
import { planStage } from './plan.ts';
import { type TrainingRecipe, trainingRecipeSchema } from './recipe.ts';
import { runStage } from './run-stage.ts';

const prefix = 'diffusion_decoder.transformer.';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'starstack-alignment-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const copyOf = (name: string, keep?: (name: string) => boolean) => copyTiny(path.join(root, name), keep);

const settings = {
  ...{ steps: 2, batch: 2, learningRate: 0.01, seed: 3, edits: 1, resolution: 32, captionTokens: 48, heldOut: 2 },
};
const recipeOf = (model: string, changes: object = {}): TrainingRecipe =>
  trainingRecipeSchema.parse({ model, stages: { alignment: { ...settings, ...changes } } });

async function align(recipe: TrainingRecipe, folder: string, { stopAfter = Infinity, resume = false } = {}) {
  const controller = new AbortController();
  const run = runStage(recipe, 'alignment', { folder, threads: 1, resume, signal: controller.signal });
  const events: TrainingEvent[] = [];
  for (let next = await run.next(); !next.done; next = await run.next()) {
    events.push(next.value);
    if (next.value.type === 'step-end' && next.value.step >= stopAfter) controller.abort();
  }
  return { events, losses: events.flatMap((event) => (event.type === 'step-end' ? [event.loss] : [])) };
}

describe('alignment', () => {
  test('trains the transformer alone, and goes on after a stop with the same bits', async () => {
    const [whole, parted] = [await copyOf('whole'), await copyOf('parted')];
    const before = await bytesOf(checkpointOf(whole));
    const straight = await align(recipeOf(whole, { previewEvery: 2 }), path.join(root, 'straight'));
    expect(straight.losses).toHaveLength(2);
    expect(straight.losses.every(Number.isFinite)).toBe(true);
    const previews = straight.events.filter((event) => event.type === 'preview-available');
    expect(previews.map(({ step }) => step)).toEqual([2]);
    for (const { numbers, path: sheet } of previews) {
      expect(Object.keys(numbers)).toEqual([
        'held_out_loss',
        ...['held_out_loss_at_0.25', 'held_out_loss_at_0.5', 'held_out_loss_at_0.75'],
        'condition_gain',
        'drawn_psnr',
      ]);
      expect(Object.values(numbers).every(Number.isFinite)).toBe(true);
      expect((await readFile(sheet!)).length).toBeGreaterThan(100);
    }

    const after = await bytesOf(checkpointOf(whole));
    expect([...after.keys()]).toEqual([...before.keys()]);
    const changed = [...after].filter(([name, bytes]) => !bytes.equals(before.get(name)!)).map(([name]) => name);
    expect(changed).toEqual([...before.keys()].filter((name) => name.startsWith(prefix)));
    expect(changed.length).toBeGreaterThan(50);

    // Previews change nothing: this one makes none.
    const recipe = recipeOf(parted);
    const first = await align(recipe, path.join(root, 'parted-run'), { stopAfter: 1 });
    const second = await align(recipe, path.join(root, 'parted-run'), { resume: true });
    expect([...first.losses, ...second.losses]).toEqual(straight.losses);
    expect(second.losses.length).toBeGreaterThan(0);
    expect(await bytesOf(checkpointOf(parted))).toEqual(after);
  }, 600_000);

  test('adds to the checkpoint what lay in the diffusers folder alone', async () => {
    // What STAR widens or adds must be in its checkpoint.
    const own = /^diffusion_decoder\.(?!transformer\.)|^diffusion_decoder\.transformer\.(x_embedder|ori_inp_refiner)\./;
    const folder = await copyOf('added', (name) => !name.startsWith('diffusion_decoder.') || own.test(name));
    const before = await bytesOf(checkpointOf(folder));
    const there = path.join(folder, 'checkpoints/lumina-image2-tiny/transformer/diffusion_pytorch_model.safetensors');
    const bytes = await readFile(there);
    const recipe = recipeOf(folder, { steps: 1, edits: 0, captionTokens: undefined });
    const { losses } = await align(recipe, path.join(root, 'added-run'));
    expect(losses.every(Number.isFinite)).toBe(true);
    const after = await bytesOf(checkpointOf(folder));
    const added = [...after.keys()].filter((name) => !before.has(name));
    expect(added.length).toBeGreaterThan(50);
    expect(added.every((name) => name.startsWith(prefix))).toBe(true);
    expect([...before].every(([name, old]) => name.startsWith(prefix) || after.get(name)!.equals(old))).toBe(true);
    expect((await readFile(there)).equals(bytes)).toBe(true);
    const { transformer } = await openDiffusionDecoder({ folder: await openModelFolder(folder) });
    for (const { file } of transformer.weights.entries.values()) expect(file).toBe(checkpointOf(folder));
  }, 600_000);

  test('is refused before the first step where it cannot end well', async () => {
    const run = (model: string, changes?: object) => align(recipeOf(model, changes), path.join(root, 'refused'));
    const pt = referencePath('tiny-a', '.');
    await expect(run(pt)).rejects.toThrow(
      /STAR-tiny\.pt: expected a \.safetensors checkpoint; a \.pt file is read only/,
    );
    const folder = await copyOf('refusing');
    await expect(run(folder, { resolution: 24 })).rejects.toThrow(
      /resolution: expected a multiple of 16 up to 256, got 24/,
    );
    await expect(run(folder, { misreading: 0.3 })).rejects.toThrow(
      /misreading is 0\.3: expected 0 for a decoder that sees no codes beside a source/,
    );
    await expect(run(folder, { captionTokens: 64 })).rejects.toThrow(/captionTokens is 64: expected at most 63/);
    const config = path.join(folder, 'STAR_tiny.json');
    const { pixel_decoder: _, ...rest } = JSON.parse(await readFile(config, 'utf8'));
    await writeFile(config, JSON.stringify(rest));
    const message =
      /^alignment: .*STAR_tiny\.json names no pixel_decoder: this model has no diffusion decoder to train; a recipe's decoder gives it one$/;
    await expect(run(folder)).rejects.toThrow(message);
    await expect(planStage(recipeOf(folder), 'alignment')).rejects.toThrow(message);
    expect(await readdir(root)).not.toContain('refused');
  }, 60_000);

  test('tells a decoder that takes it a draft, and shows it drawn latents or their mode', async () => {
    const plain = path.join(root, 'small');
    await createModelFolder(plain, smallModel, { texts: ['a red cup'], seed: 1 });
    const losses: number[][] = [];
    const mode = { latents: 'mode' };
    for (const [source, changes] of [
      ['below', {}],
      ['below', mode],
      ['below', { ...mode, optimizer: 'muon' }],
      ['beside', mode],
      ['reference', mode],
      ['reference', { ...mode, steps: 1, misreading: 0.3 }],
    ] as const) {
      const folder = path.join(root, `small-${losses.length}`);
      await cp(plain, folder, { recursive: true });
      const recipe = trainingRecipeSchema.parse({
        model: folder,
        decoder: { ...smallDecoder, draft: true, source },
        stages: { alignment: { ...settings, steps: 3, captionTokens: 24, previewEvery: 3, ...changes } },
      });
      losses.push((await align(recipe, path.join(root, `small-run-${losses.length}`))).losses);
    }
    expect(losses.flat().every(Number.isFinite)).toBe(true);
    const [drawn = [], likeliest = [], muon = [], beside = [], reference = [], misread = []] = losses;
    expect(drawn[0]).not.toBe(likeliest[0]);
    // The first step is taken from the same weights, the second one moves what carries codes.
    expect(likeliest[0]).toBe(muon[0]);
    expect(likeliest[2]).not.toBe(muon[2]);
    // What makes the prediction starts as 0: wherever the source stands.
    expect(beside[0]).toBeCloseTo(likeliest[0]!, 5);
    expect(beside[2]).not.toBe(likeliest[2]);
    // A reference is nearer than noise.
    expect(reference[0]).toBeLessThan(beside[0]! / 2);
    expect(reference[2]).not.toBe(reference[0]);
    // An edit's codes are others then.
    expect(misread[0]).not.toBe(reference[0]);
  }, 600_000);

  test('is planned with the model’s own decoder', async () => {
    const plan = await planStage(recipeOf(referencePath('tiny-a', '.')), 'alignment');
    const trained = plan.parts.filter((part) => part.trained > 0);
    expect(trained.map(({ part }) => part)).toEqual(['diffusion transformer']);
    expect(plan.memory.trained).toBe(4 * trained[0]!.trained);
    expect(plan.parts.slice(-3).map(({ part }) => part)).toEqual([
      'diffusion transformer',
      'autoencoder',
      'text encoder',
    ]);
  });
});
