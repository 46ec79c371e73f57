/** Pictures that are coded once: sets of codes are made, gone on with, and trained from with the same losses. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTokens, type TokenSample } from '../src/data/sources/tokens.ts';
import { encodePng } from '../src/image/png.ts';
import { planStage } from '../src/training/stages/plan.ts';
import { trainingRecipeSchema } from '../src/training/stages/recipe.ts';
import { runStage } from '../src/training/stages/run-stage.ts';
import { type CodedStage, type TokenizeEvent, tokenizeStage } from '../src/training/stages/tokenize-data.ts';
import type { TrainingEvent } from '../src/training/training-events.ts';
import { copyTrainable } from './trainable-model.ts';

const models = { a: '', b: '' };
const count = 10;

let folder: string;
/** Fingerprint of the tokenizer, and what the making of all sets told. */
let tokenizer: string;
let making: TokenizeEvent[];
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'starstack-tokens-'));
  for (const variant of ['a', 'b'] as const) {
    models[variant] = path.join(folder, variant);
    await copyTrainable(`tiny-${variant}`, models[variant]);
  }
  const pictures = path.join(folder, 'pictures');
  await mkdir(pictures);
  const captions: object[] = [];
  const pairs: object[] = [];
  for (let index = 0; index < count; index++) {
    // Not square: they are cut in the middle.
    const data = Uint8Array.from({ length: 3 * 40 * 36 }, (_, byte) => (byte * (index + 1) + (byte >> index)) % 256);
    await writeFile(path.join(pictures, `${index}.png`), await encodePng({ width: 40, height: 36, data }));
    captions.push({
      file_name: `${index}.png`,
      text: index === 5 ? 'far too long '.repeat(60) : `pattern number ${index}`,
    });
    pairs.push({ source: `${index}.png`, target: `${(index + 1) % count}.png`, instruction: 'Next one.' });
  }
  await writeFile(path.join(pictures, 'broken.jpg'), 'no picture');
  const held = ['1.png', 'broken.jpg', '4.png', '7.png'].map((image) => ({ image, caption: `held out ${image}` }));
  const files = { 'metadata.jsonl': captions, 'pairs.jsonl': pairs, 'held.jsonl': held };
  for (const [name, lines] of Object.entries(files)) {
    await writeFile(path.join(pictures, name), lines.map((line) => JSON.stringify(line)).join('\n'));
  }
  const { events, result } = await tokenize('instruction', 'sets');
  expect(result.stopped).toBe('finished');
  expect(result.sets.map(({ field, samples, skipped }) => [field, samples, skipped])).toEqual([
    ['data.train', count, 0],
    ['editData.train', count, 0],
    ['data.heldOut', 3, 1],
    ['editData.heldOut', count, 0],
  ]);
  [tokenizer, making] = [result.tokenizer, events];
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** @param sets folder of the sets that are learned from; without it pictures are read */
function recipe(sets?: string, model = models.a) {
  const tokens = (...names: string[]) => ({ kind: 'tokens', folder: path.join(folder, sets!, ...names) });
  const read = (name: string) => path.join(folder, 'pictures', name);
  const pictures = [
    { kind: 'folder', folder: read('') },
    { kind: 'jsonl', file: read('held.jsonl') },
  ];
  const pairs = [
    { kind: 'jsonl', file: read('pairs.jsonl') },
    { kind: 'jsonl', file: read('pairs.jsonl') },
  ];
  const both = (field: string, [train, heldOut]: readonly object[]) => ({
    train: sets === undefined ? train : tokens(field, 'train'),
    heldOut: { ...(sets === undefined ? heldOut : tokens(field, 'heldOut')), shuffle: false },
  });
  const [data, editData] = [both('data', pictures), both('editData', pairs)];
  // No training gets to its end, so that all begin with the same model.
  const common = { steps: 6, batch: 2, learningRate: 1e-3, saveEvery: 6, previewEvery: 2, heldOut: 2, start: 'base' };
  return trainingRecipeSchema.parse({
    model,
    stages: {
      generation: { ...common, promptTokens: 64, captionDropout: 0.5, data },
      instruction: { ...common, promptTokens: 160, edits: 1, data, editData },
    },
  });
}

/** Trains two steps; their losses, and the numbers of the preview after them. */
async function trainTwoSteps(stage: CodedStage, out: string, sets?: string) {
  const stop = new AbortController();
  const events: TrainingEvent[] = [];
  const options = { folder: path.join(folder, out), threads: 1, signal: stop.signal };
  for await (const event of runStage(recipe(sets), stage, options)) {
    events.push(event);
    if (event.type === 'step-end' && event.step === 2) stop.abort();
  }
  return {
    losses: events.flatMap((event) => (event.type === 'step-end' ? [event.loss] : [])),
    numbers: events.find((event) => event.type === 'preview-available')!.numbers,
  };
}

async function tokenize(stage: CodedStage, out: string, options: { resume?: boolean; stopAfter?: number } = {}) {
  const stop = new AbortController();
  const events: TokenizeEvent[] = [];
  const running = tokenizeStage(recipe(), stage, {
    folder: path.join(folder, out),
    threads: 1,
    resume: options.resume,
    signal: stop.signal,
  });
  while (true) {
    const next = await running.next();
    if (next.done) return { events, result: next.value };
    events.push(next.value);
    if (next.value.type === 'samples-coded' && next.value.samples === options.stopAfter) stop.abort();
  }
}

async function samplesOf(set: string): Promise<TokenSample[]> {
  const data = await openTokens(path.join(folder, set), { tokenizer });
  return Promise.all(Array.from({ length: data.count }, (_, index) => data.read(index)));
}

describe('sets of codes', () => {
  test('hold what says something about each picture, and name what they leave out', async () => {
    const codes = (await samplesOf('sets/data/train')).map((sample) => sample.codes.join());
    expect(new Set(codes).size).toBe(count);
    expect(making.filter(({ type }) => type === 'sample-skipped')).toEqual([
      {
        type: 'sample-skipped',
        field: 'data.heldOut',
        skipped: { source: 'held.jsonl:2', reason: expect.stringMatching(/expected a JPEG, PNG or WebP/) },
      },
    ]);
  });

  test.each(['generation', 'instruction'] as const)(
    'train stage %s with the losses of the pictures, bit for bit',
    async (stage) => {
      const read = await trainTwoSteps(stage, `read-${stage}`);
      expect(read.losses).toHaveLength(2);
      expect(await trainTwoSteps(stage, `coded-${stage}`, 'sets')).toEqual(read);
    },
    120_000,
  );

  test('are refused by another tokenizer, and where they hold something else', async () => {
    const start = async (changed: ReturnType<typeof recipe>, stage: CodedStage) => {
      for await (const event of runStage(changed, stage, { folder: path.join(folder, 'refused'), threads: 1 })) {
        throw new Error(`began with ${event.type}`);
      }
    };
    await expect(start(recipe('sets', models.b), 'generation')).rejects.toThrow(
      /its tokens were made by tokenizer [0-9a-f]{16}, not by [0-9a-f]{16}; tokenize the pictures again/,
    );
    const exchanged = recipe('sets');
    exchanged.stages.generation!.data = recipe('sets').stages.instruction!.editData as never;
    await expect(start(exchanged, 'generation')).rejects.toThrow(
      /expected a set of captioned pictures, got one of edits/,
    );
  }, 120_000);

  test('are gone on with after a stop, and hold what an unbroken run gives', async () => {
    const begun = await tokenize('generation', 'broken', { stopAfter: 4 });
    expect(begun.result).toMatchObject({ stopped: 'aborted', sets: [] });
    const rest = await tokenize('generation', 'broken', { resume: true });
    expect(rest.events[0]).toMatchObject({ type: 'set-started', field: 'data.train', samples: 4, total: count });
    expect(rest.result.stopped).toBe('finished');
    for (const set of ['data/train', 'data/heldOut']) {
      const [one, other] = await Promise.all(['sets', 'broken'].map((name) => samplesOf(`${name}/${set}`)));
      const told = ({ codes, prompt }: TokenSample) => `${prompt} ${codes.join()}`;
      expect(other!.map(told)).toEqual(one!.map(told));
    }
    // Nothing is left to do, and nothing is done again.
    const again = await tokenize('generation', 'broken', { resume: true });
    expect(again.events.map(({ type }) => type)).toEqual(['set-finished', 'set-finished']);
  }, 120_000);

  test('need no pixel encoder in memory', async () => {
    const frozen = async (sets?: string) => (await planStage(recipe(sets), 'generation')).memory.frozen;
    expect(await frozen('sets')).toBeLessThan(await frozen());
  });
});
