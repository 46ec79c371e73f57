/** The stages of a decoder of the model's own, on a small model in the closed world. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOf } from '../../../test/tensor-bytes.ts';
import { copyTrainable } from '../../../test/trainable-model.ts';
import { smallDecoder, smallModel } from '../../../test/training/small-decoder.ts';
import { nanoWorld } from '../../data/world/profile.ts';
import { World } from '../../data/world/world.ts';
import { latentNoise } from '../../models/lumina2/vae-programs.ts';
import { vqPixelValues } from '../../models/vq/image-transform.ts';
import { loadProgram, openDiffusionDecoder } from '../../tasks/diffusion-decoder.ts';
import { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { ensureDecoder } from '../new-model/add-decoder.ts';
import { createModelFolder } from '../new-model/new-model.ts';
import type { TrainingEvent } from '../training-events.ts';
import { planStage } from './plan.ts';
import { type StageName, type TrainingRecipe, trainingRecipeSchema } from './recipe.ts';
import { runStage } from './run-stage.ts';
import { worldPictures } from './world-data.ts';

let root: string;
let plain: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'starstack-autoencoder-'));
  plain = path.join(root, 'plain');
  await createModelFolder(plain, smallModel, { texts: ['a red cup'], seed: 1 });
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

async function copyModel(name: string): Promise<string> {
  const folder = path.join(root, name);
  await cp(plain, folder, { recursive: true });
  return folder;
}

const checkpointOf = (folder: string) => path.join(folder, 'checkpoints/STAR-small.safetensors');
const vaeConfigOf = (folder: string) => path.join(folder, 'checkpoints/Lumina2-small/vae/config.json');

const shared = { steps: 2, batch: 2, learningRate: 0.003, seed: 3, resolution: 32, heldOut: 2 };
const recipeOf = (model: string, changes: object = {}): TrainingRecipe =>
  trainingRecipeSchema.parse({
    model,
    decoder: smallDecoder,
    stages: {
      autoencoder: { ...shared, previewEvery: 2, ...changes },
      alignment: { ...shared, steps: 4, edits: 1, previewEvery: 4 },
    },
  });

async function run(
  recipe: TrainingRecipe,
  stage: StageName,
  folder: string,
  { stopAfter = Infinity, resume = false } = {},
) {
  const controller = new AbortController();
  const training = runStage(recipe, stage, { folder, threads: 1, resume, signal: controller.signal });
  const events: TrainingEvent[] = [];
  for (let next = await training.next(); !next.done; next = await training.next()) {
    events.push(next.value);
    if (next.value.type === 'step-end' && next.value.step >= stopAfter) controller.abort();
  }
  return { events, losses: events.flatMap((event) => (event.type === 'step-end' ? [event.loss] : [])) };
}

function changedNames(before: ReadonlyMap<string, Buffer>, after: ReadonlyMap<string, Buffer>): string[] {
  return [...after].filter(([name, bytes]) => !before.get(name)?.equals(bytes)).map(([name]) => name);
}

describe('the autoencoder', { timeout: 600_000 }, () => {
  test('is trained alone, and goes on after a stop with the same bits', async () => {
    const [whole, parted] = [await copyModel('whole'), await copyModel('parted')];
    const straight = await run(recipeOf(whole), 'autoencoder', path.join(root, 'straight'));
    expect(straight.losses).toHaveLength(2);
    const previews = straight.events.filter((event) => event.type === 'preview-available');
    expect(previews.map(({ step, numbers }) => [step, Object.keys(numbers)])).toEqual([
      [2, ['held_out_psnr', 'held_out_pictures', 'held_out_kl']],
    ]);
    expect((await readFile(previews[0]!.path!)).length).toBeGreaterThan(100);

    const first = await run(recipeOf(parted), 'autoencoder', path.join(root, 'parted-run'), { stopAfter: 1 });
    const second = await run(recipeOf(parted), 'autoencoder', path.join(root, 'parted-run'), { resume: true });
    expect([...first.losses, ...second.losses]).toEqual(straight.losses);
    expect(second.losses.length).toBeGreaterThan(0);
    const trained = await bytesOf(checkpointOf(whole));
    expect(await bytesOf(checkpointOf(parted))).toEqual(trained);
    expect(await readFile(vaeConfigOf(parted))).toEqual(await readFile(vaeConfigOf(whole)));

    // What a decoder starts with is the same each time.
    const fresh = await copyModel('fresh');
    await ensureDecoder(fresh, smallDecoder);
    const untrained = await bytesOf(checkpointOf(fresh));
    const vae = changedNames(untrained, trained);
    expect(vae.length).toBeGreaterThan(40);
    expect(vae.every((name) => name.startsWith('diffusion_decoder.vae.'))).toBe(true);
  });

  test('gives way to alignment, whose captions the base reads, in the closed world', async () => {
    const folder = await copyModel('aligned');
    await ensureDecoder(folder, smallDecoder);
    const before = await bytesOf(checkpointOf(folder));
    const { losses } = await run(recipeOf(folder), 'alignment', path.join(root, 'aligned-run'));
    expect(losses.every(Number.isFinite)).toBe(true);
    const changed = changedNames(before, await bytesOf(checkpointOf(folder)));
    // Blocks begin as the identity: first the output learns, then the gates, then what lies behind them.
    expect(changed).toContain('diffusion_decoder.transformer.norm_out.linear_2.weight');
    expect(changed).toContain('diffusion_decoder.transformer.layers.0.feed_forward.linear_1.weight');
    expect(changed.every((name) => name.startsWith('diffusion_decoder.transformer.'))).toBe(true);
  });

  test('learns, and its latents are seen with mean 0 and variance 1', async () => {
    const folder = await copyModel('learning');
    const recipe = recipeOf(folder, { steps: 40, batch: 4, heldOut: 4, ema: 0.5, previewEvery: 0 });
    const { losses } = await run(recipe, 'autoencoder', path.join(root, 'learning-run'));
    const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length;
    expect(mean(losses.slice(-5))).toBeLessThan(0.9 * mean(losses.slice(0, 5)));

    const { scaling_factor, shift_factor } = JSON.parse(await readFile(vaeConfigOf(folder), 'utf8'));
    expect([scaling_factor, shift_factor]).not.toEqual([1, 0]);
    await using model = await StarModel.open(folder, { device: 'cpu', threads: 1 });
    const decoder = await openDiffusionDecoder(model);
    await using program = await loadProgram(model, decoder, 'vae encoder', { resolution: 32, captionTokens: 24 });
    const { heldOut } = worldPictures(await World.open(nanoWorld), shared.seed, 32, 4);
    const latents: number[] = [];
    for (const [index, picture] of heldOut.entries()) {
      const noise = latentNoise([1, 4, 8, 8], index, 900);
      const results = await program.session.run({ picture: vqPixelValues(picture, 32), noise });
      latents.push(...((results.latents as TensorValue).data as Float32Array));
    }
    // Drawn with other noise than none: a thousand numbers tell both to some hundredths.
    expect(mean(latents)).toBeCloseTo(0, 1);
    expect(mean(latents.map((value) => value ** 2))).toBeGreaterThan(0.8);
    expect(mean(latents.map((value) => value ** 2))).toBeLessThan(1.2);
  });

  test('learns by what the semantic encoder sees, too', async () => {
    const folder = await copyModel('seen');
    const changes = { steps: 1, perceptualWeight: 0.5, previewEvery: 0 };
    const [seen, unseen] = [await copyModel('seen-too'), folder];
    const without = await run(
      recipeOf(unseen, { ...changes, perceptualWeight: 0 }),
      'autoencoder',
      path.join(root, 'r1'),
    );
    const withIt = await run(recipeOf(seen, changes), 'autoencoder', path.join(root, 'r2'));
    expect(withIt.losses[0]).toBeGreaterThan(without.losses[0]!);
    const names = changedNames(await bytesOf(checkpointOf(unseen)), await bytesOf(checkpointOf(seen)));
    expect(names.length).toBeGreaterThan(0);
    expect(names.every((name) => name.startsWith('diffusion_decoder.vae.'))).toBe(true);
  });

  test('is refused where it cannot be', async () => {
    const folder = await copyModel('refusing');
    const out = path.join(root, 'refused');
    await expect(run(recipeOf(folder, { resolution: 36 }), 'autoencoder', out)).rejects.toThrow(
      /resolution: expected a multiple of 8 up to 32, got 36/,
    );
    const { decoder: _, ...without } = recipeOf(plain);
    await expect(run(without, 'autoencoder', out)).rejects.toThrow(/^autoencoder: .* names no pixel_decoder/);
    const published = path.join(root, 'published');
    await copyTrainable('tiny-a', published);
    await expect(run({ ...without, model: published }, 'autoencoder', out)).rejects.toThrow(
      /^autoencoder: .*STAR_tiny\.json names a published decoder, .*expected one with text_encoder base$/,
    );
    await expect(run(recipeOf(published), 'autoencoder', out)).rejects.toThrow(/a diffusion decoder of other sizes/);
  });

  test('is planned before there is one', async () => {
    const trained = async (stage: StageName) => {
      const { parts, memory } = await planStage(recipeOf(plain), stage);
      return { names: parts.filter((part) => part.trained > 0).map(({ part }) => part), memory };
    };
    const autoencoder = await trained('autoencoder');
    expect(autoencoder.names).toEqual(['autoencoder']);
    expect(autoencoder.memory.frozen).toBe(0);
    const alignment = await trained('alignment');
    expect(alignment.names).toEqual(['diffusion transformer']);
    // The base is read for its captions.
    expect(alignment.memory.frozen).toBeGreaterThan(4 * 320 * 32);
  });
});
