/** One contract for every platform: the same `Star` in Node, and in a browser on wasm and on WebGPU. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BrowserProgram, chromiumPath, firefox, miniBrowser, noChromium } from '../browsers.ts';
import { askingPlatform, type BrowserCommand, firefoxCommand, miniBrowserCommand } from './asking-page.ts';
import { browserPlatform, buildSite, cutCheckpoint, nodePlatform, type Platform } from './platforms.ts';
import type { Drawn, OpenOptions, Pixels } from './scenarios.ts';

const prompt = 'two red apples';
const greedy = { seed: 3, temperature: 0, reasoning: false };
const sampled = { seed: 7, preview: 'linear' } as const;
/** A picture of nano has 8 rows of 8 tokens. */
const rows = [8, 16, 24, 32, 40, 48, 56];

/** A PNG of nano's size whose left half is opaque, as an address. */
let leftHalf: string;

/** Of a picture of 64 x 64 pixels, but for the columns that a mask's edge may touch. */
function halvesOf(data: readonly number[]) {
  const columns = (from: number, to: number) =>
    Array.from({ length: 64 }, (_, y) => data.slice(3 * (64 * y + from), 3 * (64 * y + to)));
  return { left: columns(0, 31), right: columns(33, 64) };
}

let work: string;
let reference: { readonly greedy: Drawn; readonly sampled: Drawn; readonly diffused: readonly Pixels[] };

beforeAll(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'starstack-contract-'));
  await cp('models/nano', path.join(work, 'node/nano'), { recursive: true });
  await cp('models/nano', path.join(work, 'node/cut'), { recursive: true });
  await cutCheckpoint(path.join(work, 'node/cut'));
  const rgba = Buffer.alloc(64 * 64 * 4);
  for (let pixel = 0; pixel < 64 * 64; pixel++) rgba[4 * pixel + 3] = pixel % 64 < 32 ? 255 : 0;
  const png = await sharp(rgba, { raw: { width: 64, height: 64, channels: 4 } })
    .png()
    .toBuffer();
  leftHalf = `data:image/png;base64,${png.toString('base64')}`;
  const { run } = await nodePlatform();
  await run('open', path.join(work, 'node/nano'), { device: 'cpu', threads: 2 });
  reference = {
    greedy: await run('draw', prompt, greedy),
    sampled: await run('draw', prompt, sampled),
    diffused: await run('diffuse', prompt, 'make the apples green', sampled),
  };
  await run('close');
  if ([chromiumPath, firefox.path, miniBrowser.path].every((program) => program === undefined)) return;
  const site = path.join(work, 'site');
  await buildSite(site);
  await cp(path.join(site, 'models/nano'), path.join(site, 'models/cut'), { recursive: true });
  await cutCheckpoint(path.join(site, 'models/cut'));
}, 300_000);

afterAll(() => rm(work, { recursive: true, force: true }));

interface Contract {
  readonly name: string;
  readonly start: () => Promise<Platform>;
  readonly models: () => string;
  readonly options: OpenOptions;
  readonly chosen: 'cpu' | 'webgpu';
  readonly warnings: readonly string[];
  readonly downloads: boolean;
  readonly faults: { readonly missing: string; readonly cut: string };
  /** Why the whole platform cannot be tried here. */
  readonly skip?: string | undefined;
  /** Why only loading and greedy drawing are tried. */
  readonly brief?: string | undefined;
}

const inBrowser = (isolated: boolean, webgpu: boolean) => ({
  start: () => browserPlatform({ site: path.join(work, 'site'), isolated, webgpu }),
  models: () => 'models',
  downloads: true,
  faults: { missing: 'model_manifest_missing', cut: 'model_file_damaged' },
  skip: noChromium,
});

/** Another browser, with two threads of wasm. */
const inOther = (command: () => BrowserCommand, { missing }: BrowserProgram) => ({
  ...inBrowser(true, false),
  start: () => askingPlatform({ site: path.join(work, 'site'), command: command() }),
  skip: missing,
  options: { device: 'cpu', threads: 2 } as const,
  chosen: 'cpu' as const,
  warnings: [],
});

const contracts: Contract[] = [
  {
    name: 'Node, CPU',
    start: nodePlatform,
    models: () => path.join(work, 'node'),
    options: { device: 'cpu', threads: 2 },
    chosen: 'cpu',
    warnings: [],
    downloads: false,
    faults: { missing: 'config_not_found', cut: 'checkpoint_invalid' },
  },
  {
    name: 'browser, wasm, 2 threads',
    ...inBrowser(true, false),
    options: { device: 'auto', threads: 2 },
    chosen: 'cpu',
    warnings: [],
  },
  {
    name: 'browser, wasm, without the headers of isolation',
    ...inBrowser(false, false),
    options: { device: 'cpu', threads: 2 },
    chosen: 'cpu',
    warnings: ['runtime_single_thread'],
    brief: 'one thread computes what two do',
  },
  {
    name: 'browser, WebGPU by SwiftShader',
    ...inBrowser(true, true),
    options: { device: 'webgpu', threads: 2 },
    chosen: 'webgpu',
    warnings: [],
    brief: 'SwiftShader computes shaders on the CPU and takes minutes for the rest',
  },
  { name: 'Firefox, wasm, 2 threads', ...inOther(() => firefoxCommand(firefox.path!), firefox) },
  {
    name: 'WebKit, wasm, 2 threads',
    ...inOther(() => miniBrowserCommand(miniBrowser.path!, miniBrowser.display!), miniBrowser),
  },
];

for (const contract of contracts) {
  const { name, options, skip, brief } = contract;
  const title = skip === undefined ? name : `${name} (skipped: ${skip})`;
  describe.skipIf(skip !== undefined)(title, { timeout: 300_000 }, () => {
    let platform: Platform;
    const model = (folder: string) => `${contract.models()}/${folder}`;
    const whole = it.skipIf(brief !== undefined);
    const because = brief === undefined ? '' : ` (skipped: ${brief})`;

    beforeAll(async () => {
      platform = await contract.start();
    }, 60_000);
    afterAll(() => platform?.[Symbol.asyncDispose]());

    it('says what is wrong with a model that is not there', async () => {
      const fault = await platform.run('openFault', model('absent'), options);
      expect(fault.code).toBe(contract.faults.missing);
      expect(fault.message).toContain('absent');
    });

    it('says what is wrong with a file that was cut', async () => {
      const fault = await platform.run('openFault', model('cut'), options);
      expect(fault.code).toBe(contract.faults.cut);
      expect(fault.message).toContain('STAR-nano.safetensors');
    });

    it('loads, and says on what it runs', async () => {
      const { device, warnings, fromCache } = await platform.run('open', model('nano'), options);
      expect(device.chosen).toBe(contract.chosen);
      expect(warnings.map(({ code }) => code)).toEqual(contract.warnings);
      expect(fromCache).toBe(contract.downloads ? false : undefined);
    });

    const uncached = contract.downloads ? because : ' (skipped: it is on the disk)';
    it.skipIf(uncached !== '')(`takes the model from the browser's cache the second time${uncached}`, async () => {
      await platform.run('close');
      expect((await platform.run('open', model('nano'), options)).fromCache).toBe(true);
    });

    it('draws the same tokens greedily', async () => {
      const drawn = await platform.run('draw', prompt, greedy);
      expect(drawn.tokens).toEqual(reference.greedy.tokens);
    });

    whole(`draws the same tokens from a seed, with previews row by row${because}`, async () => {
      const drawn = await platform.run('draw', prompt, sampled);
      expect(drawn.tokens).toEqual(reference.sampled.tokens);
      expect(drawn.events).toEqual(reference.sampled.events);
      expect(drawn.previews).toEqual(rows);
      expect(drawn.seed).toBe(sampled.seed);
    });

    whole(`stops within one row when it is cancelled, and draws again${because}`, async () => {
      const cancelled = await platform.run('cancel', prompt, 3);
      expect(cancelled).toMatchObject({ code: 'aborted', rowsAfter: 0 });
      expect((await platform.run('draw', prompt, greedy)).tokens).toEqual(reference.greedy.tokens);
    });

    whole(`edits and answers, from pixels and from a file${because}`, async () => {
      const asked = [prompt, 'make the apples green', 'What is in the picture?', greedy] as const;
      const { edited, ofFile, answer } = await platform.run('editAndAsk', ...asked);
      expect(edited.tokens).toHaveLength(64);
      expect(ofFile.tokens).toEqual(edited.tokens);
      expect(answer.length).toBeGreaterThan(0);
    });

    whole(`keeps every pixel that a mask covers, in previews too${because}`, async () => {
      const pictures = await platform.run('editPart', prompt, 'make the apples green', leftHalf, greedy);
      const [drawn, edited, preview] = pictures.map(({ data }) => halvesOf(data));
      expect(edited!.left).toEqual(drawn!.left);
      expect(preview!.left).toEqual(drawn!.left);
      expect(edited!.right).not.toEqual(drawn!.right);
    });

    whole(`draws and edits through the diffusion decoder, the same pictures${because}`, async () => {
      const pictures = await platform.run('diffuse', prompt, 'make the apples green', sampled);
      expect(pictures.map(({ width }) => width)).toEqual([128, 128]);
      pictures.forEach(({ data }, at) => {
        const other = reference.diffused[at]!.data;
        expect(data.length).toBe(other.length);
        const apart = data.map((value, index) => Math.abs(value - other[index]!));
        // Processors round in other orders; a picture has 256 levels.
        expect(Math.max(...apart)).toBeLessThanOrEqual(2);
      });
    });

    whole(`reads the recipe back from a PNG${because}`, async () => {
      const recipe = await platform.run('recipe', prompt, 11);
      expect(recipe).toMatchObject({ version: 1, task: 'generate', prompt, seed: 11, model: 'STAR_nano' });
      expect(recipe.fingerprint).toMatch(/^[0-9a-f]{16}$/);
    });

    it('refuses to work once it is disposed of', async () => {
      expect((await platform.run('close')).code).toBe('runtime_disposed');
    });
  });
}
