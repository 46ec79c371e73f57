/**
 * Captions of a scene: GenEval's own grammar, free ones and dense ones of 40 to 80 words. A caption says only what is
 * true of the scene, and names all that is to be seen in it wherever its grammar can.
 */
import { type Chance, chanceOf, streams } from './chance.ts';
import { type Facts, factsOf, type Group, relatedPairs } from './facts.ts';
import {
  backgroundPhrase,
  beforeBackground,
  beOf,
  capitalised,
  definite,
  groupPhrase,
  listed,
  numberWord,
  placePhrase,
  relationPhrase,
  stylePhrase,
  thingPhrase,
} from './phrases.ts';
import type { Scene } from './scene.ts';
import { withArticle } from './vocabulary.ts';

export const captionKinds = ['geneval', 'free', 'dense'] as const;
export type CaptionKind = (typeof captionKinds)[number];

/**
 * A caption of the scene; the same (scene, seed, kind) gives the same one. Without `kind`, one of the three by chance.
 * `geneval` names as much of the scene as one of its prompts can; a scene without things is described by its background.
 */
export function describeScene(scene: Scene, seed: number, kind?: CaptionKind): string {
  const chance = chanceOf(seed, streams.caption);
  const facts = factsOf(scene);
  const chosen = kind ?? chance.pick(captionKinds);
  if (facts.things.length === 0) return emptyCaption(chance, facts);
  if (chosen === 'geneval') return genevalCaption(chance, facts);
  return chosen === 'free' ? freeCaption(chance, facts) : denseCaption(chance, facts);
}

/** Whether one of GenEval's prompts can name all things of the scene: several of one class, or two of two. */
export function isGenevalScene({ objects }: Scene): boolean {
  return objects.length <= 2 || new Set(objects.map((object) => object.class)).size === 1;
}

function emptyCaption(chance: Chance, { scene }: Facts): string {
  const background = backgroundPhrase(chance, scene.background);
  return chance.pick([
    `a photo of ${background}`,
    `an empty picture with ${background}`,
    `nothing but ${background}`,
    `${background} with nothing on it`,
  ]);
}

/** GenEval's plural, `persons` and `knifes` as in its prompts. */
export function genevalPlural(name: string): string {
  return `${name}${name.endsWith('s') ? 'es' : 's'}`;
}

/**
 * One of the prompts of GenEval (`create_prompts.py`) that are true of the scene, of those that name the most things. Its
 * grammar knows no more than two things of different classes or several of one class.
 */
function genevalCaption(chance: Chance, facts: Facts): string {
  const { groups, singles } = facts;
  const pairs = singles.flatMap((a) => singles.filter((b) => b !== a).map((b) => [a, b] as const));
  const coloured = pairs.filter(([a, b]) => a.colour !== null && b.colour !== null && a.colour !== b.colour);
  const related = relatedPairs(facts);
  // Each form is as likely as the others, however many pairs it could name.
  const forms: (() => string)[] = [];
  if (singles.length >= 2) {
    forms.push(() => {
      const [a, b] = chance.pick(pairs);
      return `${withArticle(a.class)} and ${withArticle(b.class)}`;
    });
    if (coloured.length > 0) {
      forms.push(() => {
        const [a, b] = chance.pick(coloured);
        return `${withArticle(`${a.colour} ${a.class}`)} and ${withArticle(`${b.colour} ${b.class}`)}`;
      });
    }
    if (related.length > 0) {
      forms.push(() => {
        const { subject, relation, reference } = chance.pick(related);
        return `${withArticle(subject.class)} ${relation} ${withArticle(reference.class)}`;
      });
    }
  } else {
    const largest = Math.max(...groups.map((group) => group.things.length));
    const group = chance.pick(groups.filter(({ things }) => things.length === largest));
    if (largest > 1) forms.push(() => `${numberWord(largest)} ${genevalPlural(group.class)}`);
    else {
      forms.push(() => withArticle(group.class));
      if (group.colour !== null) forms.push(() => withArticle(`${group.colour} ${group.class}`));
    }
  }
  return `a photo of ${chance.pick(forms)()}`;
}

/** What a free caption begins with; those of the second list ask for the picture. */
const openings = [
  '',
  '',
  '',
  'there is ',
  'a photo of ',
  'a picture of ',
  'an image of ',
  'a drawing of ',
  'an illustration of ',
  'a simple picture of ',
  'a view of ',
  'a scene with ',
  'a picture with ',
  'an image showing ',
  'a picture that shows ',
  'this picture shows ',
  'here you can see ',
  'in this picture you see ',
  'draw ',
  'paint ',
  'please draw ',
  'show me ',
  'make a picture of ',
  'create an image of ',
  'generate a picture of ',
  'I would like to see ',
  'can you draw ',
] as const;

function freeCaption(chance: Chance, facts: Facts): string {
  const details = { colour: chance.happens(0.7), size: chance.happens(0.3) };
  const groups = chance.happens(0.5) ? facts.groups : chance.shuffle(facts.groups);
  const related = relatedPairs(facts);
  const inline = facts.groups.length === 2 && related.length > 0 && chance.happens(0.5);
  const placed = !inline && chance.happens(0.4);
  let body: string;
  if (inline) {
    const { subject, relation, reference } = chance.pick(related);
    const phrase = `${groupPhrase(chance, subject, details)} ${relationPhrase(chance, relation)}`;
    body = `${phrase} ${groupPhrase(chance, reference, details)}`;
  } else {
    body = listed(
      groups.map((group) => {
        const phrase = groupPhrase(chance, group, details);
        return placed && group.place !== null ? `${phrase} ${placePhrase(chance, group.place)}` : phrase;
      }),
    );
  }
  const parts = [body];
  const tails: string[] = [];
  if (chance.happens(0.4)) tails.push(beforeBackground(chance, facts.scene.background));
  if (facts.style !== null && chance.happens(0.25)) tails.push(stylePhrase(chance, facts.style));
  // After a place a background without a comma would seem to belong to the last thing alone.
  for (const tail of chance.shuffle(tails)) parts.push(placed || chance.happens(0.3) ? `, ${tail}` : ` ${tail}`);
  const opening = chance
    .pick(openings)
    .replace('there is', () => ((inline ? 1 : groups[0]!.things.length) === 1 ? 'there is' : 'there are'));
  const caption = `${opening}${parts.join('')}`;
  const question = opening.startsWith('can you');
  const sentence = question || chance.happens(0.4) ? `${capitalised(caption)}${question ? '?' : '.'}` : caption;
  if (question || inline || related.length === 0 || !chance.happens(0.25)) return sentence;
  const said = relationSentence(chance, chance.pick(related));
  return sentence.endsWith('.') ? `${sentence} ${capitalised(said)}.` : `${sentence}, ${said}`;
}

function relationSentence(chance: Chance, { subject, relation, reference }: ReturnType<typeof relatedPairs>[number]) {
  return `${definite(subject)} ${beOf(subject.class)} ${relationPhrase(chance, relation)} ${definite(reference)}`;
}

const denseWords = { least: 40, most: 80 } as const;

function wordCount(text: string): number {
  return text.split(/\s+/).length;
}

/** What all captions of a scene must say comes first; further true sentences follow until the length is reached. */
function denseCaption(chance: Chance, facts: Facts): string {
  const { things, groups, scene, style } = facts;
  const total = things.length === 1 ? 'one thing' : `${numberWord(things.length)} things`;
  const background = backgroundPhrase(chance, scene.background);
  const everything = listed(groups.map((group) => groupPhrase(chance, group, { colour: true, size: true })));
  const sentences = [
    chance.pick([
      `This picture shows ${everything}.`,
      `The picture shows ${everything}.`,
      `We see ${everything}.`,
      `In this image there ${groups[0]!.things.length === 1 ? 'is' : 'are'} ${everything}.`,
    ]),
    chance.pick(
      things.length > 1
        ? [`They are drawn on ${background}.`, `Behind them is ${background}.`]
        : [`It is drawn on ${background}.`, `Behind it is ${background}.`],
    ),
  ];
  const extras = chance.shuffle([
    ...groups.filter((group) => group.place !== null).map((group) => placeSentence(chance, group)),
    ...groups.filter((group) => group.place === null).flatMap((group) => scatteredSentences(chance, group)),
    ...relatedOnce(chance, facts).map((pair) => `${capitalised(relationSentence(chance, pair))}.`),
    ...(style === null ? [] : [`Everything is ${stylePhrase(chance, style).replace(/^(?!drawn)/, 'drawn ')}.`]),
  ]);
  // For a scene of one or two things: true of every picture, only said to fill the length.
  const fillers = [
    ...chance.shuffle([
      `There ${things.length === 1 ? 'is' : 'are'} ${total} in the picture in all.`,
      'There is nothing else to be seen.',
      scene.background.kind === 'plain' || scene.background.from === scene.background.to
        ? 'The background has the same color everywhere.'
        : 'The background changes slowly from one color to the other.',
    ]),
    ...groups
      .filter((group) => group.colour !== null)
      .map((group) => `The color of ${definite(group)} is ${group.colour}.`),
    'The rest of the picture is empty, and only the background can be seen there.',
    'It is a simple picture with clear shapes.',
  ];
  const wanted = denseWords.least + chance.below(denseWords.most - denseWords.least - 10);
  let length = wordCount(sentences.join(' '));
  for (const [list, until] of [
    [extras, wanted],
    [fillers, denseWords.least],
  ] as const) {
    for (const sentence of list) {
      const words = wordCount(sentence);
      if (length >= until || length + words > denseWords.most) continue;
      sentences.push(sentence);
      length += words;
    }
  }
  return sentences.join(' ');
}

function placeSentence(chance: Chance, group: Group): string {
  const be = beOf(group.class, group.things.length);
  return capitalised(`${definite(group)} ${be} ${placePhrase(chance, group.place!)} of the picture.`);
}

/** Where the things of a group are that are not all in one place. */
function scatteredSentences(chance: Chance, group: Group): string[] {
  if (group.things.length === 1) return [];
  return group.things
    .filter((thing) => thing.place !== null)
    .map((thing) => {
      const phrase = thingPhrase(chance, thing, { colour: true, size: true });
      return `There is ${phrase} ${placePhrase(chance, thing.place!)}.`;
    });
}

/** The related pairs, each pair of groups in one direction only. */
function relatedOnce(chance: Chance, facts: Facts) {
  const seen = new Set<string>();
  return chance.shuffle(relatedPairs(facts)).filter(({ subject, reference }) => {
    const key = [subject.class, reference.class].sort().join('|');
    return !seen.has(key) && seen.add(key);
  });
}
