/** The stages of the recipe on real files: pictures with captions, and pairs with an instruction between them. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { encodePng } from '../src/image/png.ts';
import { type StageName, trainingRecipeSchema } from '../src/training/stages/recipe.ts';
import { runStage } from '../src/training/stages/run-stage.ts';
import type { TrainingEvent } from '../src/training/training-events.ts';

const smoke = parse(await readFile(fileURLToPath(new URL('../recipes/smoke.yaml', import.meta.url)), 'utf8'));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'starstack-real-'));
  await mkdir(path.join(folder, 'pictures'));
  const lines: string[] = [];
  const pairs: string[] = [];
  for (let index = 0; index < 12; index++) {
    // Not square: they are cut in the middle.
    const data = Uint8Array.from({ length: 3 * 40 * 36 }, (_, byte) => (byte * (index + 1)) % 256);
    await writeFile(path.join(folder, 'pictures', `${index}.png`), await encodePng({ width: 40, height: 36, data }));
    const caption = index === 5 ? 'far too long '.repeat(60) : `pattern number ${index}`;
    lines.push(JSON.stringify({ file_name: `${index}.png`, text: caption }));
    pairs.push(JSON.stringify({ source: `${index}.png`, target: `${(index + 1) % 12}.png`, instruction: 'Next one.' }));
  }
  await writeFile(path.join(folder, 'pictures', 'metadata.jsonl'), lines.join('\n'));
  await writeFile(path.join(folder, 'pictures', 'pairs.jsonl'), pairs.join('\n'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function recipe() {
  const captions = { kind: 'folder', folder: path.join(folder, 'pictures') };
  const pairs = { kind: 'jsonl', file: path.join(folder, 'pictures', 'pairs.jsonl') };
  const [data, editData] = [captions, pairs].map((kind) => ({ train: kind, heldOut: { ...kind, seed: 9 } }));
  const short = { steps: 6, saveEvery: 3, previewEvery: 6 };
  return trainingRecipeSchema.parse({
    ...smoke,
    stages: {
      tokenizer: { ...smoke.stages.tokenizer, ...short, reviveEvery: 2, data },
      generation: { ...smoke.stages.generation, ...short, data },
      instruction: { ...smoke.stages.instruction, ...short, data, editData },
    },
  });
}

/** Trains a stage in `out`, a folder below the test's; the model is made there first, always the same. */
async function trainStage(stage: StageName, out: string, options: { resume?: boolean; until?: number } = {}) {
  const stop = new AbortController();
  const events: TrainingEvent[] = [];
  const place = path.join(folder, out);
  for await (const event of runStage(recipe(), stage, {
    folder: place,
    threads: 1,
    resume: options.resume,
    signal: stop.signal,
  })) {
    events.push(event);
    if (event.type === 'step-end' && event.step === options.until) stop.abort();
  }
  return events;
}

const lossesOf = (events: readonly TrainingEvent[]) =>
  events.flatMap((event) => (event.type === 'step-end' ? [event.loss] : []));

describe('stages on real data', () => {
  test('learn, name what they skip, and measure held-out samples', async () => {
    for (const stage of ['tokenizer', 'generation', 'instruction'] as const) {
      const events = await trainStage(stage, 'all');
      expect(lossesOf(events), stage).toHaveLength(6);
      const preview = events.find((event) => event.type === 'preview-available');
      expect(Object.values(preview!.numbers).every(Number.isFinite), stage).toBe(true);
      const skipped = events.some((event) => event.type === 'samples-skipped');
      // The tokenizer reads no captions.
      expect(skipped, stage).toBe(stage !== 'tokenizer');
    }
  }, 120_000);

  test('go on in the middle of the data with the same losses', async () => {
    const whole = lossesOf(await trainStage('generation', 'whole'));
    const begun = lossesOf(await trainStage('generation', 'broken', { until: 2 }));
    const rest = lossesOf(await trainStage('generation', 'broken', { resume: true }));
    expect(begun).toHaveLength(2);
    expect([...begun, ...rest]).toEqual(whole);
  }, 120_000);
});
