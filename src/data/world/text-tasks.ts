/** Tasks of text alone about the world, so that a language model learns its words before it sees a picture. */
import { describeScene } from './captions.ts';
import { type Chance, chanceOf, streams } from './chance.ts';
import { type Facts, factsOf, type Place, type Thing } from './facts.ts';
import { factsAbout, type KnowledgeSplit } from './knowledge.ts';
import { layoutText } from './layout.ts';
import { backgroundPhrase, beforeBackground, capitalised, groupPhrase, listed, thingPhrase } from './phrases.ts';
import { askQuestion, type QuestionKind } from './questions.ts';
import type { Scene } from './scene.ts';
import { worldClasses } from './vocabulary.ts';

export const textTaskKinds = ['question', 'paraphrase', 'layout', 'repetition', 'knowledge'] as const;
export type TextTaskKind = (typeof textTaskKinds)[number];

export interface TextTask {
  readonly kind: TextTaskKind;
  readonly prompt: string;
  readonly answer: string;
}

export interface TextTaskOptions {
  /** Cells a side of a layout; the default is 4. */
  readonly grid?: number;
  /** Facts of which split `knowledge` asks; the default is `train`. */
  readonly split?: KnowledgeSplit;
}

/**
 * A task of text about the scene (`knowledge` looks at the seed alone); the same arguments give the same one. Without
 * `kind`, one by chance. `null` where the scene does not allow the kind: a layout, where its cells do not say all.
 */
export function textTask(scene: Scene, seed: number, kind: TextTaskKind, options?: TextTaskOptions): TextTask | null;
export function textTask(scene: Scene, seed: number, kind?: undefined, options?: TextTaskOptions): TextTask;
export function textTask(
  scene: Scene,
  seed: number,
  kind?: TextTaskKind,
  options: TextTaskOptions = {},
): TextTask | null {
  const chance = chanceOf(seed, streams.textTask);
  for (const candidate of kind === undefined ? chance.shuffle(textTaskKinds) : [kind]) {
    const made = makers[candidate](scene, seed, chance, options);
    if (made) return { kind: candidate, ...made };
  }
  return null;
}

type Maker = (scene: Scene, seed: number, chance: Chance, options: TextTaskOptions) => Omit<TextTask, 'kind'> | null;

const makers: Readonly<Record<TextTaskKind, Maker>> = {
  question: questionTask,
  paraphrase: (scene, seed, chance) => {
    const facts = factsOf(scene);
    if (facts.things.length === 0) return null;
    const caption = chance.happens(0.5) ? describeScene(scene, seed, 'dense') : namingCaption(chance, facts);
    const prompt = chance.pick(['Say it in a few words:', 'Say this in other words:', 'Make a short caption of this:']);
    return { prompt: `${prompt} ${caption}`, answer: namingCaption(chance, facts) };
  },
  layout: (scene, _seed, chance, { grid = 4 }) => {
    const caption = placedCaption(scene, grid, chance);
    if (caption === null) return null;
    const prompt = chance.pick([
      `Lay this out on a grid of ${grid} rows and ${grid} columns:`,
      `Write the picture as ${grid} lines of ${grid} words:`,
      `Where is what? Fill ${grid} rows with ${grid} words each:`,
    ]);
    return { prompt: `${prompt} ${caption}`, answer: layoutText(scene, grid) };
  },
  repetition: (scene, seed, chance) => {
    const { groups } = factsOf(scene);
    if (groups.length === 0) return null;
    const caption = describeScene(scene, seed, 'dense');
    const prompt = chance.pick(['Name the things in:', 'List the objects in:', 'Which things are in this picture?']);
    return { prompt: `${prompt} ${caption}`, answer: groups.map((group) => group.class).join(', ') };
  },
  knowledge: (_scene, _seed, chance, { split = 'train' }) => knowledgeTask(split, chance),
};

/** Things, numbers, colours and background: what follows from every dense caption and from every caption of this form. */
function namingCaption(chance: Chance, { groups, scene }: Facts): string {
  const things = listed(chance.shuffle(groups).map((group) => groupPhrase(chance, group, { colour: true })));
  const opening = chance.pick(['a picture of ', 'a drawing of ', 'an image showing ', '']);
  return `${opening}${things}, ${beforeBackground(chance, scene.background)}.`;
}

/**
 * A question that the caption is sure to answer: a free one names all things and their numbers, a dense one begins with
 * their colours too. Free ones are short, so that more of them are learned from in the same time.
 */
function questionTask(scene: Scene, seed: number, chance: Chance): Omit<TextTask, 'kind'> | null {
  const caption = chance.happens(0.7) ? 'free' : 'dense';
  const answerable: readonly QuestionKind[] =
    caption === 'free' ? ['existence', 'count'] : ['existence', 'count', 'colour', 'background'];
  for (const kind of chance.shuffle(answerable)) {
    const asked = askQuestion(scene, seed, kind, { ownColours: false });
    if (!asked) continue;
    return { prompt: `${sentence(describeScene(scene, seed, caption))} ${asked.question}`, answer: asked.answer };
  }
  return null;
}

/** A caption as a sentence, so that a question can follow. */
function sentence(caption: string): string {
  return /[.?!]$/.test(caption) ? caption : `${capitalised(caption)}.`;
}

/** A fact with its class; apart from every scene. */
function knowledgeTask(split: KnowledgeSplit, chance: Chance): Omit<TextTask, 'kind'> {
  const { name } = chance.pick(worldClasses);
  const fact = chance.pick(factsAbout(name, split));
  return {
    prompt: chance.pick([`What is this: ${fact}?`, `Name it: ${fact}.`, `${capitalised(fact)}: what is it?`]),
    answer: name,
  };
}

const namedPlaces: Readonly<Record<2 | 3, readonly Place[]>> = {
  2: ['top left', 'top right', 'bottom left', 'bottom right'],
  3: ['top left', 'top', 'top right', 'left', 'middle', 'right', 'bottom left', 'bottom', 'bottom right'],
};

/**
 * A caption that says of every thing which cells it fills, so that the layout follows from it; `null` when a thing fills
 * none, or the cells of a thing are no rectangle because a nearer one hides some.
 */
export function placedCaption(scene: Scene, grid: number, chance: Chance): string | null {
  const { things } = factsOf(scene);
  const phrases: string[] = [];
  const taken = new Set<number>();
  for (const thing of things) {
    const cells = cellsOf(thing, grid, scene);
    if (cells.length === 0 || cells.some((cell) => taken.has(cell))) return null;
    for (const cell of cells) taken.add(cell);
    const [first, last] = [cells[0]!, cells.at(-1)!];
    phrases.push(`${thingPhrase(chance, thing, { colour: true })} ${cellsPhrase(first, last, grid)}`);
  }
  const background = backgroundPhrase(chance, scene.background);
  return phrases.length === 0 ? `nothing, on ${background}.` : `${listed(phrases)}, on ${background}.`;
}

/** Cells that the thing fills when it stands alone. */
function cellsOf({ object }: Thing, grid: number, scene: Scene): number[] {
  const words = layoutText({ ...scene, objects: [object] }, grid).split(/\s/);
  return words.flatMap((word, cell) => (word === 'empty' ? [] : [cell]));
}

function cellsPhrase(first: number, last: number, grid: number): string {
  const named = namedPlaces[grid as 2 | 3]?.[first];
  if (first === last && named) return `at the ${named}`;
  const [row, column] = [Math.floor(first / grid) + 1, (first % grid) + 1];
  const [lastRow, lastColumn] = [Math.floor(last / grid) + 1, (last % grid) + 1];
  const rows = row === lastRow ? `row ${row}` : `rows ${row} to ${lastRow}`;
  return `in ${rows}, ${column === lastColumn ? `column ${column}` : `columns ${column} to ${lastColumn}`}`;
}
