/** Pages in Chromium, and what tests of the studio do with them. */
import { fileURLToPath } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { chromiumPath } from '../browsers.ts';

export const web = fileURLToPath(new URL('../../web', import.meta.url));

export interface Pages extends AsyncDisposable {
  /**
   * A page of a fresh browser profile; what it complains of is added to `faults`.
   * @param prepare done before the page is opened
   */
  open(
    url: string,
    settings?: Parameters<Browser['newContext']>[0],
    prepare?: (context: BrowserContext) => Promise<unknown>,
  ): Promise<Page>;
  /** Everything that pages complained of so far. */
  readonly faults: string[];
}

export async function startPages(): Promise<Pages> {
  // Without its sandbox, which wants rights that containers do not give.
  const browser = await chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] });
  const contexts: BrowserContext[] = [];
  const faults: string[] = [];
  return {
    faults,
    async open(url, settings, prepare) {
      const context = await browser.newContext({
        viewport: { width: 1440, height: 900 },
        locale: 'en',
        // A colour on its way to another one has a contrast that nobody is shown for long.
        reducedMotion: 'reduce',
        ...settings,
      });
      contexts.push(context);
      await prepare?.(context);
      const page = await context.newPage();
      page.setDefaultTimeout(45_000);
      page.on('pageerror', ({ message }) => faults.push(message));
      // A status that is an error is logged by the browser itself; tests of error cards cause some.
      page.on('console', (line) => {
        if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) faults.push(line.text());
      });
      await page.goto(url);
      return page;
    },
    async [Symbol.asyncDispose]() {
      for (const context of contexts) await context.close();
      await browser.close();
    },
  };
}

/** No fault by the rules of WCAG 2.2 A and AA, and nothing wider than the window. */
export async function expectAccessible(page: Page): Promise<void> {
  // Without a page of its own to gather what frames tell: these pages have none, and it takes twice as long.
  const axe = new AxeBuilder({ page }).setLegacyMode(true).options({ resultTypes: ['violations'] });
  const { violations } = await axe.analyze();
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
export function shownPicture(page: Page): Promise<Uint8Array> {
  return fileOf(page.locator('figure[data-phase=done] img'));
}

/** The file that an image shows. */
export async function fileOf(shown: Locator): Promise<Uint8Array> {
  const base64 = await shown.evaluate(async (element) => {
    const image = element as HTMLImageElement;
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

/** The places in line that the shown picture has had, each once, as soon as there are two. */
export function placesInLine(page: Page): Promise<number[]> {
  return page.evaluate(
    () =>
      new Promise<number[]>((resolve) => {
        const places: number[] = [];
        new MutationObserver(() => {
          const place = /Waiting, (\d+) before you/.exec(document.querySelector('figcaption')?.textContent ?? '')?.[1];
          if (place !== undefined && places.at(-1) !== Number(place)) places.push(Number(place));
          if (places.length === 2) resolve(places);
        }).observe(document.body, { childList: true, subtree: true, characterData: true });
      }),
  );
}

/** What a picture goes through until it is done. */
export function phasesOf(page: Page): Promise<string[]> {
  return page.evaluate(
    () =>
      new Promise<string[]>((resolve) => {
        const phases: string[] = [];
        new MutationObserver(() => {
          const phase = document.querySelector('figure[data-phase]')?.getAttribute('data-phase');
          const forming = document.querySelector('.forming img') ? 'preview' : undefined;
          for (const found of [phase, forming]) if (found && !phases.includes(found)) phases.push(found);
          if (phase === 'done') resolve(phases);
        }).observe(document.body, { childList: true, subtree: true, attributes: true });
      }),
  );
}
