/** Pictures through the diffusion decoder, as callers draw them. */
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { referencePath } from '../../test/reference-vectors.ts';
import { buildReasoningPrompt } from '../models/star/prompt.ts';
import { captionOf, diffuse } from './diffuse.ts';
import { openDiffusionDecoder } from './diffusion-decoder.ts';
import { chooseDiffusion } from './draw-diffusion.ts';
import { AbortedError } from './error.ts';
import type { PictureEvent, PictureResult } from './events.ts';
import { type GenerateOptions, parsePictureOptions } from './options.ts';
import { readRecipe } from './recipe.ts';
import { Star } from './star.ts';
import { drain } from './task.ts';

const options = { decoder: 'diffusion', resolution: 32, steps: 2, seed: 5 } as const;
const source = referencePath('tiny-a', 'expected/image.png');
const openStar = (more: { keepDecoder?: boolean } = {}, folder = referencePath('tiny-a', '.')) =>
  Star.load(folder, { device: 'cpu', threads: 1, ...more });

/** Keeps its decoder, so that most tests load it once. */
let star: Star;
let folder: string;
beforeAll(async () => {
  star = await openStar({ keepDecoder: true });
  folder = await mkdtemp(path.join(tmpdir(), 'starstack-diffusion-'));
}, 60_000);
afterAll(async () => {
  await star.dispose();
  await rm(folder, { recursive: true, force: true });
});

const bytes = ({ images }: PictureResult, index = 0) => images[index]!.data;
const generate = async (more: GenerateOptions = {}, text = 'a cat') => star.generate(text, { ...options, ...more });
const edit = async (more: object = {}, picture = source) =>
  star.edit(picture, 'make it green', { ...options, ...more });

function furthest(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);
}

/** Programs of the decoder that are in memory. */
function loaded({ model }: Star): string[] {
  const others = ['engine', 'vq decoder', 'vq encoder', 'vision encoder'];
  const names = model.runtime.memory().sessions.map(({ program }) => program);
  return names.filter((name) => !others.includes(name)).sort();
}

/** The events of a stream, with `heed` called at each; throws what the stream throws. */
async function follow(events: AsyncGenerator<PictureEvent>, heed: (event: PictureEvent) => void = () => {}) {
  const all: PictureEvent[] = [];
  for await (const event of events) {
    heed(event);
    all.push(event);
  }
  return all;
}

describe('a seed', () => {
  test('gives the same picture again, of the resolution that was asked for', async () => {
    const [first, again, other] = [await generate(), await generate(), await generate({ seed: 6 })];
    expect(first.images[0]).toMatchObject({ width: 32, height: 32, complete: true });
    expect(bytes(again)).toEqual(bytes(first));
    expect(furthest(bytes(other), bytes(first))).toBeGreaterThan(20);
    expect(first).toMatchObject({ seed: 5, finishReason: 'complete' });
    expect(Object.keys(first.timings)).toEqual(['load', 'tokens', 'diffusion']);
  });

  test('gives image i of two what seed + i gives alone', async () => {
    const both = await generate({ count: 2 });
    for (const [index, seed] of [5, 6].entries()) {
      const alone = await generate({ seed });
      expect(both.images[index]!.tokens).toEqual(alone.images[0]!.tokens);
      expect(both.images[index]!.seed).toBe(seed);
      // A batch of another size rounds differently, which may tip a level.
      expect(furthest(bytes(both, index), bytes(alone))).toBeLessThanOrEqual(1);
    }
  });
});

test('levels are rounded, as diffusers rounds them', async () => {
  const drawn = await generate();
  const parsed = parsePictureOptions(options, 'generate');
  const { decoder, settings } = (await chooseDiffusion(star.model, 'generate', parsed))!;
  const diffusion = { ...settings, text: 'a cat', codes: [drawn.images[0]!.tokens], seed: options.seed };
  const { shape, data } = await drain(diffuse(star.model, decoder, diffusion));
  expect(shape).toEqual([1, 3, 32, 32]);
  const levels = Uint8Array.from(bytes(drawn), (_, at) => {
    const value = (data as Float32Array)[(at % 3) * 32 * 32 + Math.floor(at / 3)]!;
    return Math.round(255 * Math.min(1, Math.max(0, value / 2 + 0.5)));
  });
  expect(bytes(drawn)).toEqual(levels);
});

describe('settings', () => {
  test.each([
    ['steps', { steps: 3 }],
    ['diffusionGuidance', { diffusionGuidance: 9 }],
    ['imageGuidance', { imageGuidance: 3 }],
    ['guidanceWindow', { guidanceWindow: [0.6, 1] }],
    ['imageGuidanceWindow', { imageGuidance: 3, imageGuidanceWindow: [0.6, 1] }],
  ] as const)('%s tells in the picture and not in the tokens', async (name, more) => {
    const without = name === 'imageGuidanceWindow' ? { imageGuidance: 3 } : {};
    const [plain, changed] = [await generate(without), await generate(more)];
    expect(changed.images[0]!.tokens).toEqual(plain.images[0]!.tokens);
    expect(bytes(changed)).not.toEqual(bytes(plain));
  });

  test('are the published ones unless given, and the largest resolution where the published one is too large', async () => {
    const choose = async (task: 'generate' | 'edit') => {
      const parsed = parsePictureOptions({ decoder: 'diffusion' }, task);
      return (await chooseDiffusion(star.model, task, parsed))!.settings;
    };
    const windows = { textWindow: [0, 1], imageWindow: [0, 1] };
    expect(await choose('generate')).toEqual({
      task: 'generate',
      steps: 40,
      guidance: { text: 4.5, image: 1.05, codes: 0, ...windows },
      resolution: 256,
      captionTokens: 63,
    });
    expect(await choose('edit')).toMatchObject({
      steps: 50,
      guidance: { text: 3, image: 1.8, codes: 1, ...windows },
    });
  });

  test('travel in the PNG, and repeat the picture', async () => {
    const file = path.join(folder, 'cat.png');
    const first = await generate({ diffusionGuidance: 2, guidanceWindow: [0, 0.75], topK: 20 });
    await first.images[0]!.save(file);
    const { settings, seed } = readRecipe(await readFile(file), file);
    expect(settings).toEqual({
      guidance: 1.1,
      topK: 20,
      topP: 0.8,
      temperature: 1,
      decoder: 'diffusion',
      steps: 2,
      resolution: 32,
      diffusionGuidance: 2,
      imageGuidance: 1.05,
      guidanceWindow: [0, 0.75],
      imageGuidanceWindow: [0, 1],
      reasoning: false,
    });
    const again = await star.generate('a cat', { ...settings, seed } as GenerateOptions);
    expect(bytes(again)).toEqual(bytes(first));
    const recipe = (await edit()).images[0]!.recipe;
    expect(recipe.settings).toMatchObject({ vqGuidance: 1, imageGuidance: 1.8 });
  });
});

test('the prompt is read, or with reasoning the thought and what is appended to it', async () => {
  const decoder = await openDiffusionDecoder(star.model);
  const dropped = (text: string) => captionOf(decoder, { text, captionTokens: 63 }).dropped;
  const long = 'a very small cat on a very large table';
  const { warnings } = await generate({}, long);
  // The pipeline's system prompt alone fills the tiny decoder's caption.
  expect(dropped(long)).toBeGreaterThan(dropped('a cat'));
  const message = (count: number) => `the diffusion decoder reads 63 tokens of text; the last ${count} found no place`;
  expect(warnings).toEqual([{ code: 'caption_cut', message: message(dropped(long)) }]);
  const thinking = await generate({ reasoning: true, reasoningMaxTokens: 4 }, long);
  const { answerPrompt } = buildReasoningPrompt(star.model.chat, long, thinking.thought!);
  expect(answerPrompt).toMatch(/Ultra HD/);
  // The random model's thoughts have no end.
  const cut = 'the thought was not finished after 4 tokens, and is drawn as it is';
  expect(thinking.warnings.map((warning) => warning.message)).toEqual([cut, message(dropped(answerPrompt!))]);
  expect(dropped(answerPrompt!)).not.toBe(dropped(long));
});

test('an edit heeds its source, and its tokens as far as vqGuidance says', async () => {
  const plain = await edit();
  const greedy = { temperature: 0 };
  const others = await edit(greedy);
  expect(others.images[0]!.tokens).not.toEqual(plain.images[0]!.tokens);
  expect(bytes(others)).not.toEqual(bytes(plain));
  const deaf = await edit({ vqGuidance: 0 });
  expect(bytes(await edit({ ...greedy, vqGuidance: 0 }))).toEqual(bytes(deaf));
  const odd = await edit({ vqGuidance: 0 }, referencePath('tiny-a', 'expected/image_odd_size.png'));
  expect(bytes(odd)).not.toEqual(bytes(deaf));
});

describe('an abort between steps', () => {
  const abortAfterStep = (onAbort: 'throw' | 'keep', done: number) => {
    const controller = new AbortController();
    const events = star.generate.stream('a cat', { ...options, steps: 3, signal: controller.signal, onAbort });
    return follow(events, (event) => {
      if (event.type === 'diffusion-progress' && event.doneSteps === done) controller.abort();
    });
  };

  test('throws', async () => {
    await expect(abortAfterStep('throw', 1)).rejects.toThrow(AbortedError);
  });

  test("or keeps the VQ decoder's picture, with a warning", async () => {
    const { decoder: _, resolution: __, steps: ___, ...tokens } = options;
    const vq = await star.generate('a cat', tokens);
    const last = (await abortAfterStep('keep', 2)).at(-1)!;
    const { result } = last as Extract<PictureEvent, { type: 'picture-end' }>;
    expect(result.finishReason).toBe('aborted');
    expect(result.warnings.at(-1)).toEqual({
      code: 'picture_partial',
      message: "stopped after 2 of 3 steps of the diffusion decoder; the picture is the VQ decoder's",
    });
    expect(result.images[0]).toMatchObject({ width: 24, complete: false });
    expect(bytes(result)).toEqual(bytes(vq));
    expect(Object.keys(result.timings)).toEqual(['load', 'tokens', 'diffusion', 'decode']);
  });

  test('after the last step is too late', async () => {
    const last = (await abortAfterStep('throw', 3)).at(-1)!;
    expect(last).toMatchObject({ type: 'picture-end', result: { finishReason: 'complete' } });
  });

  test('among the tokens leaves the decoder out', async () => {
    const controller = new AbortController();
    const events = star.generate.stream('a cat', { ...options, signal: controller.signal, onAbort: 'keep' });
    const all = await follow(events, ({ type }) => type === 'picture-progress' && controller.abort());
    expect(all.some(({ type }) => type === 'diffusion-progress')).toBe(false);
    const { result } = all.at(-1) as Extract<PictureEvent, { type: 'picture-end' }>;
    expect(result.warnings.map(({ message }) => message)).toEqual([
      'stopped after 6 of 36 tokens; the rest of the picture is grey',
    ]);
  });
});

describe('memory', () => {
  test('holds one part of the decoder at a time, and none afterwards', async () => {
    await using lean = await openStar();
    const seen: string[][] = [];
    const drawing = { ...options, preview: 'linear' } as const;
    const events = await follow(lean.generate.stream('a cat', drawing), (event) => {
      if (event.type === 'diffusion-progress' || event.type === 'image-end') seen.push(loaded(lean));
    });
    expect(seen).toEqual([['denoiser'], ['denoiser'], []]);
    const steps = events.filter(({ type }) => type === 'diffusion-progress');
    expect(steps).toEqual([1, 2].map((doneSteps) => ({ type: 'diffusion-progress', doneSteps, totalSteps: 2 })));
    const previews = events.filter((event) => event.type === 'preview-available');
    expect(previews.every(({ doneSteps }) => doneSteps === undefined)).toBe(true);
    expect(previews).toHaveLength(5);
    // Who leaves early leaves nothing behind.
    for await (const event of lean.generate.stream('a cat', options)) {
      if (event.type === 'diffusion-progress') break;
    }
    expect(loaded(lean)).toEqual([]);
  });

  test('holds the autoencoder beside the transformer for previews of the decoder', async () => {
    await using lean = await openStar();
    const seen: string[][] = [];
    const events = await follow(lean.generate.stream('a cat', { ...options, preview: 'decoder' }), (event) => {
      if (event.type === 'preview-available' && event.doneSteps) seen.push(loaded(lean));
    });
    expect(seen).toEqual([['denoiser', 'vae decoder']]);
    const previews = events.filter((event) => event.type === 'preview-available');
    expect(previews.map(({ doneTokens, doneSteps, previews: [one] }) => [doneTokens, doneSteps, one!.width])).toEqual([
      ...[6, 12, 18, 24, 30].map((doneTokens) => [doneTokens, undefined, 24]),
      [36, 1, 32],
    ]);
    const { result } = events.at(-1) as Extract<PictureEvent, { type: 'picture-end' }>;
    expect(bytes(result)).toEqual(bytes(await generate()));
  });

  test('holds all of it where the decoder is kept, once', async () => {
    await generate();
    const after = loaded(star);
    expect(after).toEqual(expect.arrayContaining(['code maps', 'denoiser', 'text encoder', 'vae decoder']));
    await generate({ seed: 9 });
    expect(loaded(star)).toEqual(after);
  });
});

describe('is refused before anything is computed', () => {
  let lean: Star;
  beforeAll(async () => {
    lean = await openStar();
  }, 60_000);
  afterAll(() => lean.dispose());

  test.each([
    [{ resolution: 40 }, /option resolution: expected a multiple of 16 up to 256, got 40/],
    [{ resolution: 512 }, /option resolution: expected a multiple of 16 up to 256, got 512/],
    [
      { guidanceWindow: [0.5, 0.25] },
      /option guidanceWindow: expected two numbers, 0 <= from < to <= 2, got \[0.5,0.25\]/,
    ],
    [{ imageGuidanceWindow: [0.5] }, /option imageGuidanceWindow: expected two numbers/],
    [{ imageGuidanceWindow: [0, Number.NaN] }, /option imageGuidanceWindow: expected two numbers/],
    [{ steps: 0 }, /option steps: /],
    [{ decoder: 'vq' }, /option steps: expected the decoder diffusion, which alone takes it, got decoder vq/],
    [{ vqGuidance: 1 }, /option vqGuidance: expected an edit/],
  ])('%j', async (more, message) => {
    const drawing = lean.generate('a cat', { ...options, ...more } as GenerateOptions);
    await expect(drawing).rejects.toMatchObject({ code: 'option_invalid', message: expect.stringMatching(message) });
    expect(lean.model.runtime.memory().sessions).toEqual([]);
  });

  test('a model without the decoder', async () => {
    const config = JSON.parse(await readFile(referencePath('tiny-a', 'STAR_tiny.json'), 'utf8'));
    delete config.pixel_decoder;
    await writeFile(path.join(folder, 'STAR_tiny.json'), JSON.stringify(config));
    await symlink(referencePath('tiny-a', 'checkpoints'), path.join(folder, 'checkpoints'));
    await using bare = await openStar({}, folder);
    await expect(bare.generate('a cat', options)).rejects.toMatchObject({
      code: 'not_supported',
      message: expect.stringMatching(/names no pixel_decoder; use decoder vq$/),
    });
    expect(bare.model.runtime.memory().sessions).toEqual([]);
  });
});
