/** `examples/react` as an application builds it, with the commands of docs/library.md, in Chromium. */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isolationHeaders } from '../../src/server/studio-headers.ts';
import { Star } from '../../src/tasks/star.ts';
import { chromiumPath, named } from '../browsers.ts';
import { installStarstack } from '../cli/starstack.ts';
import { type StaticServer, serveFolder } from '../contract/static-server.ts';
import { commandsOf } from '../docs/pages.ts';
import { application } from './application.ts';

const packages = ['react', 'react-dom', 'vite', 'onnxruntime-web'];

describe.skipIf(chromiumPath === undefined)(named('react'), () => {
  const react = application(installStarstack(), 'react', packages);
  let server: StaticServer;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    await cp('node_modules/.bin/vite', path.join(react.folder, 'node_modules/.bin/vite'), { verbatimSymlinks: true });
    for (const { command, output } of commandsOf('docs/library.md', '')) {
      const { stdout } = await react.run('sh', ['-c', command]);
      for (const line of output) if (line !== '…') expect(stdout.split('\n')).toContain(line);
    }
    server = await serveFolder(path.join(react.folder, 'dist'), isolationHeaders);
    browser = await chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] });
    page = await browser.newPage();
    page.setDefaultTimeout(45_000);
    page.on('pageerror', ({ message }) => faults.push(message));
    await page.goto(server.url);
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  const button = (name: string) => page.getByRole('button', { name });
  const ready = () => page.locator('button[type=submit]:enabled').waitFor();
  /** The red, green and blue of the canvas. */
  const pixels = () =>
    page.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
      const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      return Array.from(data).filter((_, index) => index % 4 < 3);
    });

  test('draws what Node draws, with progress and previews', async () => {
    await ready();
    const done: Promise<number[]> = page.locator('progress').evaluate((bar: HTMLProgressElement) => {
      const seen: number[] = [];
      return new Promise((resolve) => {
        new MutationObserver(() => {
          seen.push(bar.value);
          if (bar.value === 1 && seen.length > 1) resolve(seen);
        }).observe(bar, { attributes: true });
      });
    });
    await button('Draw').click();
    expect(await done).toEqual([0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]);
    await ready();
    const drawn = await pixels();
    await using star = await Star.load('nano', { device: 'cpu', threads: 1 });
    const { images } = await star.generate('a photo of two red apples', { seed: 7 });
    // The decoder's sums round otherwise on wasm: a level at most.
    const difference = drawn.map((level, index) => Math.abs(level - images[0]!.data[index]!));
    expect(difference).toHaveLength(3 * 64 * 64);
    expect(Math.max(...difference)).toBeLessThanOrEqual(1);
  }, 120_000);

  test('stops when it is told to, and draws again', async () => {
    const before = await pixels();
    await page.getByLabel('Seed').fill('8');
    // By the page itself: a picture may be there before another process has found the button.
    const cancelled = page.evaluate(
      () =>
        new Promise<void>((resolve) => {
          const watch = new MutationObserver(() => {
            const cancel = [...document.querySelectorAll('button')].find((each) => each.textContent === 'Cancel');
            if (!cancel || cancel.disabled) return;
            watch.disconnect();
            cancel.click();
            resolve();
          });
          watch.observe(document.body, { childList: true, subtree: true, attributes: true });
        }),
    );
    await button('Draw').click();
    await cancelled;
    await ready();
    expect(Number(await page.locator('progress').getAttribute('value'))).toBeLessThan(1);
    await page.getByLabel('Prompt').fill('a photo of a dog');
    await button('Draw').click();
    await page.locator('button[type=submit]:disabled').waitFor();
    await ready();
    expect(await pixels()).not.toEqual(before);
    expect(faults).toEqual([]);
  }, 120_000);
});
