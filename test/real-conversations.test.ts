/** The understanding stage on conversations in files: rows, what is skipped, and going on in the middle. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePng } from '../src/image/png.ts';
import { StarModel } from '../src/tasks/star-model.ts';
import { parseRecipe } from '../src/training/recipe.ts';
import { realConversations } from '../src/training/stages/real-conversations.ts';
import { trainingRecipeSchema } from '../src/training/stages/recipe.ts';
import { runStage } from '../src/training/stages/run-stage.ts';
import type { TrainingEvent } from '../src/training/training-events.ts';
import { copyTrainable } from './trainable-model.ts';

const human = (value: string) => ({ from: 'human', value });
const gpt = (value: string) => ({ from: 'gpt', value });

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'starstack-talk-'));
  model = path.join(folder, 'model');
  await copyTrainable('tiny-a', model);
  const lines: object[] = [];
  for (let index = 0; index < 12; index++) {
    const data = Uint8Array.from({ length: 3 * 30 * 20 }, (_, byte) => (byte * (index + 1)) % 256);
    await writeFile(path.join(folder, `${index}.png`), await encodePng({ width: 30, height: 20, data }));
    const more = [human('And now?'), gpt(`Still ${index}.`), human('Say more.'), gpt('so much more '.repeat(60))];
    lines.push({ image: `${index}.png`, conversations: [human('<image>\nWhich one?'), gpt(`${index}.`), ...more] });
    lines.push({
      messages: [
        { role: 'user', content: `And ${index}?` },
        { role: 'assistant', content: 'A number.' },
      ],
    });
  }
  await writeFile(path.join(folder, 'broken.png'), 'no picture');
  lines.push({ image: 'broken.png', conversations: [human('<image>What?'), gpt('Nothing.')] });
  lines.push({ conversations: [human('far too long '.repeat(90)), gpt('Yes.')] });
  await writeFile(path.join(folder, 'talk.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const source = () => ({ kind: 'jsonl', file: path.join(folder, 'talk.jsonl') }) as const;

/** No training gets to its end, so that all begin with the same model. */
function recipe(rows: { batch: number; pictures: number }) {
  const stage = { steps: 5, learningRate: 1e-3, tokens: 192, saveEvery: 5, previewEvery: 4, heldOutBatches: 1 };
  const data = { train: source(), heldOut: { ...source(), seed: 9 } };
  return trainingRecipeSchema.parse({ model, stages: { understanding: { ...stage, ...rows, data } } });
}

async function train(out: string, rows: { batch: number; pictures: number }, until: number, resume = false) {
  const stop = new AbortController();
  const events: TrainingEvent[] = [];
  const options = { folder: path.join(folder, out), threads: 1, resume, signal: stop.signal };
  for await (const event of runStage(recipe(rows), 'understanding', options)) {
    events.push(event);
    if (event.type === 'step-end' && event.step === until) stop.abort();
  }
  return events;
}

const lossesOf = (events: readonly TrainingEvent[]) =>
  events.flatMap((event) => (event.type === 'step-end' ? [event.loss] : []));
const skippedBy = (events: readonly TrainingEvent[]) =>
  events.reduce((sum, event) => sum + (event.type === 'samples-skipped' ? event.count : 0), 0);

describe('the understanding stage on real conversations', () => {
  test('learns, skips what it cannot use, and goes on in the middle with the same losses', async () => {
    const rows = { batch: 3, pictures: 2 };
    const whole = await train('whole', rows, 4);
    const begun = lossesOf(await train('broken', rows, 2));
    const rest = lossesOf(await train('broken', rows, 4, true));
    expect(begun).toHaveLength(2);
    expect([...begun, ...rest]).toEqual(lossesOf(whole));
    // A row of texts takes half of them: the long question is among those of four rows.
    expect(skippedBy(whole)).toBeGreaterThanOrEqual(1);
    const { numbers } = whole.find((event) => event.type === 'preview-available')!;
    expect(Object.keys(numbers)).toEqual(['held_out_loss', 'held_out answer tokens']);
    expect(numbers['held_out answer tokens']).toBeGreaterThanOrEqual(0);
    expect(numbers['held_out answer tokens']).toBeLessThanOrEqual(1);
    expect(numbers.held_out_loss).toBeGreaterThan(0);
  }, 120_000);

  test('gives a picture a row, and texts as many as fit', async () => {
    await using opened = await StarModel.open(model, { device: 'cpu', threads: 1 });
    const settings = { batch: 3, pictures: 2, tokens: 192, seed: 0, train: 'all', heldOutBatches: 1 } as const;
    const data = { train: source(), heldOut: source() };
    const { open } = await realConversations(data, opened, settings);
    await using stream = await open(undefined);
    const rows = await stream.next(18);
    rows.forEach(({ row, image, kinds }, at) => {
      expect(row.ids.length).toBeLessThanOrEqual(192);
      expect(kinds.length).toBe(row.conversations.length);
      if (at % 3 < 2) {
        expect(image).toMatchObject({ width: 24, height: 24 });
        // The third turn does not fit.
        expect(row.conversations).toHaveLength(2);
      } else {
        expect(image).toBeUndefined();
        expect(row.conversations.length).toBeGreaterThan(2);
      }
    });
    const texts = rows.filter((_, at) => at % 3 === 2).flatMap(({ row }) => row.conversations);
    const said = texts.map(({ prompt }) => opened.chat.tokenizer.decode(prompt).match(/And (\d+)\?/)![1]);
    // Whatever was held back for the next row came first in it: an epoch has each once.
    expect(new Set(said.slice(0, 12)).size).toBe(12);

    const { open: openShown } = await realConversations(data, opened, { ...settings, batch: 2 });
    await using shown = await openShown(undefined);
    await shown.next(12);
    expect(shown.skipped.some(({ reason }) => /shows no picture, as all rows do/.test(reason))).toBe(true);
    expect(shown.skipped).toContainEqual({
      source: 'talk.jsonl:25',
      reason: expect.stringMatching(/expected a JPEG, PNG or WebP/),
    });
  }, 60_000);

  test('is refused where it cannot be had', async () => {
    await using opened = await StarModel.open(model, { device: 'cpu', threads: 1 });
    const settings = { batch: 2, pictures: 1, tokens: 64, seed: 0, train: 'all', heldOutBatches: 1 } as const;
    const data = { train: source(), heldOut: source() };
    const sized = { ...data, train: { ...source(), square: { size: 32 } } };
    await expect(realConversations(sized, opened, settings)).rejects.toThrow(
      /data\.train\.square\.size is 32: expected 24/,
    );
    await expect(realConversations(data, opened, { ...settings, pictures: 3 })).rejects.toThrow(/expected 1 to the/);
    await expect(realConversations(data, opened, { ...settings, tokens: 8 })).rejects.toThrow(
      /no sample of the whole data could be used; .* its first turn has \d+ tokens, tokens is 8/,
    );
  }, 60_000);

  test('is described by its recipe, and refused where a field is missing', () => {
    const text = (data: string) =>
      `model: m
stages: { understanding: { steps: 1, learningRate: 1, batch: 1, pictures: 1, tokens: 64, data: ${data} } }`;
    const read = (data: string) => () => parseRecipe(text(data), trainingRecipeSchema, 'r.yaml');
    const sound = '{ kind: jsonl, file: talk.jsonl }';
    expect(read(`{ train: ${sound}, heldOut: ${sound} }`)().stages.understanding!.data).toMatchObject({
      train: { imageKey: 'image', seed: 0 },
    });
    expect(read(`{ train: ${sound} }`)).toThrow(/^r\.yaml: stages\.understanding\.data\.heldOut: is missing: /);
    expect(read(`{ train: { kind: jsonl }, heldOut: ${sound} }`)).toThrow(
      /^r\.yaml: stages\.understanding\.data\.train\.file: is missing: expected string$/,
    );
    expect(read(`{ train: { kind: tokens, folder: x }, heldOut: ${sound} }`)).toThrow(/data\.train\.kind: expected/);
  });
});
