/** A walk through the studio with the packaged model. */
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeImage, sniffImageFormat } from '../../src/image/decode.ts';
import { encodePng } from '../../src/image/png.ts';
import type { RgbImage } from '../../src/image/rgb-image.ts';
import type { StarServer } from '../../src/server/server.ts';
import { chromiumPath, named } from '../browsers.ts';
import { outcomeOf, until } from '../server/serving.ts';
import { openStudio } from './opened.ts';
import { ask, drop, expectAccessible, fileOf, phasesOf, shownPicture } from './pages.ts';

const minute = 60_000;

describe.skipIf(chromiumPath === undefined)(named('studio'), () => {
  const opened = openStudio();
  let server: StarServer;
  beforeAll(async () => {
    server = await opened.serve();
  });

  const done = (page: Page) => page.locator('figure[data-phase=done]').waitFor();
  const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });

  test(
    'draws, edits what it drew, and talks about both; history and conversation survive a reload',
    async () => {
      const page = await opened.open(server);
      await page.getByLabel('Seed', { exact: true }).fill('2');
      await page.getByLabel('Seed', { exact: true }).press('Tab');
      const seen = phasesOf(page);
      await ask(page, 'a photo of two red apples');
      expect(await seen).toEqual(expect.arrayContaining(['thinking', 'drawing', 'preview', 'done']));
      const { images } = await opened.star.generate('a photo of two red apples', { seed: 2 });
      await page.getByText(images[0]!.recipe.thought!).waitFor();

      await button(page, 'Edit this').click();
      await ask(page, 'make the apples green');
      await page.getByLabel('How much of the picture after is shown').waitFor();
      await expectAccessible(page);
      for (const mode of ['Side by side', 'Hold', 'Slider']) await page.getByText(mode, { exact: true }).click();

      await button(page, 'Ask about it').click();
      await page.getByRole('button', { name: 'Open: a photo of two red apples' }).click();
      await button(page, 'Ask about it').click();
      expect(await page.locator('.attached li').count()).toBe(2);
      await ask(page, 'How many apples are there?');
      await page.locator('li.assistant:not(:has(.caret)) p').waitFor();
      expect(await page.locator('li.user img').count()).toBe(2);
      await expectAccessible(page);

      await page.reload();
      await page.getByText('Ask', { exact: true }).click();
      await page.locator('li.assistant p').waitFor();
      expect(await page.locator('li.user img').count()).toBe(2);
      await page.getByText('How many apples are there?').waitFor();
      await button(page, 'New conversation').click();
      await page.getByRole('button', { name: 'Open: make the apples green' }).click();
      await page.getByLabel('How much of the picture after is shown').waitFor();
      await button(page, 'Star').click();
      await button(page, 'Starred only').click();
      expect(await page.getByRole('button', { name: /^Open:/ }).count()).toBe(1);
      for (const [name, ending, format] of [
        ['PNG, with its settings', 'png', 'png'],
        ['JPEG', 'jpeg', 'jpeg'],
        ['WebP', 'webp', 'webp'],
      ] as const) {
        await button(page, 'Download').click();
        await expectAccessible(page);
        const download = page.waitForEvent('download');
        await page.getByText(name, { exact: true }).click();
        const file = await download;
        expect(file.suggestedFilename()).toMatch(new RegExp(`^starstack-\\d+\\.${ending}$`));
        const bytes = await readFile(await file.path());
        expect(sniffImageFormat(bytes)).toBe(format);
        expect((await decodeImage(bytes)).width).toBe(64);
      }
      await button(page, 'Delete').click();
      await page.getByText('Pictures you make are kept here').waitFor();
      expect(opened.faults).toEqual([]);
    },
    3 * minute,
  );

  test(
    'an edit changes only the part that was painted, by pointer or by keyboard',
    async () => {
      const page = await opened.open(server);
      await page.getByText('STAR_nano').waitFor();
      const { images } = await opened.star.generate('a photo of two red apples', { seed: 2 });
      await page.getByText('Edit', { exact: true }).click();
      await drop(page, 'apples.png', await images[0]!.toPng());
      await page.getByLabel('Seed', { exact: true }).fill('4');
      await button(page, 'Only a part').click();
      const canvas = page.getByRole('application');
      const box = (await canvas.boundingBox())!;
      const at = (x: number, y: number) => [box.x + x * box.width, box.y + y * box.height] as const;
      await page.getByLabel('Width of the brush').fill('0.4');
      await page.mouse.move(...at(0.8, 0.1));
      await page.mouse.down();
      await page.mouse.move(...at(0.8, 0.9), { steps: 5 });
      await page.mouse.up();
      await expectAccessible(page);
      await ask(page, 'make the apples green');
      await page.getByLabel('How much of the picture after is shown').waitFor();
      // Whatever can be done with the result is in sight.
      await page.setViewportSize({ width: 1280, height: 720 });
      const [actions, composer] = await Promise.all(
        ['.actions', '.composer'].map(async (part) => (await page.locator(part).boundingBox())!),
      );
      expect(actions!.y + actions!.height).toBeLessThanOrEqual(composer!.y);
      await page.getByText('Side by side', { exact: true }).click();
      const edited = await decodeImage(await fileOf(page.locator('figure img').last()));
      const columns = ({ data, height }: RgbImage, from: number, to: number) =>
        Array.from({ length: height }, (_, y) => [...data.subarray(192 * y + 3 * from, 192 * y + 3 * to)]);
      // Left of the stroke, and of what its soft edge reaches.
      expect(columns(edited, 0, 36)).toEqual(columns(images[0]!, 0, 36));
      expect(columns(edited, 36, 64)).not.toEqual(columns(images[0]!, 36, 64));

      await button(page, 'Another part').click();
      await button(page, 'All of it').click();
      await button(page, 'Only a part').click();
      await canvas.focus();
      for (const key of ['ArrowLeft', 'ArrowUp', 'Space']) await page.keyboard.press(key);
      await ask(page, 'make the apples green');
      await page.getByLabel('How much of the picture after is shown').waitFor();
      await page.getByText('Side by side', { exact: true }).click();
      // A dot in the middle.
      const dotted = await decodeImage(await fileOf(page.locator('figure img').last()));
      expect(columns(dotted, 0, 20)).toEqual(columns(images[0]!, 0, 20));
      expect(columns(dotted, 44, 64)).toEqual(columns(images[0]!, 44, 64));
      expect(columns(dotted, 20, 44)).not.toEqual(columns(images[0]!, 20, 44));
      expect(opened.faults).toEqual([]);
    },
    minute,
  );

  test(
    'Esc cancels four pictures, running and queued, and frees their places',
    async () => {
      const page = await opened.open(server);
      await page.getByRole('combobox', { name: 'Pictures' }).selectOption('4');
      await ask(page, 'a photo of a dog');
      await until('all four are held', () => server.held >= 3);
      await page.keyboard.press('Escape');
      await page.getByText('The request was ended and its place is free again.').waitFor();
      await until('the places are free', () => server.held === 0);
      await expectAccessible(page);
    },
    minute,
  );

  test(
    'a dropped picture restores prompt, seed and settings, and what it says is only text',
    async () => {
      const page = await opened.open(server);
      await page.getByText('STAR_nano').waitFor();
      const prompt = 'a cat <img src=x onerror="document.title=1">';
      const { images } = await opened.star.generate(prompt, { seed: 77, topK: 40, reasoning: false, temperature: 0.5 });
      await drop(page, 'cat.png', await images[0]!.toPng());
      await page.getByText('Prompt, seed and settings are those of cat.png.').waitFor();
      expect(await page.inputValue('#prompt')).toBe(prompt);
      expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe('77');
      expect(await page.getByLabel('Top k').inputValue()).toBe('40');
      expect(await page.getByLabel('Think first').isChecked()).toBe(false);
      expect(await page.title()).toBe('Starstack studio');

      const bare = await encodePng({ width: 4, height: 4, data: new Uint8Array(48).fill(90) });
      await drop(page, 'grey.png', bare);
      await page.getByText('grey.png says nothing of its making').waitFor();
      expect(await page.getByRole('radio', { name: 'Edit' }).isChecked()).toBe(true);
      // The same settings give the same picture again.
      await page.getByText('Draw', { exact: true }).first().click();
      await page.press('#prompt', 'Control+Enter');
      await done(page);
      expect((await decodeImage(await shownPicture(page))).data).toEqual(images[0]!.data);
      expect(opened.faults).toEqual([]);
    },
    minute,
  );

  test(
    'says what is wrong: no key, a full queue, no server',
    async () => {
      const closed = await opened.serve({ apiKey: 'a-long-secret', queue: 1 });
      expect((await fetch(`${closed.url}/v1/models`)).status).toBe(401);
      const page = await opened.open(closed);
      await page.getByRole('alert').getByText('The key is missing or wrong').waitFor();
      await expectAccessible(page);
      await page.getByLabel('API key').fill('a-long-secret');
      await button(page, 'Use the key').click();
      await page.getByText('STAR_nano').waitFor();

      const holding = outcomeOf(
        fetch(`${closed.url}/v1/images/generations`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: 'Bearer a-long-secret' },
          body: JSON.stringify({ prompt: 'a photo of a dog', n: 10 }),
        }),
      );
      await until('the place is taken', () => closed.held === 1);
      await ask(page, 'a photo of a cat');
      await page.getByRole('alert').getByText('The server is full').waitFor();
      await expectAccessible(page);
      await holding;

      await page.context().setOffline(true);
      await button(page, 'Try again').click();
      await page.getByRole('alert').getByText('The server cannot be reached').waitFor();
      await page.context().setOffline(false);
      await button(page, 'Try again').click();
      await done(page);
    },
    2 * minute,
  );

  test.each(['light', 'dark'] as const)(
    'is accessible at three widths, %s',
    async (colorScheme) => {
      const page = await opened.open(server, { colorScheme });
      await page.getByText('STAR_nano').waitFor();
      for (const width of [1440, 768, 360]) {
        await page.setViewportSize({ width, height: 800 });
        for (const way of ['Draw', 'Edit', 'Ask']) {
          await page.locator('.composer').getByText(way, { exact: true }).first().click();
          await expectAccessible(page);
        }
      }
      expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe(colorScheme);
    },
    minute,
  );

  test(
    'remembers theme and language',
    async () => {
      const page = await opened.open(server, { colorScheme: 'light' });
      await button(page, 'Switch to the dark theme').click();
      await button(page, '中文').click();
      await page.reload();
      await page.getByText('画点什么？').waitFor();
      expect(
        await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme]),
      ).toEqual(['zh', 'dark']);
      await expectAccessible(page);
    },
    minute,
  );

  describe('training', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'starstack-run-'));
      const lines = Array.from({ length: 300 }, (_, i) => ({
        step: i + 1,
        kind: 'step',
        loss: 8 / (1 + i / 20) + Math.sin(i) / 5,
        learning_rate: Math.min(1, i / 30) * 1e-3,
        samples_per_second: 40 + (i % 7),
      }));
      const text = `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"step":300,"kind":"preview","held_out_loss":1.5}\n{"torn`;
      await writeFile(path.join(folder, 'metrics.jsonl'), text);
      await mkdir(path.join(folder, 'previews'));
      for (const step of [100, 200]) {
        const png = await encodePng({ width: 8, height: 4, data: new Uint8Array(96).fill(step) });
        await writeFile(path.join(folder, 'previews', `step-${String(step).padStart(8, '0')}.png`), png);
      }
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    test(
      'is drawn from a folder: curves with values, and previews by step',
      async () => {
        const page = await opened.open(server);
        await page.getByText('Training', { exact: true }).click();
        await page.locator('input[type=file][webkitdirectory]').setInputFiles(folder);
        for (const name of ['Loss', 'Learning rate', 'Samples per second', 'held out loss']) {
          await page.getByRole('heading', { name, exact: true }).waitFor();
        }
        await page.getByText('1 line could not be read').waitFor();
        const loss = page.getByRole('slider', { name: /^Loss/ });
        await loss.focus();
        await page.keyboard.press('Home');
        expect(await loss.getAttribute('aria-valuetext')).toMatch(/^Step 1: 8$/);
        await page.getByLabel('Logarithmic').check();
        await page.getByText('Step 200', { exact: true }).waitFor();
        await page.getByLabel('Preview at step').first().press('ArrowLeft');
        await page.getByText('Step 100', { exact: true }).waitFor();
        await expectAccessible(page);
        expect(opened.faults).toEqual([]);
      },
      minute,
    );

    test(
      'is watched on the server as it grows',
      async () => {
        const run = await mkdtemp(path.join(tmpdir(), 'starstack-watched-'));
        try {
          const stage = path.join(run, 'generation');
          const line = (step: number) =>
            `${JSON.stringify({ step, kind: 'step', loss: 5 - step, learning_rate: 1 })}\n`;
          await mkdir(stage);
          await writeFile(path.join(stage, 'metrics.jsonl'), line(1) + line(2));
          await cp(path.join(folder, 'previews'), path.join(stage, 'previews'), { recursive: true });
          const page = await opened.open(await opened.serve({ training: run }));
          await page.getByText('Training', { exact: true }).click();
          await page.getByText('2 steps', { exact: true }).waitFor();
          await page.getByText('Step 200', { exact: true }).waitFor();
          await appendFile(path.join(stage, 'metrics.jsonl'), line(3));
          await page.getByText('3 steps', { exact: true }).waitFor();
          // Another training begins in the folder, with a shorter log.
          await writeFile(path.join(stage, 'metrics.jsonl'), line(1));
          await page.getByText('1 step', { exact: true }).waitFor();
          await expectAccessible(page);
          expect(opened.faults).toEqual([]);
        } finally {
          await rm(run, { recursive: true, force: true });
        }
      },
      minute,
    );
  });
});
