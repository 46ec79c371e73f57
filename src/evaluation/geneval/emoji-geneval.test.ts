import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isHeldOut } from '../../data/world/held-out.ts';
import { fullWorld, nanoWorld } from '../../data/world/profile.ts';
import { World } from '../../data/world/world.ts';
import { Checker } from '../checker/checker.ts';
import { formatReport } from '../report.ts';
import { evaluateGeneval, genevalScores, type PromptResult } from './emoji-geneval.ts';
import {
  combinationsOf,
  generatePrompts,
  isExpressible,
  knowledgePrompts,
  sceneOfPrompt,
} from './generated-prompts.ts';
import { parseGenevalPrompts, readGenevalPrompts, type Tag, tags } from './prompt-file.ts';

const result = (tag: Tag, ...correct: boolean[]): PromptResult => ({
  prompt: { tag, prompt: tag, include: [{ class: 'dog', count: 1 }] },
  decisions: correct.map((each) => ({ correct: each, reasons: [] })),
});

test('tags are means over pictures, the overall score is the mean of tags', () => {
  const scores = genevalScores([
    result('single_object', true, true),
    result('single_object', true, false),
    result('counting', false, false),
    result('counting', false, false),
    result('counting', true, false),
  ]);
  expect(scores.tags.single_object!.value).toBe(0.75);
  expect(scores.tags.counting!.value).toBeCloseTo(1 / 6);
  expect(scores.overall.value).toBeCloseTo((0.75 + 1 / 6) / 2);
  expect(scores.images.value).toBe(0.4);
  expect(scores.prompts.value).toBe(0.6);
  expect(scores.overall.low).toBeLessThan(scores.overall.value);
  expect(() => genevalScores([])).toThrow(/no prompts/);
});

test('own prompts follow the schema and the grammar, and keep to their split', () => {
  const options = { seed: 5, perTag: 12 };
  const all = generatePrompts(fullWorld, { ...options, split: 'any' });
  expect(generatePrompts(fullWorld, { ...options, split: 'any' })).toEqual(all);
  expect(tags.map((tag) => all.filter((prompt) => prompt.tag === tag).length)).toEqual([12, 12, 12, 12, 12, 12]);
  expect(new Set(all.map(({ prompt }) => prompt)).size).toBe(all.length);
  const lines = all.map((prompt) => JSON.stringify(prompt)).join('\n');
  expect(parseGenevalPrompts(lines, 'own')).toEqual(all);
  for (const { prompt } of all) {
    expect(prompt).toMatch(/^a photo of (an? .+|(two|three|four) .+)$/);
  }
  const seen = generatePrompts(fullWorld, { ...options, split: 'seen' });
  expect(seen.every((prompt) => combinationsOf(prompt).heldOut === 0)).toBe(true);
  const heldOut = generatePrompts(fullWorld, { ...options, split: 'held-out' });
  for (const prompt of heldOut.filter((each) => combinationsOf(each).all > 0)) {
    expect(isHeldOut(sceneOfPrompt(prompt, fullWorld, 1)), prompt.prompt).toBe(true);
  }
});

const official = new URL('../../../../shared/benchmarks/geneval/evaluation_metadata.jsonl', import.meta.url).pathname;

test.skipIf(!existsSync(official))('the whole world can show 387 of the official prompts, all held out', async () => {
  const shown = (await readGenevalPrompts(official)).filter((prompt) => isExpressible(prompt, fullWorld));
  expect(shown).toHaveLength(387);
  for (const prompt of shown) {
    const { all, heldOut } = combinationsOf(prompt);
    expect(heldOut, prompt.prompt).toBe(all);
  }
});

test('exact renders score 1, renders of another prompt next to nothing', async () => {
  const world = await World.open(nanoWorld);
  const prompts = generatePrompts(nanoWorld, { seed: 9, perTag: 2, split: 'any' });
  const byText = new Map(prompts.map((prompt) => [prompt.prompt, prompt]));
  const rest = { checker: new Checker(world.atlas, nanoWorld), seed: 9, imagesPerPrompt: 2 };
  const source = { name: 'exact renders', sampler: {} };
  const draw = (text: string, seed: number) => world.render(sceneOfPrompt(byText.get(text)!, nanoWorld, seed), 64);
  const seeds: number[] = [];
  const exact = await evaluateGeneval({
    ...rest,
    prompts,
    source,
    generator: async (text, seed) => {
      seeds.push(seed);
      return draw(text, seed);
    },
  });
  expect(exact.report.scores[0]!.estimate.value).toBe(1);
  expect(exact.report.images).toBe(24);
  expect(seeds.slice(0, 4)).toEqual([9, 10, 9, 10]);
  expect(formatReport(exact.report)).toMatch(/emoji-GenEval[\s\S]*judge: analysis by synthesis[\s\S]*not comparable/);
  const first = prompts[0]!.prompt;
  const wrong = await evaluateGeneval({ ...rest, prompts, source, generator: async (_, seed) => draw(first, seed) });
  expect(wrong.report.scores[0]!.estimate.value).toBeLessThan(0.3);
});

test('prompts of knowledge name what they ask for by facts alone, those of training apart from the others', async () => {
  const every = { seed: 3, limit: 1000 };
  const seen = knowledgePrompts(nanoWorld, { ...every, split: 'seen' });
  const heldOut = knowledgePrompts(nanoWorld, { ...every, split: 'held-out' });
  expect(knowledgePrompts(nanoWorld, { ...every, split: 'any' })).toHaveLength(seen.length + heldOut.length);
  expect(seen.filter(({ prompt }) => heldOut.some((other) => other.prompt === prompt))).toEqual([]);
  for (const list of [seen, heldOut]) {
    expect(new Set(list.map(({ include }) => include[0]!.class)).size).toBe(nanoWorld.classes.length);
    for (const { prompt, include } of list) expect(prompt.split(' ')).not.toContain(include[0]!.class);
  }
  const few = knowledgePrompts(nanoWorld, { seed: 3, limit: 2, split: 'any' });
  const world = await World.open(nanoWorld);
  const byText = new Map(few.map((prompt) => [prompt.prompt, prompt]));
  const { report } = await evaluateGeneval({
    name: 'emoji-knowledge',
    prompts: few,
    checker: new Checker(world.atlas, nanoWorld),
    seed: 9,
    imagesPerPrompt: 1,
    source: { name: 'exact renders', sampler: {} },
    generator: async (text, seed) => world.render(sceneOfPrompt(byText.get(text)!, nanoWorld, seed), 64),
  });
  expect(report.scores[0]).toMatchObject({ name: 'emoji-knowledge overall (mean of tags)', estimate: { value: 1 } });
});
