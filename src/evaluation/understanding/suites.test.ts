import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { nanoWorld } from '../../data/world/profile.ts';
import { World } from '../../data/world/world.ts';
import { evaluateUnderstanding } from './emoji-understanding.ts';
import { mmeScore, popeMetrics, type Reply } from './scores.ts';
import { kindQuestions, mmeQuestions, popeQuestions, popeScenes, suiteScenes } from './suites.ts';

const reply = (answer: 'yes' | 'no', said: string, scene = 0): Reply => ({
  suite: 'pope',
  group: 'random',
  scene,
  question: '',
  answer,
  reply: said,
});

test("POPE's five metrics", () => {
  const metrics = popeMetrics([reply('yes', 'Yes'), reply('yes', 'No, none'), reply('no', 'yes'), reply('no', 'no')]);
  expect(metrics).toEqual({ accuracy: 0.5, precision: 0.5, recall: 0.5, f1: 0.5, yesRatio: 0.5 });
  expect(popeMetrics([reply('yes', 'no')])).toMatchObject({ precision: 0, recall: 0, f1: 0 });
});

test('MME counts questions and pictures', () => {
  const replies = [reply('yes', 'Yes', 1), reply('no', 'No', 1), reply('yes', 'Yes', 2), reply('no', 'Yes', 2)];
  expect(mmeScore(replies)).toEqual({ accuracy: 0.75, accuracyPlus: 0.5, score: 125 });
  expect(mmeScore([])).toEqual({ accuracy: 0, accuracyPlus: 0, score: 0 });
});

test('POPE questions: six a picture in every split, half of them yes, none asked twice', () => {
  const scenes = popeScenes(nanoWorld, 2, 20);
  const questions = popeQuestions(scenes, nanoWorld.classes, 2);
  expect(questions).toHaveLength(20 * 6 * 3);
  expect(questions.filter(({ answer }) => answer === 'yes')).toHaveLength(20 * 3 * 3);
  for (const split of ['random', 'popular', 'adversarial']) {
    const of = questions.filter(({ group, scene }) => group === split && scene === 4);
    expect(of.map(({ answer }) => answer)).toEqual(['yes', 'no', 'yes', 'no', 'yes', 'no']);
    expect(new Set(of.map(({ question }) => question)).size).toBe(6);
  }
});

const published = (split: string) =>
  new URL(`../../../../shared/benchmarks/pope/coco_pope_${split}.json`, import.meta.url).pathname;

test.skipIf(!existsSync(published('random')))(
  'the published splits have 3000 questions, half yes, 500 pictures',
  () => {
    for (const split of ['random', 'popular', 'adversarial']) {
      const lines = readFileSync(published(split), 'utf8').trim().split('\n');
      const questions = lines.map((line) => JSON.parse(line) as { image: string; label: string });
      expect(questions).toHaveLength(3000);
      expect(questions.filter(({ label }) => label === 'yes')).toHaveLength(1500);
      expect(new Set(questions.map(({ image }) => image)).size).toBe(500);
    }
  },
);

test('MME pairs are opposite', () => {
  const questions = mmeQuestions(suiteScenes(nanoWorld, 4, 20), nanoWorld.classes, 4);
  expect(questions.length % 2).toBe(0);
  expect(new Set(questions.map(({ group }) => group))).toEqual(new Set(['existence', 'count', 'position', 'color']));
  for (let i = 0; i < questions.length; i += 2) {
    expect([questions[i]!.answer, questions[i + 1]!.answer].sort()).toEqual(['no', 'yes']);
    expect(questions[i]!.question).not.toBe(questions[i + 1]!.question);
  }
});

test('right answers score full marks; the same answers whatever is seen do not', async () => {
  const world = await World.open(nanoWorld);
  const { classes } = nanoWorld;
  const [pope, plain] = [popeScenes(nanoWorld, 6, 8), suiteScenes(nanoWorld, 7, 8)];
  const known = [
    ...popeQuestions(pope, classes, 6),
    ...mmeQuestions(plain, classes, 6),
    ...kindQuestions(plain, classes, 6),
  ];
  let asked = 0;
  const rest = { world, source: { name: 'test', sampler: {} }, size: 16, seed: 6, scenes: 8 };
  const right = await evaluateUnderstanding({
    ...rest,
    answerer: async (image) => (image ? `${known[asked++]!.answer}.` : 'yes'),
  });
  for (const { name, estimate } of right.report.scores) {
    expect(estimate.value, name).toBe(name.includes('MME') ? 800 : 1);
  }
  expect(right.replies).toHaveLength(known.length);
  const yes = await evaluateUnderstanding({ ...rest, answerer: async () => 'yes' });
  const score = (name: string) => yes.report.scores.find((each) => each.name.includes(name))!.estimate.value;
  expect(score('POPE adversarial')).toBe(0.5);
  expect(score('MME')).toBe(200);
  const guard = yes.report.tables.at(-1)!;
  for (const [, , seen, unseen] of guard.rows) expect(seen).toBe(unseen);
});
