/** A model without a diffusion decoder takes a trained Lumina-Image-2.0, and is aligned with it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { referencePath } from '../../../test/reference-vectors.ts';
import { bytesOf } from '../../../test/tensor-bytes.ts';
import { copyTiny, tinyCheckpoint } from '../../../test/training/tiny-copy.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import { openModelFolder } from '../../models/star/folder.ts';
import { openDiffusionDecoder } from '../../tasks/diffusion-decoder.ts';
import { planStage } from '../stages/plan.ts';
import { trainingRecipeSchema } from '../stages/recipe.ts';
import { runStage } from '../stages/run-stage.ts';
import { adoptDecoder } from './adopt-decoder.ts';

const from = 'checkpoints/lumina-image2-tiny';
const prefix = 'diffusion_decoder.transformer.';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'starstack-adopt-decoder-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** tiny-a without a word of its decoder but the folder. */
async function bareModel(name: string): Promise<string> {
  const folder = await copyTiny(path.join(root, name), (tensor) => !tensor.startsWith('diffusion_decoder.'));
  const config = path.join(folder, 'STAR_tiny.json');
  const { pixel_decoder: _, ...rest } = JSON.parse(await readFile(config, 'utf8'));
  await writeFile(config, JSON.stringify(rest));
  return folder;
}

describe('a trained Lumina-Image-2.0', { timeout: 120_000 }, () => {
  test('is widened by columns of 0, each pixel’s apart, and stays as it is the second time', async () => {
    const folder = await bareModel('widened');
    const before = await bytesOf(tinyCheckpoint(folder));
    await adoptDecoder(folder, from, { seed: 5 });
    const after = await bytesOf(tinyCheckpoint(folder));
    for (const [name, bytes] of before) expect(after.get(name)!.equals(bytes)).toBe(true);
    expect([...after.keys()].filter((name) => !before.has(name))).toEqual(
      [
        'ori_inp_refiner.0.bias',
        'ori_inp_refiner.0.weight',
        'ori_inp_refiner.2.weight',
        'x_embedder.bias',
        'x_embedder.weight',
      ].map((name) => `${prefix}${name}`),
    );
    const decoder = await openDiffusionDecoder({ folder: await openModelFolder(folder) });
    const { latentChannels, patchSize, hiddenSize } = decoder.transformer.config;
    await using plain = await openCheckpoint(
      path.join(folder, from, 'transformer/diffusion_pytorch_model.safetensors'),
    );
    const narrow = (await plain.readFloat32('x_embedder.weight')).data;
    const wide = await decoder.transformer.weights.read('x_embedder.weight');
    const channels = wide.length / hiddenSize / patchSize ** 2;
    expect(channels).toBeGreaterThan(latentChannels);
    wide.forEach((value, at) => {
      const [pixel, channel] = [Math.floor(at / channels), at % channels];
      expect(value).toBe(channel < latentChannels ? narrow[pixel * latentChannels + channel] : 0);
    });
    const second = await decoder.transformer.weights.read('ori_inp_refiner.2.weight');
    expect(second.every((value) => value === 0)).toBe(true);
    const first = await decoder.transformer.weights.read('ori_inp_refiner.0.weight');
    expect(first.some((value) => value !== 0)).toBe(true);

    await adoptDecoder(folder, from, { seed: 6 });
    expect(await bytesOf(tinyCheckpoint(folder))).toEqual(after);
  });

  test('is planned and aligned by a recipe that names it', async () => {
    const folder = await bareModel('aligned');
    const stage = { steps: 1, batch: 2, learningRate: 0.01, seed: 3, edits: 1, resolution: 32, captionTokens: 48 };
    const recipe = trainingRecipeSchema.parse({
      model: folder,
      decoderFrom: from,
      stages: { alignment: { ...stage, heldOut: 2 } },
    });
    const plan = await planStage(recipe, 'alignment');
    const rows = plan.parts.map(({ part, trained }) => [part, trained > 0] as const);
    expect(rows).toContainEqual(['diffusion transformer', true]);
    expect(rows).toContainEqual(['text encoder', false]);
    const run = runStage(recipe, 'alignment', { folder: path.join(root, 'run'), threads: 1 });
    let next = await run.next();
    while (!next.done) next = await run.next();
    expect(next.value.stopped).toBe('finished');
    const after = await planStage(recipe, 'alignment');
    expect(after.parts).toEqual(plan.parts);
  });

  test('is refused where it is not there, leaves the model, or another one is named', async () => {
    const folder = await bareModel('refused');
    await expect(adoptDecoder(folder, 'checkpoints/absent')).rejects.toThrow(/checkpoints.absent/);
    await expect(adoptDecoder(folder, '../lumina')).rejects.toThrow(
      /^decoderFrom: expected a path inside the model folder, got \.\.\/lumina$/,
    );
    await expect(adoptDecoder(referencePath('tiny-a', '.'), 'checkpoints/other')).rejects.toThrow(
      /^decoderFrom: .*STAR_tiny\.json names another diffusion decoder, checkpoints\/lumina-image2-tiny$/,
    );
    const both = trainingRecipeSchema.safeParse({ model: folder, decoder: {}, decoderFrom: from, stages: {} });
    expect(both.success).toBe(false);
  });
});
