/**
 * The studio without a server in Firefox and in WebKit: draws, edits, asks, and finds the conversation again after a reload.
 * Nothing drives these browsers, so the page itself asks what to do: its first lines are a script that fetches it.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/image/decode.ts';
import { readRecipe } from '../../src/tasks/recipe.ts';
import { Star } from '../../src/tasks/star.ts';
import { firefox, miniBrowser } from '../browsers.ts';
import { type AskingPage, askingPage, firefoxCommand, miniBrowserCommand } from '../contract/asking-page.ts';
import { web } from './pages.ts';

const minute = 60_000;

/** What the page is given at its start: it asks, does, and tells. */
const asker = `
const faults = [];
addEventListener('error', ({ message }) => faults.push(message));
addEventListener('unhandledrejection', ({ reason }) => faults.push(String(reason)));
const until = async (what, find) => {
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    const found = find();
    if (found) return found;
  }
  throw new Error('not seen: ' + what + '; the page says: ' + document.body.innerText);
};
const walk = {
  faults: () => faults,
  text: (text) => until(text, () => document.body.innerText.includes(text)),
  see: async (selector) => (await until(selector, () => document.querySelector(selector))).textContent,
  press: async (name) =>
    (await until('button ' + name, () =>
      [...document.querySelectorAll('button:enabled')].find((button) => button.textContent.trim() === name))).click(),
  fill: async (selector, value) => {
    const field = await until(selector, () => document.querySelector(selector));
    field.focus();
    field.value = value;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    field.dispatchEvent(new Event('change', { bubbles: true }));
    field.blur();
  },
  ask: async (prompt) => {
    await walk.fill('#prompt', prompt);
    await until('a way to send', () => document.querySelector('.composer [type=submit]:enabled'));
    const key = { key: 'Enter', ctrlKey: true, bubbles: true, cancelable: true };
    document.querySelector('#prompt').dispatchEvent(new KeyboardEvent('keydown', key));
  },
  choose: async (name) => (await until('choice ' + name, () => document.querySelector('.composer [type=radio][value=' + name + ']'))).click(),
  picture: async () => {
    const image = await until('a finished picture', () => document.querySelector('figure[data-phase=done] img'));
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    return btoa(String.fromCharCode(...bytes));
  },
  reload: () => {},
};
(async () => {
  for (;;) {
    const { number, name, args } = await (await fetch('/order')).json();
    let outcome = { number };
    try {
      outcome.value = (await walk[name](...args)) ?? null;
    } catch (error) {
      outcome.error = String(error);
    }
    await fetch('/outcome', { method: 'POST', body: JSON.stringify(outcome) });
    if (name === 'reload') return location.reload();
  }
})();
`;

const browsers = [
  { name: 'Firefox', program: firefox, command: () => firefoxCommand(firefox.path!) },
  { name: 'WebKit', program: miniBrowser, command: () => miniBrowserCommand(miniBrowser.path!, miniBrowser.display!) },
];

describe.skipIf(browsers.every(({ program }) => program.missing !== undefined))('static site in other browsers', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'starstack-site-'));
    await build({ root: web, mode: 'site', logLevel: 'error', build: { outDir: folder } });
    const file = path.join(folder, 'index.html');
    const html = await readFile(file, 'utf8');
    await writeFile(file, html.replace('<head>', `<head><script>${asker}</script>`));
  }, 2 * minute);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  for (const { name, program, command } of browsers) {
    describe.skipIf(program.missing !== undefined)(program.missing ? `${name} (${program.missing})` : name, () => {
      let page: AskingPage;
      beforeAll(async () => {
        page = await askingPage({ site: folder, command: command() });
      }, minute);
      afterAll(() => page?.[Symbol.asyncDispose]());
      const does = (step: string, ...args: readonly string[]) => page.place(step, args);
      const shown = async () => Buffer.from((await does('picture')) as string, 'base64');

      test(
        'loads, draws as Node does, edits and answers',
        async () => {
          await does('text', 'STAR_nano');
          await does('text', 'Computed in this browser, by wasm on ');
          await does('fill', '.seed input', '7');
          await does('ask', 'two red apples');
          const png = await shown();
          await using star = await Star.load('nano', { device: 'cpu', threads: 1 });
          const { images } = await star.generate('two red apples', { seed: 7 });
          expect(readRecipe(png, 'shown')).toEqual(images[0]!.recipe);
          const { data } = await decodeImage(png);
          const apart = Array.from(data, (level, at) => Math.abs(level - images[0]!.data[at]!));
          expect(Math.max(...apart)).toBeLessThanOrEqual(2);

          await does('press', 'Edit this');
          await does('ask', 'make the apples green');
          await does('see', 'input[aria-label="How much of the picture after is shown"]');
          await does('press', 'Ask about it');
          await does('ask', 'What is in the picture?');
          const answer = await does('see', 'li.assistant:not(:has(.caret)) p');
          expect(String(answer).trim().length).toBeGreaterThan(0);

          await does('reload');
          await does('choose', 'ask');
          await does('text', 'What is in the picture?');
          await does('text', String(answer).trim());
          expect(await does('faults')).toEqual([]);
        },
        5 * minute,
      );
    });
  }
});
