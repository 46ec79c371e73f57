import { expect, test } from 'vitest';
import { nanoWorld } from '../../data/world/profile.ts';
import { World } from '../../data/world/world.ts';
import { resizeImage } from '../../image/resize.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { changedRegion, sampleEditItems } from '../imgedit/emoji-imgedit.ts';
import { evaluateDecoder, type PixelDecoders } from './emoji-decoder.ts';
import { finitePsnrOfError } from './emoji-tokenizer.ts';

test('a decoder that knows the true picture wins, one that draws grey loses, the same picture is even', async () => {
  const world = await World.open(nanoWorld);
  const [size, resolution, seed, scenes] = [32, 64, 7, 3];
  let coded: RgbImage;
  const asked: [caption: string, seed: number][] = [];
  const run = async (diffuse: PixelDecoders['diffuse']) => {
    const { report } = await evaluateDecoder({
      ...{ world, size, resolution, seed, scenes, edits: [], source: { name: 'test', sampler: { steps: 4 } } },
      decoders: {
        encode: async (image) => {
          coded = image;
          return [1, 2];
        },
        redraw: async () => coded,
        diffuse,
        edit: () => Promise.reject(new Error('no edits')),
      },
    });
    return report;
  };
  const truth = (index: number) => world.render(world.scene(seed, index, 'any'), resolution);
  const perfect = await run(async (codes, caption, own) => {
    expect(codes).toEqual([1, 2]);
    asked.push([caption, own]);
    return truth(own - seed);
  });
  const values = perfect.scores.map(({ estimate }) => estimate.value);
  expect(values[0]).toBeGreaterThan(50);
  expect(values[1]).toBeLessThan(40);
  expect(values[2]).toBeCloseTo(values[0]! - values[1]!, 9);
  expect(asked.map(([, own]) => own)).toEqual([7, 8, 9]);
  expect(asked.every(([caption]) => caption.startsWith('a photo of'))).toBe(true);
  expect(perfect.sampler).toEqual({ source: 'test', steps: 4 });

  const grey = await run(async () => ({ ...truth(0), data: truth(0).data.map(() => 128) }));
  expect(grey.scores[2]!.estimate.value).toBeLessThan(0);
  const even = await run(async () => resizeImage(coded, resolution, resolution, 'bicubic'));
  expect(even.scores[2]!.estimate).toMatchObject({ value: 0, low: 0, high: 0 });
});

test('what an edit leaves alone is compared with the source', async () => {
  const world = await World.open(nanoWorld);
  const [size, resolution, seed] = [32, 64, 7];
  const edits = sampleEditItems(world, { size: resolution, seed, perType: 1 });
  const left = edits.filter((item) => changedRegion(item).includes(0));
  expect(left.length).toBeGreaterThan(3);
  const seeds: number[] = [];
  const { report } = await evaluateDecoder({
    ...{ world, size, resolution, seed, scenes: 1, edits, source: { name: 'test', sampler: {} } },
    decoders: {
      encode: async () => [],
      redraw: async () => world.render(world.scene(seed, 0, 'any'), size),
      diffuse: async () => world.render(world.scene(seed, 0, 'any'), resolution),
      // One gives the target, which is the source where nothing changes; the other a smaller copy of it.
      edit: async (decoder, source, instruction, own) => {
        seeds.push(own);
        const { target } = edits.find((item) => item.source === source && item.edit.instruction === instruction)!;
        return decoder === 'diffusion' ? target : resizeImage(target, size, size, 'bicubic');
      },
    },
  });
  const [diffusion, vq, gain] = report.scores.slice(3).map(({ estimate }) => estimate);
  expect(diffusion!.value).toBeCloseTo(finitePsnrOfError(0), 9);
  expect(diffusion!.units).toBe(left.length);
  expect(vq!.value).toBeLessThan(40);
  expect(gain!.value).toBeCloseTo(diffusion!.value - vq!.value, 9);
  expect(seeds).toEqual(left.flatMap((_, index) => [seed + index, seed + index]));
  expect(report.images).toBe(1 + left.length);
});
