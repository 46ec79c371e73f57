/** The whole diffusion decoder against the published pipeline's latents and pictures. */
import { describe, expect, test } from 'vitest';
import { readReference, readReferenceMeta, referencePath, referenceVariants } from '../../test/reference-vectors.ts';
import type { TensorValue } from '../tensor/index.ts';
import { type Diffusion, diffuse } from './diffuse.ts';
import { openDiffusionDecoder } from './diffusion-decoder.ts';
import { StarModel } from './star-model.ts';
import { float32 } from './token-loop.ts';

const always = [-1, 2] as const;

async function openModel(variant: (typeof referenceVariants)[number]) {
  return StarModel.open(referencePath(variant, '.'), { device: 'cpu', threads: 1 });
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((largest, value, at) => Math.max(largest, Math.abs(value - b[at]!)), 0);
}

interface DiffusionMeta {
  readonly prompt: string;
  readonly system_prompt: string;
  readonly max_sequence_length: number;
  readonly steps: number;
  readonly resolution: number;
  readonly generate: { readonly guidance_scale: number; readonly img_guidance_scale: number };
  readonly edit: {
    readonly guidance_scale: number;
    readonly img_guidance_scale: number;
    readonly vq_guidance_scale: number;
  };
}

describe.each(referenceVariants)('the diffusion decoder of %s', (variant) => {
  test.each(['generate', 'edit'] as const)('%s: latents after each step and the picture as published', async (task) => {
    await using model = await openModel(variant);
    const decoder = await openDiffusionDecoder(model);
    const meta = readReferenceMeta(variant).diffusion as DiffusionMeta;
    const expected = readReference(variant, `diffusion_${task}`);
    const { init_latents, step_latents, image, gen_image_embeds, source_image } = expected;
    const diffusion: Diffusion = {
      task,
      text: meta.prompt,
      systemPrompt: meta.system_prompt,
      codes: float32(gen_image_embeds!.shape, gen_image_embeds!.data),
      ...(source_image ? { source: float32([1, ...source_image.shape], source_image.data) } : {}),
      steps: meta.steps,
      guidance: {
        text: meta[task].guidance_scale,
        image: meta[task].img_guidance_scale,
        codes: meta.edit.vq_guidance_scale,
        textWindow: [0, 1],
        imageWindow: [0, 1],
      },
      seed: 0,
      resolution: meta.resolution,
      captionTokens: meta.max_sequence_length,
      start: float32(init_latents!.shape, init_latents!.data),
    };
    const run = diffuse(model, decoder, diffusion);
    const each = init_latents!.data.length;
    let made: TensorValue | undefined;
    for (let step = 0; ; step++) {
      const { done, value } = await run.next();
      if (done) {
        made = value;
        break;
      }
      const latents = (await value.latents()).data as Float32Array;
      expect(largestDifference(latents, step_latents!.data.slice(step * each, (step + 1) * each))).toBeLessThan(1e-4);
      expect(value).toMatchObject({ doneSteps: step + 1, totalSteps: meta.steps });
    }
    const picture = (made.data as Float32Array).map((level) => Math.min(1, Math.max(0, level / 2 + 0.5)));
    expect(largestDifference(picture, image!.data)).toBeLessThan(1e-4);
  });
});

test('a seed starts image i from the noise of seed + i, and leaving out what cancels changes nothing', async () => {
  await using model = await openModel('tiny-a');
  const decoder = await openDiffusionDecoder(model);
  const { numTokens } = model.folder.star.pixelEncoder;
  const draw = async (more: Partial<Diffusion>) => {
    const run = diffuse(model, decoder, {
      task: 'generate',
      text: 'a cat',
      codes: [new Array<number>(numTokens).fill(3)],
      steps: 2,
      guidance: { text: 3, image: 1.5, codes: 0, textWindow: always, imageWindow: always },
      seed: 5,
      resolution: 32,
      captionTokens: 40,
      ...more,
    });
    while (true) {
      const { done, value } = await run.next();
      if (done) return value.data as Float32Array;
    }
  };
  const codes = [5, 6].map((code) => new Array<number>(numTokens).fill(code));
  const together = await draw({ codes });
  const second = await draw({ codes: [codes[1]!], seed: 6 });
  expect(largestDifference(together.subarray(together.length / 2), second)).toBeLessThan(1e-5);
  // Weights so near to 0 that the branches are computed, and to what a weight of 0 leaves out.
  const guidance = { codes: 0, textWindow: always, imageWindow: always };
  const left = await draw({ guidance: { ...guidance, text: 1, image: 1 } });
  const computed = await draw({ guidance: { ...guidance, text: 1 + 1e-7, image: 1 - 1e-7 } });
  expect(largestDifference(left, computed)).toBeLessThan(1e-5);
});

test('refuses a resolution that does not divide, and stops between steps', async () => {
  await using model = await openModel('tiny-a');
  const decoder = await openDiffusionDecoder(model);
  const controller = new AbortController();
  const diffusion: Diffusion = {
    task: 'generate',
    text: 'a cat',
    codes: [new Array<number>(model.folder.star.pixelEncoder.numTokens).fill(0)],
    steps: 3,
    guidance: { text: 1, image: 1, codes: 0, textWindow: always, imageWindow: always },
    seed: 1,
    resolution: 40,
    captionTokens: 40,
    signal: controller.signal,
  };
  await expect(diffuse(model, decoder, diffusion).next()).rejects.toThrow(/multiple of 16 up to 256, got 40/);
  const run = diffuse(model, decoder, { ...diffusion, resolution: 32 });
  expect((await run.next()).value).toMatchObject({ doneSteps: 1 });
  controller.abort();
  await expect(run.next()).rejects.toThrow(/abort/i);
});
