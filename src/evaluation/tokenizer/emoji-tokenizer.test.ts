import { expect, test } from 'vitest';
import { nanoWorld } from '../../data/world/profile.ts';
import { World } from '../../data/world/world.ts';
import { Checker } from '../checker/checker.ts';
import { blurAndNoise } from '../checker/degrade.ts';
import { evaluateTokenizer, type Reconstructor } from './emoji-tokenizer.ts';

test('a perfect tokenizer keeps everything, a hopeless one nothing', async () => {
  const world = await World.open(nanoWorld);
  const checker = new Checker(world.atlas, nanoWorld);
  const run = (reconstruct: Reconstructor) =>
    evaluateTokenizer({
      world,
      reconstruct,
      codebookSize: 8,
      checker,
      source: { name: 'test', sampler: {} },
      size: 64,
      seed: 12,
      scenes: 4,
    });
  const values = async (reconstruct: Reconstructor) => {
    const { report } = await run(reconstruct);
    return report.scores.map(({ estimate }) => estimate.value);
  };
  const perfect = await run(async (image) => ({ image, codes: [0, 1, 2, 3] }));
  const [psnr, ssim, , l1, before, after] = perfect.report.scores.map(({ estimate }) => estimate.value);
  expect(psnr).toBeGreaterThan(50);
  expect([ssim, l1, before, after]).toEqual([expect.closeTo(1, 9), 0, 1, 1]);
  expect(perfect.report.tables[0]!.rows[0]!.slice(0, 3)).toEqual([16, 8, 0.5]);
  const [softPsnr, softSsim] = await values(async (image) => ({ image: blurAndNoise(image, 1), codes: [0] }));
  expect(softPsnr).toBeGreaterThan(22);
  expect(softPsnr).toBeLessThan(32);
  expect(softSsim).toBeLessThan(0.95);
  const grey = await values(async (image) => ({ image: { ...image, data: image.data.map(() => 128) }, codes: [0] }));
  expect(grey.at(-1)).toBe(0);
});
