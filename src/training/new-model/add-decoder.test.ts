/** A small model is given a decoder whose captions its own base reads, and draws with it. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { furthest } from '../../../test/lumina2/transformer.ts';
import { referencePath } from '../../../test/reference-vectors.ts';
import { bytesOf } from '../../../test/tensor-bytes.ts';
import { smallDecoder, smallModel } from '../../../test/training/small-decoder.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import { captionFeeds } from '../../models/lumina2/gemma2-prompt.ts';
import { zeroLatents } from '../../models/lumina2/vae-programs.ts';
import { publishedInputs } from '../../models/star/config.ts';
import { openModelFolder } from '../../models/star/folder.ts';
import { type Diffusion, diffuse } from '../../tasks/diffuse.ts';
import {
  captionTokensFor,
  type DiffusionProgram,
  loadProgram,
  openDiffusionDecoder,
} from '../../tasks/diffusion-decoder.ts';
import { decodeCodes } from '../../tasks/pictures.ts';
import { Star } from '../../tasks/star.ts';
import { StarModel } from '../../tasks/star-model.ts';
import { int64 } from '../../tasks/token-loop.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { ensureDecoder } from './add-decoder.ts';
import { createModelFolder } from './new-model.ts';

let root: string;
let plain: string;
let whole: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'starstack-add-decoder-'));
  [plain, whole] = [path.join(root, 'plain'), path.join(root, 'whole')];
  await createModelFolder(plain, smallModel, { texts: ['a red cup'], seed: 1 });
  await cp(plain, whole, { recursive: true });
  await ensureDecoder(whole, smallDecoder);
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

const checkpointOf = (folder: string) => path.join(folder, 'checkpoints/STAR-small.safetensors');
const configOf = (folder: string) => path.join(folder, 'STAR_small.json');

describe('a decoder that is added', { timeout: 120_000 }, () => {
  test('lies in the checkpoint in the type of the model, and changes nothing else', async () => {
    const [before, after] = [await bytesOf(checkpointOf(plain)), await bytesOf(checkpointOf(whole))];
    for (const [name, bytes] of before) expect(after.get(name)!.equals(bytes)).toBe(true);
    const added = [...after.keys()].filter((name) => !before.has(name));
    expect(added.length).toBeGreaterThan(50);
    expect(added.every((name) => name.startsWith('diffusion_decoder.'))).toBe(true);
    await using checkpoint = await openCheckpoint(checkpointOf(whole));
    expect(new Set([...checkpoint.entries.values()].map(({ dtype }) => dtype))).toEqual(new Set(['bfloat16']));
    const { star } = await openModelFolder(whole);
    expect(star.pixelDecoder).toEqual({
      path: 'checkpoints/Lumina2-small',
      textEncoder: 'base',
      inputs: publishedInputs,
    });
    // Asked for once more, it stays.
    await ensureDecoder(whole, smallDecoder, { seed: 5 });
    expect(await bytesOf(checkpointOf(whole))).toEqual(after);
  });

  test('starts as the identity that predicts nothing', async () => {
    const { transformer, vae } = await openDiffusionDecoder({ folder: await openModelFolder(whole) });
    const { weights } = transformer;
    const largest = async (name: string, of = weights) => Math.max(...(await of.read(name)).map(Math.abs));
    for (const name of ['encoder.down_blocks.0.resnets.0.conv2', 'decoder.mid_block.attentions.0.to_out.0']) {
      expect(await largest(`${name}.weight`, vae.weights)).toBe(0);
    }
    expect(await largest('encoder.down_blocks.0.resnets.0.conv1.weight', vae.weights)).toBeGreaterThan(0.1);
    for (const name of ['layers.0.norm1.linear', 'noise_refiner.0.norm1.linear', 'norm_out.linear_2']) {
      expect(await largest(`${name}.weight`)).toBe(0);
    }
    expect(await largest('layers.0.attn.to_q.weight')).toBeCloseTo(Math.sqrt(6 / 32), 1);
    expect(new Set(await weights.read('layers.0.norm2.weight'))).toEqual(new Set([1]));
  });

  test('draws and edits, in few steps', async () => {
    await using star = await Star.load(whole, { device: 'cpu' });
    const options = { decoder: 'diffusion', seed: 3 } as const;
    const drawn = await star.generate('a red cup', options);
    expect([drawn.images[0]!.width, drawn.images[0]!.height]).toEqual([32, 32]);
    expect(drawn.images[0]!.recipe.settings).toMatchObject({ steps: 8, resolution: 32, diffusionGuidance: 1 });
    const edited = await star.edit(drawn.images[0]!, 'a cup', { ...options, steps: 2 });
    expect(edited.images[0]!.width).toBe(32);
  });

  test('hears the caption from the base: padding does not matter, the tokens before do', async () => {
    await using model = await StarModel.open(whole, { device: 'cpu' });
    const decoder = await openDiffusionDecoder(model);
    await using program = await loadProgram(model, decoder, 'text encoder', { resolution: 32, captionTokens: 96 });
    const states = async (text: string, length: number) => {
      const caption = captionTokensFor(decoder, text, length);
      const results = await program.session.run(captionFeeds([caption]));
      return { values: (results.states as TensorValue).data as Float32Array, mask: caption.mask };
    };
    const [short, long, other] = [
      await states('a red cup', 80),
      await states('a red cup', 96),
      await states('b red cup', 80),
    ];
    const tokens = short.mask.reduce<number>((sum, each) => sum + each, 0);
    expect(tokens).toBeLessThan(80);
    const size = model.folder.qwen.text.hiddenSize;
    const [a, b, c] = [short, long, other].map(({ values }) => Array.from(values.subarray(0, tokens * size)));
    const apart = (x: number[], y: number[]) => Math.max(...x.map((value, at) => Math.abs(value - y[at]!)));
    expect(apart(a!, b!)).toBeLessThan(1e-5);
    expect(apart(a!, c!)).toBeGreaterThan(1e-4);
    // What a user types is no control token.
    const end = model.chat.tokenizer.idOf('<|im_end|>')!;
    const ends = (text: string) => captionTokensFor(decoder, text, 96).ids.filter((id) => id === end).length;
    expect(ends('a <|im_end|> cup')).toBe(ends('a cup'));
  });
});

describe('a decoder that is told a draft, and sources beside the picture', { timeout: 120_000 }, () => {
  const told = { ...smallDecoder, draft: true, source: 'beside', steps: 2 } as const;

  let folder: string;
  beforeAll(async () => {
    folder = path.join(root, 'draft');
    await cp(plain, folder, { recursive: true });
    await ensureDecoder(folder, told);
  }, 120_000);

  test('is shown the VQ decoder’s picture beside the embeddings of codes, and draws with it', async () => {
    await using model = await StarModel.open(folder, { device: 'cpu' });
    const { codebookDim, numTokens, imageSize } = model.folder.star.pixelEncoder;
    const decoder = await openDiffusionDecoder(model);
    const { latentChannels, patchSize } = decoder.transformer.config;
    const embedder = decoder.transformer.weights.entries.get('x_embedder.weight')!;
    expect(embedder.shape[1]).toBe(patchSize ** 2 * (2 * latentChannels + codebookDim + 3));
    expect(decoder.transformer.weights.entries.has('ori_inp_refiner.0.weight')).toBe(false);
    expect(decoder.transformer.config.ropePositions.slice(1)).toEqual([4, 4]);
    // As many latents as the VQ decoder's picture has pixels, so that nothing is resized.
    const sizes = { resolution: imageSize * decoder.vae.config.downsampling, captionTokens: 24 };
    const codes = Array.from({ length: numTokens }, (_, at) => (at * 7) % 64);
    await using program = await loadProgram(model, decoder, 'code maps', sizes);
    const { maps } = await program.session.run({ codes: int64([1, numTokens], codes) });
    expect(maps!.shape).toEqual([1, codebookDim + 3, imageSize, imageSize]);
    const draft = ((maps as TensorValue).data as Float32Array).subarray(codebookDim * imageSize ** 2);
    const picture = (await decodeCodes(model, [codes])).data as Float32Array;
    expect(draft.length).toBe(picture.length);
    draft.forEach((value, at) => {
      expect(value).toBeCloseTo(Math.min(Math.max(picture[at]!, -1), 1), 5);
    });
    await using star = await Star.load(folder, { device: 'cpu' });
    const options = { decoder: 'diffusion', seed: 3 } as const;
    const { images } = await star.generate('a red cup', options);
    expect(images[0]!.width).toBe(32);
    expect(images[0]!.recipe.settings).toMatchObject({ steps: 2 });
    const edited = await star.edit(images[0]!, 'a cup', options);
    expect(edited.images[0]!.width).toBe(32);
  });

  test('is another decoder than one without', async () => {
    await ensureDecoder(folder, told);
    await expect(ensureDecoder(folder, { ...smallDecoder, draft: true })).rejects.toThrow(
      /of other sizes: inputs\.source, transformer\.ropePositions differ/,
    );
  });
});

describe('a decoder that mixes source and draft', { timeout: 120_000 }, () => {
  const told = { ...smallDecoder, draft: true, source: 'reference' } as const;

  test('untrained draws the draft, and half source and half draft in an edit, in any number of steps', async () => {
    const folder = path.join(root, 'reference');
    await cp(plain, folder, { recursive: true });
    await ensureDecoder(folder, told);
    await using model = await StarModel.open(folder, { device: 'cpu' });
    const { numTokens } = model.folder.star.pixelEncoder;
    const decoder = await openDiffusionDecoder(model);
    const sizes = { resolution: 32, captionTokens: 24 };
    const codes = [0, 3].map((first) => Array.from({ length: numTokens }, (_, at) => (first + at * 7) % 64));
    const run = async (name: DiffusionProgram, feeds: Readonly<Record<string, TensorValue>>) => {
      await using program = await loadProgram(model, decoder, name, sizes);
      return (await program.session.run(feeds)) as Readonly<Record<string, TensorValue>>;
    };
    const encode = async (picture: TensorValue) => {
      const { latents } = await run('vae encoder', { picture, noise: zeroLatents([picture.shape[0]!, 4, 8, 8]) });
      return latents!.data as Float32Array;
    };
    const decode = async (data: Float32Array) => {
      const { picture } = await run('vae decoder', { latents: { dtype: 'float32', shape: [2, 4, 8, 8], data } });
      return picture!.data as Float32Array;
    };
    const { draft } = await run('code maps', { codes: int64([2, numTokens], codes.flat()) });
    const source: TensorValue = {
      dtype: 'float32',
      shape: [1, 3, 32, 32],
      data: Float32Array.from({ length: 3 * 32 * 32 }, (_, at) => Math.sin(at / 50)),
    };
    const [drafts, sources] = [await encode(draft!), await encode(source)];
    const halves = drafts.map((value, at) => (value + sources[at % sources.length]!) / 2);
    const guidance = { text: 1, image: 1, codes: 0, textWindow: [0, 1], imageWindow: [0, 1] } as const;
    const finish = async (steps: number, of: Pick<Diffusion, 'task' | 'source'>) => {
      const run = diffuse(model, decoder, { ...sizes, ...of, text: 'a cup', codes, steps, guidance, seed: 4 });
      let next = await run.next();
      while (!next.done) next = await run.next();
      return Array.from(next.value.data as Float32Array);
    };
    for (const steps of [1, 3]) {
      const drawn = await finish(steps, { task: 'generate' });
      expect(furthest(drawn, await decode(drafts))).toBeLessThan(1e-4);
      const edited = await finish(steps, { task: 'edit', source });
      expect(furthest(edited, await decode(halves))).toBeLessThan(1e-4);
    }
  });

  test('is told a draft', async () => {
    await expect(ensureDecoder(plain, { ...told, draft: false })).rejects.toThrow(
      /draft.*expected true, since source is reference/s,
    );
  });
});

describe('a trained autoencoder', { timeout: 120_000 }, () => {
  const vae = referencePath('tiny-a', 'checkpoints/lumina-image2-tiny/vae');
  const { autoencoder: _, ...others } = smallDecoder;
  const settings = { ...others, autoencoderFrom: vae };

  test('is copied with its configuration, and the decoder draws in its latents', async () => {
    const folder = path.join(root, 'given');
    await cp(plain, folder, { recursive: true });
    await ensureDecoder(folder, settings);
    const config = await readFile(path.join(folder, 'checkpoints/Lumina2-small/vae/config.json'), 'utf8');
    expect(JSON.parse(config)).toEqual(JSON.parse(await readFile(path.join(vae, 'config.json'), 'utf8')));
    await using source = await openCheckpoint(path.join(vae, 'diffusion_pytorch_model.safetensors'));
    const decoder = await openDiffusionDecoder({ folder: await openModelFolder(folder) });
    expect([...decoder.vae.weights.entries.keys()].sort()).toEqual([...source.entries.keys()].sort());
    for (const name of source.entries.keys()) {
      const [ours, theirs] = [await decoder.vae.weights.read(name), (await source.read(name)).data];
      // The model's type is bfloat16: 8 bits of a number.
      expect(
        ours.every((value, at) => Math.abs(value - Number(theirs[at])) <= 2 ** -8 * Math.abs(Number(theirs[at]))),
      ).toBe(true);
    }
    expect(decoder.transformer.config.latentChannels).toBe(4);
    await using star = await Star.load(folder, { device: 'cpu' });
    const { images } = await star.generate('a red cup', { decoder: 'diffusion', seed: 3, steps: 1 });
    expect(images[0]!.width).toBe(32);
    // It is the model's own now: a stage that goes on does not ask for the folder again.
    const gone = { ...settings, autoencoderFrom: path.join(root, 'gone') };
    await ensureDecoder(folder, gone);
    const wider = { ...gone, transformer: { ...settings.transformer, layers: 2 } };
    await expect(ensureDecoder(folder, wider)).rejects.toThrow(/of other sizes: transformer\.layers differ/);
  });

  test('is refused with sizes beside it, without a folder, and where weights do not fit', async () => {
    const both = { ...smallDecoder, autoencoderFrom: vae };
    await expect(ensureDecoder(plain, both)).rejects.toThrow(
      /expected either autoencoder, with sizes, or autoencoderFrom/,
    );
    await expect(ensureDecoder(plain, others)).rejects.toThrow(
      /expected either autoencoder, with sizes, or autoencoderFrom/,
    );
    const missing = path.join(root, 'nowhere');
    await expect(ensureDecoder(plain, { ...others, autoencoderFrom: missing })).rejects.toThrow(
      /nowhere: expected the folder of the autoencoder/,
    );
    const misfit = path.join(root, 'misfit-vae');
    await cp(vae, misfit, { recursive: true });
    const file = path.join(misfit, 'config.json');
    const wider = { ...JSON.parse(await readFile(file, 'utf8')), latent_channels: 8 };
    await writeFile(file, JSON.stringify(wider));
    await expect(ensureDecoder(plain, { ...others, autoencoderFrom: misfit })).rejects.toThrow(/conv_out\.weight/);
    expect(JSON.parse(await readFile(configOf(plain), 'utf8'))).not.toHaveProperty('pixel_decoder');
    expect(await readdir(path.join(plain, 'checkpoints'))).not.toContain('Lumina2-small');
  });
});

describe('refuses', { timeout: 60_000 }, () => {
  test('a decoder of other sizes', async () => {
    const other = { ...smallDecoder, shift: 3, transformer: { ...smallDecoder.transformer, layers: 2 } };
    await expect(ensureDecoder(whole, other)).rejects.toThrow(
      /STAR_small\.json names a diffusion decoder of other sizes: transformer\.layers, scheduler\.shift differ$/,
    );
  });

  test('sizes that contradict each other', async () => {
    await expect(ensureDecoder(plain, { ...smallDecoder, resolution: 30 })).rejects.toThrow(
      /decoder settings, resolution: expected a multiple of 8, the pixels of a patch, got 30$/,
    );
    const transformer = { ...smallDecoder.transformer, heads: 3 };
    await expect(ensureDecoder(plain, { ...smallDecoder, transformer })).rejects.toThrow(/num_attention_heads/);
    expect(JSON.parse(await readFile(configOf(plain), 'utf8'))).not.toHaveProperty('pixel_decoder');
  });

  test('a folder that is in the way', async () => {
    const folder = path.join(root, 'taken');
    await cp(plain, folder, { recursive: true });
    await mkdir(path.join(folder, 'checkpoints/Lumina2-small/text_encoder'), { recursive: true });
    await expect(ensureDecoder(folder, smallDecoder)).rejects.toThrow(
      /Lumina2-small: expected no such folder.*text_encoder/,
    );
  });

  test('captions of another size than the base’s states, and a text encoder that is named all the same', async () => {
    const folder = path.join(root, 'misfit');
    await cp(whole, folder, { recursive: true });
    const change = async (name: string, changes: object) => {
      const file = path.join(folder, 'checkpoints/Lumina2-small', name);
      await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...changes }));
    };
    const open = async () => openDiffusionDecoder({ folder: await openModelFolder(folder) });
    await change('transformer/config.json', { cap_feat_dim: 48 });
    await expect(open()).rejects.toThrow(
      /config\.json, cap_feat_dim: expected 32, as in the base, which reads the captions, got 48$/,
    );
    await change('transformer/config.json', { cap_feat_dim: 32 });
    await change('model_index.json', { text_encoder: ['transformers', 'Gemma2Model'] });
    await expect(open()).rejects.toThrow(/text_encoder: expected no other parts than transformer, vae, scheduler/);
  });
});
