/** The studio as a static site: built, served as files, and drawing in Chromium itself. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/image/decode.ts';
import { readRecipe } from '../../src/tasks/recipe.ts';
import { Star } from '../../src/tasks/star.ts';
import { chromiumPath, named } from '../browsers.ts';
import { type StaticServer, serveFolder } from '../contract/static-server.ts';
import {
  ask,
  drop,
  expectAccessible,
  type Pages,
  phasesOf,
  placesInLine,
  shownPicture,
  startPages,
  web,
} from './pages.ts';

const minute = 60_000;
const megabyte = 1e6;

describe.skipIf(chromiumPath === undefined)(named('static site'), () => {
  let folder: string;
  let star: Star;
  let pages: Pages;
  /** With the headers of `_headers`, and without any. */
  let isolated: StaticServer;
  let bare: StaticServer;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'starstack-site-'));
    await build({ root: web, mode: 'site', build: { outDir: folder } });
    isolated = await serveFolder(folder, await headersOf(folder));
    bare = await serveFolder(folder, {});
    pages = await startPages();
    star = await Star.load('nano', { device: 'cpu', threads: 1 });
  }, 4 * minute);
  afterAll(async () => {
    await pages?.[Symbol.asyncDispose]();
    await star?.dispose();
    for (const server of [isolated, bare]) await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }, minute);

  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
  const ready = (page: Page) => page.getByText('STAR_nano').waitFor();
  const setSeed = async (page: Page, seed: number) => {
    await page.getByLabel('Seed', { exact: true }).fill(String(seed));
    await page.getByLabel('Seed', { exact: true }).press('Tab');
  };

  test('holds no module of Node, and its first load is below 40 MB', async () => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const names = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    for (const name of names.filter((each) => each.endsWith('.js'))) {
      const script = await readFile(name, 'utf8');
      expect(script, name).not.toMatch(/__vite-browser-external|from\s*["']node:|import\(["']node:/);
    }
    // All of the site, with the larger of the two runtimes alone.
    const files = names.filter((name) => !/simd-threaded\.(mjs|wasm)$/.test(name));
    const sizes = await Promise.all(files.map(async (name) => gzipSync(await readFile(name)).length));
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(40 * megabyte);
  });

  test(
    'loads with progress, draws as Node does, edits, answers; its picture brings its settings back',
    async () => {
      const page = await pages.open(isolated.url);
      await page.getByText(/Fetching the model: [\d.]+ of 25\.\d MB|Starting the model/).waitFor();
      await expectAccessible(page);
      await ready(page);
      await page.getByText(/^Computed in this browser, by wasm on \d+ threads?\.$/).waitFor();

      await setSeed(page, 7);
      const seen = phasesOf(page);
      await ask(page, 'two red apples');
      expect(await seen).toEqual(expect.arrayContaining(['thinking', 'drawing', 'preview', 'done']));
      const { images } = await star.generate('two red apples', { seed: 7 });
      const png = await shownPicture(page);
      expect(readRecipe(png, 'shown')).toEqual(images[0]!.recipe);
      expect(await farthest(png, images[0]!.data)).toBeLessThanOrEqual(2);

      await button(page, 'Edit this').click();
      await setSeed(page, 3);
      await ask(page, 'make the apples green');
      await page.getByLabel('How much of the picture after is shown').waitFor();
      await expectAccessible(page);

      await button(page, 'Ask about it').click();
      await ask(page, 'What is in the picture?');
      const answer = page.locator('li.assistant:not(:has(.caret)) p');
      await answer.waitFor();
      expect((await answer.textContent())!.trim().length).toBeGreaterThan(0);
      await expectAccessible(page);

      await page.reload();
      await page.getByText('Draw', { exact: true }).first().click();
      await ready(page);
      await drop(page, 'apples.png', png);
      await page.getByText('Prompt, seed and settings are those of apples.png.').waitFor();
      expect(await page.inputValue('#prompt')).toBe('two red apples');
      expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe('7');
      expect(pages.faults).toEqual([]);
    },
    2 * minute,
  );

  test(
    'without the headers it runs on one thread and says so; orders wait in line and leave it when they are cancelled',
    async () => {
      const page = await pages.open(bare.url);
      await page.getByText('Computed in this browser, by wasm on one thread.').waitFor();
      await page.getByText(/the page is not cross-origin isolated/).waitFor();
      await page.getByRole('combobox', { name: 'Pictures' }).selectOption('4');
      const places = placesInLine(page);
      await ask(page, 'a photo of a dog');
      await page.getByRole('button', { name: 'Show picture 4' }).click();
      const [first, second] = await places;
      expect([second, first! <= 3]).toEqual([first! - 1, true]);
      await page.keyboard.press('Escape');
      await page.getByText('The request was ended and its place is free again.').waitFor();
      await expectAccessible(page);

      // The line is empty: the next order is drawn.
      await page.getByRole('combobox', { name: 'Pictures' }).selectOption('1');
      await ask(page, 'a photo of a cat');
      await page.locator('figure[data-phase=done]').waitFor();
      expect(pages.faults).toEqual([]);
    },
    2 * minute,
  );

  test(
    'goes on with wasm where WebGPU gives no adapter, and where it fails when it starts',
    async () => {
      const adapters = {
        'the browser gives no graphics adapter': () => null,
        // Promised in the page, and not there in the worker.
        'WebGPU cannot be used: program probe cannot be loaded': () => ({ info: { isFallbackAdapter: false } }),
      };
      const notes = Object.keys(adapters);
      for (const [note, adapter] of Object.entries(adapters)) {
        const page = await pages.open(isolated.url, {}, (context) =>
          context.addInitScript(
            `Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: async () => (${adapter})() } })`,
          ),
        );
        await page.getByText(/^Computed in this browser, by wasm/).waitFor();
        await page.getByText(note).waitFor();
        if (note === notes.at(-1)) {
          await page.getByLabel('Think first').uncheck();
          await ask(page, 'a photo of a cat');
          await page.locator('figure[data-phase=done]').waitFor();
        }
        await page.context().close();
      }
    },
    2 * minute,
  );

  test(
    'says what is wrong: a file that is not there, a picture that is none, a device that it does not know',
    async () => {
      const page = await pages.open(isolated.url, {}, (context) =>
        context.route('**/*.safetensors', (route) => route.abort()),
      );
      await page.getByRole('alert').getByText('The model could not be fetched').waitFor();
      await expectAccessible(page);
      await page.context().unroute('**/*.safetensors');
      await button(page, 'Try again').click();
      await ready(page);
      await drop(page, 'torn.png', new Uint8Array(99));
      await ask(page, 'make it green');
      await page.getByRole('alert').getByText('The request was not accepted').waitFor();
      await page.getByRole('alert').getByText('expected a whole JPEG, PNG or WebP image').waitFor();
      const fetched: string[] = [];
      page.on('request', (request) => fetched.push(request.url()));
      await page.goto(`${isolated.url}?device=abacus`);
      await page.getByRole('alert').getByText('device must be one of auto, cpu, webgpu').waitFor();
      expect(fetched.filter((url) => url.includes('/models/'))).toEqual([]);
    },
    2 * minute,
  );
});

/** The headers of the site's own list. */
async function headersOf(folder: string): Promise<Record<string, string>> {
  const text = await readFile(path.join(folder, '_headers'), 'utf8');
  return Object.fromEntries([...text.matchAll(/^ {2}([\w-]+): (.*)$/gm)].map(([, name, value]) => [name!, value!]));
}

/** How far the pixels of a file are from others at most: the decoder's last bits differ between builds of ONNX Runtime. */
async function farthest(png: Uint8Array, data: Uint8Array): Promise<number> {
  const own = (await decodeImage(png)).data;
  expect(own.length).toBe(data.length);
  return own.reduce((most, value, index) => Math.max(most, Math.abs(value - data[index]!)), 0);
}
