import { expect, test } from 'vitest';
import { nanoWorld } from '../../data/world/profile.ts';
import { planText } from '../../data/world/scene-plan.ts';
import { World } from '../../data/world/world.ts';
import { generatePrompts, sceneOfPrompt } from '../geneval/generated-prompts.ts';
import type { GenevalPrompt } from '../geneval/prompt-file.ts';
import { sampleEditItems } from '../imgedit/emoji-imgedit.ts';
import { formatReport } from '../report.ts';
import { evaluatePlans, judgeEdit, judgePrompt, type PlansRun, type Thinker } from './emoji-plans.ts';

const grid = 8;
const size = 64;
const request = 'Say what stands where.';

async function run(thinker: (world: World, edits: PlansRun['edits']) => Thinker) {
  const world = await World.open(nanoWorld);
  const prompts = generatePrompts(nanoWorld, { seed: 4, perTag: 2, split: 'any' });
  const edits = sampleEditItems(world, { size, seed: 4, perType: 2 });
  const source = { name: 'a thinker of tests', sampler: {} };
  const options = { world, prompts, plansPerPrompt: 2, edits, request, pictures: 5, size, grid, source, seed: 4 };
  return evaluatePlans({ ...options, thinker: thinker(world, edits) });
}

test('one who knows the scenes is right throughout, and the report says so', async () => {
  const steps: string[] = [];
  const { report, results } = await run((world, edits) => {
    let pictures = 0;
    return async (image, text, seed) => {
      steps.push(text);
      if (!image) {
        const prompt = generatePrompts(nanoWorld, { seed: 4, perTag: 2, split: 'any' }).find((p) => p.prompt === text)!;
        return planText({ scene: sceneOfPrompt(prompt, nanoWorld, seed) }, { grid });
      }
      const edit = edits.find((item) => item.edit.instruction === text && item.source === image);
      return planText(edit ? edit.edit.target : { scene: world.scene(4, pictures++, 'any') }, { grid });
    };
  });
  expect(results.prompts).toHaveLength(12);
  expect(results.prompts.flatMap(({ plans }) => plans).filter(({ correct }) => !correct)).toEqual([]);
  expect(results.edits.length).toBeGreaterThan(10);
  expect(results.edits.filter(({ correct }) => !correct)).toEqual([]);
  expect(results.pictures.filter(({ correct }) => !correct)).toEqual([]);
  expect(steps).toHaveLength(24 + results.edits.length + 5);
  expect(report.scores.every(({ name, estimate }) => name.startsWith('emoji-plans') && estimate.value === 1)).toBe(
    true,
  );
  expect(formatReport(report)).toContain('cannot be read');
});

test('one who always thinks the same is right by chance alone, one who babbles never', async () => {
  const same = await run(() => async () => 'red apple a1:c3, on blue, twemoji');
  expect(same.report.scores[0]!.estimate.value).toBeLessThan(0.5);
  expect(same.results.pictures.every(({ correct }) => !correct)).toBe(true);
  expect(same.results.edits.every(({ correct }) => !correct)).toBe(true);
  const babble = await run(() => async () => 'I think that a cat would be nice.');
  expect(babble.report.scores.every(({ estimate }) => estimate.value === 0)).toBe(true);
  expect(babble.report.tables[0]!.rows[0]).toEqual(['cannot be read', babble.report.images, babble.report.images]);
});

test('a plan is held to what was asked', async () => {
  const prompt: GenevalPrompt = {
    tag: 'counting',
    prompt: 'a photo of two red apples',
    include: [{ class: 'apple', count: 2 }],
    exclude: [{ class: 'apple', count: 3 }],
  };
  const judge = (plan: string) => judgePrompt(prompt, plan, grid).correct;
  expect(judge('red apple a1:c3, red apple d1:f3, on blue, noto')).toBe(true);
  expect(judge('red apple a1:c3, on blue, noto')).toBe(false);
  expect(judge('red apple a1:c3, red apple d1:f3, red apple a4:c6, on blue, noto')).toBe(false);
  const world = await World.open(nanoWorld);
  const items = sampleEditItems(world, { size, seed: 4, perType: 12 });
  const mapped = items.find(({ edit }) => edit.target.imageMap);
  if (!mapped) throw new Error('no edit of the whole picture');
  const exact = planText(mapped.edit.target, { grid });
  expect(judgeEdit(mapped, exact, grid).correct).toBe(true);
  expect(judgeEdit(mapped, planText({ scene: mapped.scene }, { grid }), grid).reasons[0]).toMatch(/of the picture/);
});
