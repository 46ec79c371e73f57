/**
 * emoji-understanding: POPE-, MME- and counting-style suites on scenes, with exact answers, and the same questions of the world
 * without the picture: what is answered right there was not seen.
 */
import type { Scene } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { bootstrapMean, bootstrapStrata, mean } from '../bootstrap.ts';
import { closedWorldNote, type Report, type Score, type Source, type Table } from '../report.ts';
import type { JudgedPicture } from '../sheet.ts';
import { answersEqual } from './answers.ts';
import { mmeScore, popeMetrics, type Reply } from './scores.ts';
import {
  kindQuestions,
  mmeQuestions,
  mmeSubtasks,
  popeQuestions,
  popeScenes,
  type SuiteQuestion,
  suiteScenes,
} from './suites.ts';

/** Answers a question about a picture, or, with `null`, without one. */
export type Answerer = (image: RgbImage | null, question: string, seed: number) => Promise<string>;

export interface UnderstandingRun {
  readonly world: World;
  readonly answerer: Answerer;
  readonly source: Source;
  /** Pixels a side. */
  readonly size: number;
  readonly seed: number;
  /** Scenes of each suite. */
  readonly scenes: number;
  /** Called after each question. */
  readonly onAnswer?: (done: number, total: number, picture: JudgedPicture | undefined) => void;
}

/** A question as it is asked: with the picture, or without. */
interface Asked {
  readonly question: SuiteQuestion;
  readonly scene: Scene | null;
}

export async function evaluateUnderstanding(run: UnderstandingRun): Promise<{ report: Report; replies: Reply[] }> {
  const { world, answerer, size, seed } = run;
  const { classes } = world.profile;
  const [pope, plain] = [
    popeScenes(world.profile, seed, run.scenes),
    suiteScenes(world.profile, seed + 1, run.scenes),
  ] as const;
  const kinds = kindQuestions(plain, classes, seed);
  const asked: Asked[] = [
    ...popeQuestions(pope, classes, seed).map((question) => ({ question, scene: pope[question.scene]! })),
    ...[...mmeQuestions(plain, classes, seed), ...kinds].map((question) => ({
      question,
      scene: plain[question.scene]!,
    })),
    ...kinds.map((question) => ({ question, scene: null })),
  ];
  const replies: Reply[] = [];
  const blind: Reply[] = [];
  for (const [index, { question, scene }] of asked.entries()) {
    const image = scene && world.render(scene, size);
    const reply = { ...question, reply: await answerer(image, question.question, seed) };
    (scene ? replies : blind).push(reply);
    const verdict = isRight(reply) ? 'right' : 'wrong';
    const text = `${question.question} ${reply.reply} (${question.answer})`;
    run.onAnswer?.(index + 1, asked.length, image ? { image, verdict, text } : undefined);
  }
  return { report: reportOf(run, replies, blind), replies };
}

function isRight({ reply, answer, accepted }: Reply): boolean {
  return answersEqual(reply, answer, accepted);
}

const correctness = (replies: readonly Reply[]) => replies.map((reply) => (isRight(reply) ? 1 : 0));

/** Lists by key, in the order in which the keys come. */
function grouped<Key>(replies: readonly Reply[], keyOf: (reply: Reply) => Key): Map<Key, Reply[]> {
  const groups = new Map<Key, Reply[]>();
  for (const reply of replies) {
    const group = groups.get(keyOf(reply));
    if (group) group.push(reply);
    else groups.set(keyOf(reply), [reply]);
  }
  return groups;
}

const byGroup = (replies: readonly Reply[]) => [...grouped(replies, ({ group }) => group)];

/** Replies by scene, so that questions of one picture are drawn together. */
const byScene = (replies: readonly Reply[]) => [...grouped(replies, ({ scene }) => scene).values()];

/** The best that can be said without looking: always the commonest answer. */
function commonestShare(replies: readonly Reply[]): number {
  const sizes = [...grouped(replies, ({ answer }) => answer).values()].map((list) => list.length);
  return Math.max(...sizes) / replies.length;
}

function reportOf(run: UnderstandingRun, replies: readonly Reply[], blind: readonly Reply[]): Report {
  const { seed } = run;
  const of = (suite: SuiteQuestion['suite']) => replies.filter((reply) => reply.suite === suite);
  const pope = byGroup(of('pope'));
  const mme = mmeSubtasks.map((name) => [name, of('mme').filter(({ group }) => group === name)] as const);
  const kinds = byGroup(of('kinds'));
  const shown = mme.filter(([, list]) => list.length > 0);
  const scores: Score[] = [
    ...pope.map(
      ([split, list]): Score => ({
        name: `emoji-POPE ${split} accuracy`,
        estimate: bootstrapStrata([byScene(list)], ([drawn]) => popeMetrics(drawn!.flat()).accuracy, { seed }),
        unit: 'pictures',
      }),
    ),
    {
      name: `emoji-MME (of ${200 * shown.length})`,
      estimate: bootstrapStrata(
        shown.map(([, list]) => byScene(list)),
        (drawn) => drawn.reduce((sum, pictures) => sum + meanScore(pictures), 0),
        { seed },
      ),
      unit: 'pictures and subtasks',
    },
    ...kinds.map(
      ([kind, list]): Score => ({
        name: `emoji-questions ${kind}`,
        estimate: bootstrapMean(correctness(list), { seed }),
        unit: 'questions',
      }),
    ),
  ];
  return {
    name: 'emoji-understanding',
    judge: 'exact answers, fixed rules of normalisation',
    images: 2 * run.scenes,
    seed,
    sampler: { source: run.source.name, ...run.source.sampler },
    scores,
    tables: [popeTable(pope), mmeTable(shown), guardTable(kinds, byGroup(blind))],
    notes: [closedWorldNote],
  };
}

/** Draws of pictures may hold one twice: each counts as a picture of its own. */
function meanScore(pictures: readonly (readonly Reply[])[]): number {
  const scores = pictures.map((list) => mmeScore(list));
  return (
    100 * mean(scores.map(({ accuracy }) => accuracy)) + 100 * mean(scores.map(({ accuracyPlus }) => accuracyPlus))
  );
}

function popeTable(groups: readonly (readonly [string, readonly Reply[]])[]): Table {
  return {
    title: 'emoji-POPE',
    columns: ['split', 'questions', 'accuracy', 'precision', 'recall', 'F1', 'yes'],
    rows: groups.map(([split, list]) => {
      const { accuracy, precision, recall, f1, yesRatio } = popeMetrics(list);
      return [split, list.length, accuracy, precision, recall, f1, yesRatio];
    }),
  };
}

function mmeTable(groups: readonly (readonly [string, readonly Reply[]])[]): Table {
  return {
    title: 'emoji-MME',
    columns: ['subtask', 'questions', 'acc', 'acc+', 'score of 200'],
    rows: groups.map(([name, list]) => {
      const { accuracy, accuracyPlus, score } = mmeScore(list);
      return [name, list.length, accuracy, accuracyPlus, score];
    }),
  };
}

function guardTable(
  seen: readonly (readonly [string, readonly Reply[]])[],
  blind: readonly (readonly [string, readonly Reply[]])[],
): Table {
  const without = new Map(blind);
  return {
    title: 'Guard: the same questions without the picture, and the commonest answer alone',
    columns: ['kind', 'questions', 'with', 'without', 'commonest'],
    rows: seen.map(([kind, list]) => [
      kind,
      list.length,
      mean(correctness(list)),
      mean(correctness(without.get(kind) ?? [])),
      commonestShare(list),
    ]),
  };
}
