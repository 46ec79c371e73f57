/**
 * What the base is taught: conversations about pictures of the world, and about texts alone. Text comes first in number:
 * a base that is to carry a prompt into a picture must know what every word of it puts where.
 */
import { describeScene } from './captions.ts';
import { cellWords } from './cell-words.ts';
import { type Chance, chanceOf } from './chance.ts';
import { factsAbout } from './knowledge.ts';
import { askQuestion, type QuestionKind, questionKinds } from './questions.ts';
import type { Scene } from './scene.ts';
import { type TextTaskKind, textTask } from './text-tasks.ts';
import { withArticle, worldClasses } from './vocabulary.ts';

export type ConversationKind =
  | QuestionKind
  | `text ${TextTaskKind}`
  | 'caption'
  | 'cells'
  | 'picture cells'
  | 'edit cells'
  | 'thought';

export interface WorldConversation {
  readonly kind: ConversationKind;
  readonly question: string;
  /** A text, or the words of a picture's places, which are said where a picture would begin. */
  readonly answer: string | { readonly cells: readonly string[] };
}

export interface ConversationOptions {
  /** Classes that negatives are taken from. */
  readonly classes: readonly string[];
  /** Places a side of a picture of tokens. */
  readonly grid: number;
  /** An instruction to change the scene, and what it becomes; undefined where the scene allows none. */
  readonly edit: (scene: Scene, seed: number) => { readonly instruction: string; readonly target: Scene } | undefined;
}

/** How often each kind of question is asked; what is hard is asked more. */
const questionWeights: Readonly<Record<QuestionKind, number>> = {
  existence: 3,
  count: 5,
  colour: 3,
  place: 4,
  comparison: 2,
  relation: 8,
  background: 1,
  style: 1,
};

const copyRequests = ['Draw this picture again.', 'Copy the picture.', 'Lay the picture out.', 'Repeat this picture.'];
const captionRequests = {
  geneval: [
    'Give the picture a short title.',
    'What would be a good prompt for this picture?',
    'Caption this picture.',
  ],
  free: ['What does the picture show?', 'Describe the picture.', 'What is in this picture?'],
  dense: ['Describe the picture in detail.', 'Say all that is to be seen in the picture.'],
} as const;

const streams = { picture: 211, text: 212 } as const;

/** More than the conversations of a row: so that two rows share no seed. */
const turns = 64;

/** Conversations about the picture of a scene, without end; the same (scene, seed) gives the same ones. */
export function* pictureConversations(
  scene: Scene,
  seed: number,
  { classes, grid, edit }: ConversationOptions,
): Generator<WorldConversation, never, void> {
  const chance = chanceOf(seed, streams.picture);
  // Places are a third of a row, and soon learned: most rows go to questions.
  const changed = chance.happens(0.2) ? edit(scene, seed) : undefined;
  if (changed) {
    yield { kind: 'edit cells', question: changed.instruction, answer: { cells: cellWords(changed.target, grid) } };
  } else if (chance.happens(0.1)) {
    yield { kind: 'picture cells', question: chance.pick(copyRequests), answer: { cells: cellWords(scene, grid) } };
  }
  if (chance.happens(0.15)) {
    const kind = chance.pick(['geneval', 'free', 'dense'] as const);
    const question = chance.pick(captionRequests[kind]);
    yield { kind: 'caption', question, answer: describeScene(scene, seed, kind) };
  }
  for (let turn = 1; ; turn++) {
    const kind = chance.pickWeighted(questionKinds, (each) => questionWeights[each]);
    const asked = askQuestion(scene, seed * turns + turn, kind, { classes });
    if (asked) yield { kind: asked.kind, question: asked.question, answer: asked.answer };
  }
}

const textTaskWeights: Readonly<Record<TextTaskKind, number>> = {
  question: 4,
  paraphrase: 2,
  layout: 1,
  repetition: 1,
  knowledge: 2,
};

/** Conversations about texts, each about a scene of its own (`sceneAt(turn)`); begins with a picture's places in words. */
export function* textConversations(
  sceneAt: (turn: number) => Scene,
  seed: number,
  { grid }: Pick<ConversationOptions, 'grid'>,
): Generator<WorldConversation, never, void> {
  const chance = chanceOf(seed, streams.text);
  if (chance.happens(0.85)) {
    const scene = sceneAt(0);
    yield { kind: 'cells', question: describeScene(scene, seed), answer: { cells: cellWords(scene, grid) } };
  }
  for (let turn = 1; ; turn++) {
    if (chance.happens(0.15)) yield thought(sceneAt(turn), seed * turns + turn, chance);
    const kinds = Object.keys(textTaskWeights) as TextTaskKind[];
    const kind = chance.pickWeighted(kinds, (each) => textTaskWeights[each]);
    const task = textTask(sceneAt(turn), seed * turns + turn, kind);
    if (task) yield { kind: `text ${task.kind}`, question: task.prompt, answer: task.answer };
  }
}

/** What the base thinks of a bare prompt before it is drawn (implicit reasoning): the things by their names, in short. */
function thought(scene: Scene, seed: number, chance: Chance): WorldConversation {
  if (chance.happens(0.5)) {
    const { name } = chance.pick(worldClasses);
    const question = `a photo of ${chance.pick(factsAbout(name, 'train'))}`;
    return { kind: 'thought', question, answer: `a photo of ${withArticle(name)}` };
  }
  const question = describeScene(scene, seed, chance.pick(['free', 'dense'] as const));
  return { kind: 'thought', question, answer: describeScene(scene, seed, 'geneval') };
}
