/** The studio as users have it: built, served beside the packaged model, and opened in Chromium. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect } from 'vitest';
import type { ServerOptions } from '../../src/server/options.ts';
import { StarServer } from '../../src/server/server.ts';
import { Star } from '../../src/tasks/star.ts';

const web = fileURLToPath(new URL('../../web', import.meta.url));

/** Where Debian, Ubuntu and Google put it. */
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
export const chromiumPath = places.find((place) => existsSync(place));
export const noChromium = `needs Chromium: none of ${places.join(', ')} is there`;

export interface Opened {
  readonly star: Star;
  /** A server of its own for a test, with the same model; it is closed at the end of the file. */
  serve(options?: ServerOptions): Promise<StarServer>;
  /** A page of a fresh browser profile; errors of the page fail the test that calls `expectNoFaults`. */
  open(server: StarServer, settings?: Parameters<Browser['newContext']>[0]): Promise<Page>;
  /** Everything that pages complained of so far. */
  readonly faults: string[];
}

/** Builds the studio and starts the browser, once for the tests of a file. */
export function openStudio(): Opened {
  const state = { folder: '', browser: undefined as unknown as Browser, star: undefined as unknown as Star };
  const servers: StarServer[] = [];
  const contexts: BrowserContext[] = [];
  const faults: string[] = [];
  beforeAll(async () => {
    state.folder = await mkdtemp(path.join(tmpdir(), 'starstack-studio-'));
    await build({ root: web, build: { outDir: state.folder, emptyOutDir: true } });
    // Without its sandbox, which wants rights that containers do not give.
    state.browser = await chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] });
    state.star = await Star.load('nano', { device: 'cpu', threads: 1 });
  }, 240_000);
  afterAll(async () => {
    for (const context of contexts) await context.close();
    await state.browser?.close();
    // The servers share a model, which the first one to be closed frees.
    for (const server of servers) await server[Symbol.asyncDispose]();
    await rm(state.folder, { recursive: true, force: true });
  }, 60_000);
  return {
    get star() {
      return state.star;
    },
    serve: async (options) => {
      const server = await StarServer.listen({ port: 0, studio: state.folder, ...options }, async () => state.star);
      servers.push(server);
      await server.ready;
      return server;
    },
    open: async (server, settings) => {
      const context = await state.browser.newContext({
        viewport: { width: 1440, height: 900 },
        locale: 'en',
        // A colour on its way to another one has a contrast that nobody is shown for long.
        reducedMotion: 'reduce',
        ...settings,
      });
      contexts.push(context);
      const page = await context.newPage();
      page.setDefaultTimeout(45_000);
      page.on('pageerror', ({ message }) => faults.push(message));
      // A status that is an error is logged by the browser itself; tests of error cards cause some.
      page.on('console', (line) => {
        if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) faults.push(line.text());
      });
      await page.goto(server.url);
      return page;
    },
    faults,
  };
}

/** No fault by the rules of WCAG 2.2 A and AA, and nothing wider than the window. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  expect(told).toEqual([]);
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth] as const);
  expect(content).toBeLessThanOrEqual(window);
}

/** Drops a file on the page. */
export async function drop(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  const dataTransfer = await page.evaluateHandle(
    ([file, base64]) => {
      const transfer = new DataTransfer();
      const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      transfer.items.add(new File([content], file, { type: 'image/png' }));
      return transfer;
    },
    [name, Buffer.from(bytes).toString('base64')] as const,
  );
  await page.dispatchEvent('body', 'drop', { dataTransfer });
}

/** The file of the picture on the stage. */
export async function shownPicture(page: Page): Promise<Uint8Array> {
  const base64 = await page.locator('figure[data-phase=done] img').evaluate(async (image: HTMLImageElement) => {
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    return btoa(String.fromCharCode(...bytes));
  });
  return Buffer.from(base64, 'base64');
}

/** Types a prompt and sends it off by keyboard. */
export async function ask(page: Page, prompt: string): Promise<void> {
  await page.fill('#prompt', prompt);
  // Until the model is there nothing can be sent.
  await page.locator('.composer [type=submit]:enabled').waitFor();
  await page.press('#prompt', 'Control+Enter');
}
