/**
 * The promise of the scheme: what is trained on top of a frozen model changes nothing that it could do before, in no bit.
 * Trained with few steps on the smallest recipe; the promise does not depend on how much is learned.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { openCheckpoint } from '../src/checkpoint/open.ts';
import { World } from '../src/data/world/world.ts';
import { answerLogits, logitsOf, sceneQuestions } from '../src/evaluation/preserved/logits.ts';
import { buildGenerationPrompt } from '../src/models/star/prompt.ts';
import { editPrompt } from '../src/tasks/edit.ts';
import { guidedPrompt } from '../src/tasks/generate.ts';
import { StarModel } from '../src/tasks/star-model.ts';
import { type StageName, type TrainingRecipe, trainingRecipeSchema } from '../src/training/stages/recipe.ts';
import { runStage } from '../src/training/stages/run-stage.ts';

const smoke = parse(await readFile(fileURLToPath(new URL('../recipes/smoke.yaml', import.meta.url)), 'utf8'));

/** The smallest recipe, with a second stack through which only edits run. */
const recipe: TrainingRecipe = trainingRecipeSchema.parse({
  ...smoke,
  model: { ...smoke.model, stacks: [1, { layers: 1, tasks: ['edit'] }] },
  stages: {
    understanding: { ...smoke.stages.understanding, steps: 2, previewEvery: 0 },
    generation: { ...smoke.stages.generation, steps: 4, previewEvery: 0 },
    instruction: { ...smoke.stages.instruction, steps: 4, previewEvery: 0, batch: 2, edits: 2, train: 'last stack' },
  },
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'starstack-preserved-'));
  await trainStage('understanding');
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function trainStage(stage: StageName): Promise<void> {
  const events = runStage(recipe, stage, { folder, threads: 1 });
  while (!(await events.next()).done);
}

/** SHA-256 of every parameter's bytes. */
async function hashes(): Promise<Map<string, string>> {
  await using checkpoint = await openCheckpoint(path.join(folder, 'model/checkpoints/STAR-smoke.safetensors'));
  const found = new Map<string, string>();
  for (const name of checkpoint.entries.keys()) {
    const { data } = await checkpoint.read(name);
    found.set(
      name,
      createHash('sha256')
        .update(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
        .digest('hex'),
    );
  }
  return found;
}

/** Names of parameters whose bytes differ. */
const changed = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) =>
  [...before.keys()].filter((name) => before.get(name) !== after.get(name));

/** What the model says to questions about pictures, and what it makes of prompts and instructions. */
async function behaviour() {
  await using model = await StarModel.open(path.join(folder, 'model'), { device: 'cpu', threads: 1, trace: true });
  const world = await World.open(recipe.world);
  const answers: Buffer[] = [];
  for (const question of sceneQuestions(world, 200, 99)) answers.push(await answerLogits(model, world, question));
  const drawn = await logitsOf(model, guidedPrompt(buildGenerationPrompt(model.chat, 'a red apple')), 'generate', 16);
  const source = world.render(world.scene(99, 0, 'any'), 32);
  const edited = await logitsOf(model, await editPrompt(model, source, 'Make it green.'), 'edit', 16);
  return { answers: Buffer.concat(answers), drawn, edited };
}

describe('training on top of a frozen model', () => {
  test('leaves the base as it was, bit for bit, and a second stack the first', async () => {
    const base = { hashes: await hashes(), ...(await behaviour()) };

    await trainStage('generation');
    const generation = { hashes: await hashes(), ...(await behaviour()) };
    const learned = changed(base.hashes, generation.hashes);
    expect(learned.some((name) => name.startsWith('stacked_ar.model.'))).toBe(true);
    expect(learned.filter((name) => /^(llm|pixel_encoder)\./.test(name))).toEqual([]);
    expect(generation.answers.equals(base.answers)).toBe(true);
    expect(generation.drawn.equals(base.drawn)).toBe(false);

    await trainStage('instruction');
    const instruction = { hashes: await hashes(), ...(await behaviour()) };
    const added = changed(generation.hashes, instruction.hashes);
    expect(added.length).toBeGreaterThan(5);
    expect(added.filter((name) => !name.startsWith('stacked_ar.1.model.'))).toEqual([]);
    expect(instruction.answers.equals(base.answers)).toBe(true);
    // Drawing passes the second stack by; editing runs through it.
    expect(instruction.drawn.equals(generation.drawn)).toBe(true);
    expect(instruction.edited.equals(generation.edited)).toBe(false);
  }, 240_000);
});
