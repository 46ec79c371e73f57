/** `examples/browser` as `npm run build:example` builds it, in Chromium, from a server that sends no headers: on one thread. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Star } from '../../src/tasks/star.ts';
import { chromiumPath, named } from '../browsers.ts';
import { type StaticServer, serveFolder } from '../contract/static-server.ts';

describe.skipIf(chromiumPath === undefined)(named('browser page'), () => {
  let folder: string;
  let server: StaticServer;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'starstack-page-'));
    const configFile = 'examples/browser/vite.config.ts';
    await build({ configFile, logLevel: 'error', build: { outDir: folder, emptyOutDir: true } });
    server = await serveFolder(folder, {});
    browser = await chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] });
    page = await browser.newPage();
    page.setDefaultTimeout(60_000);
    page.on('pageerror', ({ message }) => faults.push(message));
    await page.goto(server.url);
    await button('Draw').and(page.locator(':enabled')).waitFor();
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  const button = (name: string) => page.getByRole('button', { name });
  const status = () => page.getByRole('status').textContent();
  const says = (text: string) => page.getByRole('status').filter({ hasText: text }).waitFor();

  test('says why it computes on one thread, and asks for a picture first', async () => {
    expect(await status()).toMatch(/^Ready\. .*one thread/);
    expect(await button('Ask').isDisabled()).toBe(true);
    expect(await button('Cancel').isDisabled()).toBe(true);
  });

  test('draws what Node draws, and answers what Node answers', async () => {
    await page.getByLabel('Prompt').fill('a photo of a clock');
    await page.getByLabel('Seed').fill('4');
    await button('Draw').click();
    await says('Done on');
    expect(await status()).toBe('Done on cpu, seed 4');
    const drawn = await page.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      return Array.from(data).filter((_, index) => index % 4 < 3);
    });
    await using star = await Star.load('nano', { device: 'cpu', threads: 1 });
    const { images } = await star.generate('a photo of a clock', { seed: 4 });
    const difference = drawn.map((level, index) => Math.abs(level - images[0]!.data[index]!));
    expect(difference).toHaveLength(3 * 64 * 64);
    expect(Math.max(...difference)).toBeLessThanOrEqual(1);

    await button('Ask').click();
    await button('Ask').and(page.locator(':enabled')).waitFor();
    const { answer } = await star.understand(images[0]!, 'What is in the picture?');
    expect(await status()).toBe(answer);
    expect(answer).toMatch(/clock/);
  }, 180_000);

  test('says what is wrong, and goes on', async () => {
    await page.getByLabel('Prompt').fill('two red apples and '.repeat(300));
    await button('Draw').click();
    await says('generate: the prompt has');
    expect(await button('Draw').isEnabled()).toBe(true);
    expect(faults).toEqual([]);
  }, 60_000);
});
