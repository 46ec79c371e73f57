/** The autoencoder against the reference vectors, and what they do not cover against arithmetic of its own. */

import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readReference, referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { nodeFiles } from '../../checkpoint/node-files.ts';
import type { Declare } from '../../nn/parameters.ts';
import { Runtime } from '../../runtime/runtime.ts';
import { type CompiledProgram, constant, type TensorValue } from '../../tensor/index.ts';
import { readJsonFile } from '../config-file.ts';
import { openLumina2Folder } from './folder.ts';
import { declareVae } from './vae.ts';
import { parseVaeConfig, type VaeConfig } from './vae-config.ts';
import { compileVaeDecoder, compileVaeEncoder, latentNoise, latentStreams, zeroLatents } from './vae-programs.ts';
import { openPartWeights, overlayPrefixes } from './weights.ts';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await Runtime.create({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.dispose());

async function openVae(variant: (typeof referenceVariants)[number], { overlay = false } = {}) {
  const checkpoints = referencePath(variant, 'checkpoints');
  const { vae } = await openLumina2Folder(nodeFiles, path.join(checkpoints, 'lumina-image2-tiny'));
  const config = parseVaeConfig(await readJsonFile(vae.configFile), vae.configFile);
  const { declare } = await openPartWeights(vae, (each) => declareVae(each, config), {
    files: nodeFiles,
    folder: checkpoints,
    overlay: overlay ? { file: path.join(checkpoints, 'STAR-tiny.pt'), prefix: overlayPrefixes.vae } : undefined,
  });
  const { image, moments_mean, moments_logvar, decoded } = readReference(variant, 'diffusion_vae');
  const run = async (program: CompiledProgram, feeds: Record<string, TensorValue>) => {
    await using session = await runtime.load(program, { weightsFolder: checkpoints });
    const outputs = await session.run(feeds);
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
  };
  return { config, declare, run, image: image!, mean: moments_mean!, logvar: moments_logvar!, decoded: decoded! };
}

type Values = ArrayLike<number>;

function float32(shape: readonly number[], data: Values): TensorValue {
  return { dtype: 'float32', shape, data: Float32Array.from(data) };
}

function largestDifference(a: Values, b: Values): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((largest, value, at) => Math.max(largest, Math.abs(value - b[at]!)), 0);
}

/** float32 rounding through some twenty convolutions; a picture has them all and values of 4 and more. */
const tolerance = 5e-6;
const pictureTolerance = 5e-5;

/** `declare` with some parameters replaced by constants of one value, or of one a place. */
function replacing(declare: Declare, values: Readonly<Record<string, (place: number) => number>>): Declare {
  return (name, shape) => {
    const value = values[name];
    if (!value) return declare(name, shape);
    const length = shape.reduce((product, size) => product * size, 1);
    return constant(
      'float32',
      shape,
      Array.from({ length }, (_, place) => value(place)),
    );
  };
}

describe.each(referenceVariants)('the autoencoder of %s', (variant) => {
  test.each([
    ['the folder', false],
    ['the STAR checkpoint', true],
  ])('moments and picture as published, with the weights of %s', async (_, overlay) => {
    const { config, declare, run, ...expected } = await openVae(variant, { overlay });
    const zeros = zeroLatents(expected.mean.shape);
    const picture = float32(expected.image.shape, expected.image.data);
    const { latents, mean, logvar } = await run(compileVaeEncoder(declare, config), { picture, noise: zeros });
    expect(largestDifference(mean!, expected.mean.data)).toBeLessThan(tolerance);
    expect(largestDifference(logvar!, expected.logvar.data)).toBeLessThan(tolerance);
    const scaled = Float32Array.from(mean!, (value) => (value - config.shiftFactor) * config.scalingFactor);
    expect(largestDifference(latents!, scaled)).toBeLessThan(1e-7);
    const decoded = await run(compileVaeDecoder(declare, config), { latents: float32(zeros.shape, latents!) });
    expect(largestDifference(decoded.picture!, expected.decoded.data)).toBeLessThan(pictureTolerance);
  });
});

describe('beyond the vectors', () => {
  let vae: Awaited<ReturnType<typeof openVae>>;
  beforeAll(async () => {
    vae = await openVae('tiny-b');
  });
  const encode = (config: VaeConfig, declare: Declare, noise = zeroLatents(vae.mean.shape)) =>
    vae.run(compileVaeEncoder(declare, config), { picture: float32(vae.image.shape, vae.image.data), noise });
  const decode = async (config: VaeConfig, declare: Declare, latents: Values) =>
    (await vae.run(compileVaeDecoder(declare, config), { latents: float32(vae.mean.shape, latents) })).picture!;
  const scale = (latents: Values) =>
    Array.from(latents, (value) => (value - vae.config.shiftFactor) * vae.config.scalingFactor);

  test('a draw is the mean and so much noise as the variance says', async () => {
    const noise = latentNoise(vae.mean.shape, 5, latentStreams.source);
    const { latents } = await encode(vae.config, vae.declare, noise);
    const expected = Array.from(
      vae.mean.data,
      (mean, at) => mean + Math.exp(vae.logvar.data[at]! / 2) * noise.data[at]!,
    );
    expect(largestDifference(latents!, scale(expected))).toBeLessThan(tolerance);
    expect(largestDifference(latents!, scale(vae.mean.data))).toBeGreaterThan(0.1);
  });

  test('any size and batch: the same as programs made for the size, each picture for itself', async () => {
    const { config, declare, run } = vae;
    const [rows, columns] = [3, 5];
    const shape = [2, 3, 8 * rows, 8 * columns];
    const picture = float32(shape, latentNoise(shape, 1, latentStreams.start).data);
    const noise = zeroLatents([2, config.latentChannels, rows, columns]);
    const any = await run(compileVaeEncoder(declare, config), { picture, noise });
    const fixed = await run(compileVaeEncoder(declare, config, { rows, columns }), { picture, noise });
    expect(largestDifference(any.latents!, fixed.latents!)).toBeLessThan(tolerance);
    const latents = float32(noise.shape, any.latents!);
    const anyPicture = await run(compileVaeDecoder(declare, config), { latents });
    const fixedPicture = await run(compileVaeDecoder(declare, config, { rows, columns }), { latents });
    expect(largestDifference(anyPicture.picture!, fixedPicture.picture!)).toBeLessThan(tolerance);
    const second = any.latents!.subarray(any.latents!.length / 2);
    const alone = await run(compileVaeDecoder(declare, config), {
      latents: float32([1, ...noise.shape.slice(1)], second),
    });
    const half = anyPicture.picture!.length / 2;
    expect(largestDifference(alone.picture!, anyPicture.picture!.subarray(half))).toBeLessThan(tolerance);
  });

  test('a convolution after the encoder, one before the decoder', async () => {
    const config = { ...vae.config, quantConvolution: true, postQuantConvolution: true };
    const channels = config.latentChannels;
    const twice = (size: number) => (place: number) => (place % (size + 1) === 0 ? 2 : 0);
    const declare = replacing(vae.declare, {
      'quant_conv.weight': twice(2 * channels),
      'quant_conv.bias': (channel) => channel,
      'post_quant_conv.weight': twice(channels),
      'post_quant_conv.bias': (channel) => -channel,
    });
    const moments = await encode(config, declare);
    const place = vae.mean.data.length / channels;
    const doubled = (values: Values, first: number) =>
      Array.from(values, (value, at) => 2 * value + first + Math.floor(at / place));
    expect(largestDifference(moments.mean!, doubled(vae.mean.data, 0))).toBeLessThan(2 * tolerance);
    expect(largestDifference(moments.logvar!, doubled(vae.logvar.data, channels))).toBeLessThan(2 * tolerance);
    const halved = Array.from(vae.mean.data, (value, at) => (value + Math.floor(at / place)) / 2);
    const picture = await decode(config, declare, scale(halved));
    expect(largestDifference(picture, vae.decoded.data)).toBeLessThan(pictureTolerance);
  });

  test('the logarithm of the variance is limited', async () => {
    const config = { ...vae.config, quantConvolution: true };
    const declare = replacing(vae.declare, {
      'quant_conv.weight': () => 0,
      'quant_conv.bias': (channel) => (channel % 2 === 0 ? 100 : -100),
    });
    const { mean, logvar } = await encode(config, declare);
    expect(new Set(mean)).toEqual(new Set([100, -100]));
    expect(new Set(logvar)).toEqual(new Set([20, -30]));
  });

  test('a middle without attention is one whose attention adds nothing', async () => {
    const without = { ...vae.config, middleAttention: false };
    const silent = replacing(vae.declare, {
      'decoder.mid_block.attentions.0.to_out.0.weight': () => 0,
      'decoder.mid_block.attentions.0.to_out.0.bias': () => 0,
    });
    const picture = await decode(without, vae.declare, scale(vae.mean.data));
    expect(largestDifference(picture, await decode(vae.config, silent, scale(vae.mean.data)))).toBeLessThan(tolerance);
    expect(largestDifference(picture, vae.decoded.data)).toBeGreaterThan(1e-3);
  });
});

describe('noise', () => {
  test('an image has the same noise alone, in a batch, and as a later image of an earlier seed', () => {
    const batch = latentNoise([3, 2, 2, 2], 7, latentStreams.start).data;
    expect(batch.subarray(8, 16)).toEqual(latentNoise([1, 2, 2, 2], 8, latentStreams.start).data);
    expect(new Set(batch).size).toBe(batch.length);
  });

  test('a start and a source of one seed are independent', () => {
    const [start, source] = Object.values(latentStreams).map((stream) => latentNoise([1, 4, 16, 16], 1, stream).data);
    const product = start!.reduce((sum, value, at) => sum + value * source![at]!, 0) / start!.length;
    expect(Math.abs(product)).toBeLessThan(0.1);
    expect(start!.reduce((sum, value) => sum + value ** 2, 0) / start!.length).toBeCloseTo(1, 1);
  });
});
