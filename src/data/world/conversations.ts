/**
 * What the base is taught: conversations about pictures of the world, and about texts alone. Text comes first in number:
 * a base that is to carry a prompt into a picture must know what every word of it puts where.
 */
import { captionKinds, describeScene, isGenevalScene } from './captions.ts';
import { cellWords } from './cell-words.ts';
import { type Chance, chanceOf } from './chance.ts';
import type { EditTarget } from './edit-target.ts';
import { factsAbout } from './knowledge.ts';
import { askQuestion, type QuestionKind, questionKinds } from './questions.ts';
import type { Scene } from './scene.ts';
import { planText } from './scene-plan.ts';
import { type TextTaskKind, textTask } from './text-tasks.ts';

export type ConversationKind =
  | QuestionKind
  | `text ${TextTaskKind}`
  | 'caption'
  | 'cells'
  | 'picture cells'
  | 'edit cells'
  | 'plan'
  | 'plan cells'
  | 'picture plan'
  | 'edit plan';

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
  readonly edit: (
    scene: Scene,
    seed: number,
  ) => { readonly instruction: string; readonly target: EditTarget } | undefined;
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
/** Ask for the plan of a picture. */
export const planRequests = [
  'Say what stands where.',
  'Where is what?',
  'Write down the plan of this picture.',
] as const;
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
  const changed = chance.happens(0.04) ? edit(scene, seed) : undefined;
  if (changed) {
    const cells = cellWords(shownScene(changed.target), grid);
    yield { kind: 'edit cells', question: changed.instruction, answer: { cells } };
  } else if (chance.happens(0.04)) {
    yield { kind: 'picture cells', question: chance.pick(copyRequests), answer: { cells: cellWords(scene, grid) } };
  }
  for (let turn = 0; turn < 2; turn++) {
    const planned = chance.happens(0.4) ? edit(scene, seed * turns + turn) : undefined;
    if (!planned) continue;
    yield { kind: 'edit plan', question: planned.instruction, answer: planText(planned.target, { grid }) };
  }
  if (chance.happens(0.5)) {
    yield { kind: 'picture plan', question: chance.pick(planRequests), answer: planText({ scene }, { grid }) };
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
  // To draw a plan is what takes longest to learn, and what a picture rests on.
  for (let turn = 0; turn < 2; turn++) {
    const scene = sceneAt(turn);
    const caption = sayableCaption(scene, seed * turns + turn, chance);
    const cells = { cells: cellWords(scene, grid) };
    if (chance.happens(0.1)) yield { kind: 'cells', question: caption, answer: cells };
    else yield { kind: 'plan cells', question: planText({ scene }, { grid, after: caption }), answer: cells };
  }
  for (let turn = 2; ; turn++) {
    if (chance.happens(0.6)) yield plan(sceneAt(turn), seed * turns + turn, grid, chance);
    const kinds = Object.keys(textTaskWeights) as TextTaskKind[];
    const kind = chance.pickWeighted(kinds, (each) => textTaskWeights[each]);
    const task = textTask(sceneAt(turn), seed * turns + turn, kind);
    if (task) yield { kind: `text ${task.kind}`, question: task.prompt, answer: task.answer };
  }
}

/** What the base thinks of a bare prompt before it is drawn (implicit reasoning): what shall stand where. */
function plan(scene: Scene, seed: number, grid: number, chance: Chance): WorldConversation {
  const [first] = scene.objects;
  if (first && chance.happens(0.15)) {
    const question = `a photo of ${chance.pick(factsAbout(first.class, 'train'))}`;
    return { kind: 'plan', question, answer: planText({ scene: { ...scene, objects: [first] } }, { grid }) };
  }
  const question = sayableCaption(scene, seed, chance);
  return { kind: 'plan', question, answer: planText({ scene }, { grid, after: question }) };
}

/** A caption that names all things of a scene. */
function sayableCaption(scene: Scene, seed: number, chance: Chance): string {
  const kind = chance.pickWeighted(captionKinds, (each) => captionWeights[each]);
  return describeScene(scene, seed, kind === 'geneval' && !isGenevalScene(scene) ? 'free' : kind);
}

const captionWeights = { geneval: 3, free: 3, dense: 1 } as const;

/** What is cut out stands on white. */
export function shownScene({ scene, canvas }: EditTarget): Scene {
  return canvas === 'white' ? { ...scene, background: { kind: 'plain', colour: 'white' } } : scene;
}
