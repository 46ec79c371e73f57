/**
 * Questions about a scene with exact answers. What could be disputed is never asked, and every question that offers its
 * answers (yes or no, this or that) is drawn so that both are equally likely: without the picture it is at chance.
 */

import { type Chance, chanceOf, streams } from './chance.ts';
import { companionsOf } from './companions.ts';
import {
  type Facts,
  factsOf,
  type Group,
  oppositeOf,
  type Place,
  plainlyLarger,
  type Relation,
  relatedPairs,
  relations,
  relationsBetween,
} from './facts.ts';
import { beOf, indefinite, numberWord } from './phrases.ts';
import { colours, type Scene } from './scene.ts';
import { pluralOf, worldClasses } from './vocabulary.ts';

export const questionKinds = [
  'existence',
  'count',
  'colour',
  'place',
  'comparison',
  'relation',
  'background',
  'style',
] as const;
export type QuestionKind = (typeof questionKinds)[number];

export interface Question {
  readonly kind: QuestionKind;
  readonly question: string;
  /** `yes` and `no`, a number in digits, or one or two words, all in lower case. */
  readonly answer: string;
  /** Other ways to say the answer. */
  readonly accepted?: readonly string[];
}

/** How the absent thing of a question about existence is found: POPE's three splits. */
export const negativeKinds = ['random', 'popular', 'adversarial'] as const;
export type NegativeKind = (typeof negativeKinds)[number];

export interface QuestionOptions {
  /** The default is one by chance. */
  readonly negatives?: NegativeKind;
  /** Classes that may be asked about; the default is the whole world. */
  readonly classes?: readonly string[];
  /** The classes in order of how often they occur, the most frequent first; without it `popular` is as `random`. */
  readonly popularity?: readonly string[];
  /** Whether the colour of things in their own may be asked after: pictures show it, captions do not tell. Default true. */
  readonly ownColours?: boolean;
}

type Asked = Omit<Question, 'kind'>;
type Asker = (chance: Chance, facts: Facts, options: QuestionOptions) => Asked | null;

/**
 * A question about the scene; the same (scene, seed, kind, options) gives the same one. Without `kind`, one by chance of
 * those that the scene allows; with a kind that it does not allow (a place, where nothing is), `null`.
 */
export function askQuestion(scene: Scene, seed: number, kind: QuestionKind, options?: QuestionOptions): Question | null;
export function askQuestion(scene: Scene, seed: number, kind?: undefined, options?: QuestionOptions): Question;
export function askQuestion(
  scene: Scene,
  seed: number,
  kind?: QuestionKind,
  options: QuestionOptions = {},
): Question | null {
  const chance = chanceOf(seed, streams.question);
  const facts = factsOf(scene);
  for (const candidate of kind === undefined ? chance.shuffle(questionKinds) : [kind]) {
    const asked = askers[candidate](chance, facts, options);
    if (asked) return { kind: candidate, ...asked };
  }
  return null;
}

const askers: Readonly<Record<QuestionKind, Asker>> = {
  existence: askExistence,
  count: askCount,
  colour: askColour,
  place: askPlace,
  comparison: askComparison,
  relation: askRelation,
  background: askBackground,
  style: askStyle,
};

function yesNo(chance: Chance, forms: readonly string[], answer: boolean): Asked {
  return { question: chance.pick(forms), answer: answer ? 'yes' : 'no' };
}

function askExistence(chance: Chance, facts: Facts, options: QuestionOptions): Asked {
  const classes = options.classes ?? worldClasses.map(({ name }) => name);
  const present = facts.groups.map((group) => group.class);
  const absent = classes.filter((name) => !present.includes(name));
  const answer = present.length > 0 && (absent.length === 0 || chance.happens(0.5));
  const name = answer ? chance.pick(present) : absentClass(chance, present, absent, options);
  const noun = indefinite(name);
  return yesNo(
    chance,
    [
      `Is there ${noun} in the image?`,
      `Is there ${noun} in the picture?`,
      `Is there ${noun}?`,
      `Can you see ${noun} in the picture?`,
      `Do you see ${noun}?`,
      `Does the picture show ${noun}?`,
    ],
    answer,
  );
}

function absentClass(
  chance: Chance,
  present: readonly string[],
  absent: readonly string[],
  { negatives = chance.pick(negativeKinds), popularity }: QuestionOptions,
): string {
  if (negatives === 'adversarial' && present.length > 0) {
    const companions = companionsOf(chance.pick(present)).filter((name) => absent.includes(name));
    if (companions.length > 0) return chance.pick(companions);
  }
  // One of the five most frequent: always the first would be known without the picture.
  const popular = popularity?.filter((name) => absent.includes(name)).slice(0, 5) ?? [];
  return chance.pick(negatives === 'popular' && popular.length > 0 ? popular : absent);
}

function numberAnswer(count: number): Pick<Asked, 'answer' | 'accepted'> {
  return {
    answer: String(count),
    accepted: [count === 0 ? 'zero' : numberWord(count), ...(count === 0 ? ['none'] : [])],
  };
}

function askCount(chance: Chance, facts: Facts): Asked | null {
  if (facts.groups.length === 0) return null;
  if (facts.groups.length >= 2 && chance.happens(0.2)) {
    const [a, b] = chance.shuffle(facts.groups) as [Group, Group];
    const both = `${pluralOf(a.class)} and ${pluralOf(b.class)}`;
    return {
      question: chance.pick([`How many ${both} are there together?`, `How many ${both} are there in all?`]),
      ...numberAnswer(a.things.length + b.things.length),
    };
  }
  if (chance.happens(0.1)) {
    return {
      question: chance.pick(['How many things are in the picture?', 'How many objects are there in all?']),
      ...numberAnswer(facts.things.length),
    };
  }
  // First the number, then the group: in a scene of many single things the others are asked about as often.
  const count = chance.pick([...new Set(facts.groups.map((group) => group.things.length))]);
  const group = chance.pick(facts.groups.filter(({ things }) => things.length === count));
  const plural = pluralOf(group.class);
  return {
    question: chance.pick([
      `How many ${plural} are there?`,
      `How many ${plural} are in the picture?`,
      `How many ${plural} do you see?`,
      `What is the number of ${plural}?`,
      `Count the ${plural}.`,
    ]),
    ...numberAnswer(count),
  };
}

/** `the dog`, `the dogs`, with the verb. */
function subjectOf(group: Group): { the: string; be: 'is' | 'are' } {
  const count = group.things.length;
  return { the: `the ${count === 1 ? group.class : pluralOf(group.class)}`, be: beOf(group.class, count) };
}

/** `Is the dog`, `Are the skis`. */
function isThe(group: Group): string {
  const { the, be } = subjectOf(group);
  return `${be === 'is' ? 'Is' : 'Are'} ${the}`;
}

function askColour(chance: Chance, facts: Facts, { ownColours = true }: QuestionOptions): Asked | null {
  const coloured = facts.groups.filter((group) => (ownColours ? group.seenColour : group.colour) !== null);
  if (coloured.length === 0) return null;
  const group = chance.pick(coloured);
  const { the, be } = subjectOf(group);
  // Which colour a thing has by nature can be said; that it has no other could be disputed.
  if (group.colour !== null && chance.happens(0.4)) {
    const answer = chance.happens(0.5);
    const colour = answer ? group.colour! : chance.pick(colours.filter((other) => other !== group.colour));
    return yesNo(chance, [`${isThe(group)} ${colour}?`, `${isThe(group)} of the color ${colour}?`], answer);
  }
  return {
    question: chance.pick([
      `What color ${be} ${the}?`,
      `What colour ${be} ${the}?`,
      `Which color ${be} ${the}?`,
      `What is the color of ${the}?`,
      `In which color ${be} ${the} drawn?`,
    ]),
    answer: group.seenColour!,
  };
}

const otherPlaces: Readonly<Record<Place, readonly string[]>> = {
  'top left': ['upper left', 'top-left', 'left top'],
  top: ['top middle', 'top center', 'upper middle'],
  'top right': ['upper right', 'top-right', 'right top'],
  left: ['middle left', 'center left', 'left middle'],
  middle: ['center', 'centre'],
  right: ['middle right', 'center right', 'right middle'],
  'bottom left': ['lower left', 'bottom-left', 'left bottom'],
  bottom: ['bottom middle', 'bottom center', 'lower middle'],
  'bottom right': ['lower right', 'bottom-right', 'right bottom'],
};

function askPlace(chance: Chance, facts: Facts): Asked | null {
  const placed = facts.singles.filter((group) => group.place !== null);
  if (placed.length === 0) return null;
  const group = chance.pick(placed);
  const { the, be } = subjectOf(group);
  return {
    question: chance.pick([
      `Where ${be} ${the}?`,
      `Where in the picture ${be} ${the}?`,
      `Where do you see ${the}?`,
      `In which part of the picture ${be} ${the}?`,
    ]),
    answer: group.place!,
    accepted: otherPlaces[group.place!],
  };
}

function askComparison(chance: Chance, facts: Facts): Asked | null {
  const pairs = facts.groups.flatMap((a) => facts.groups.filter((b) => b !== a).map((b) => [a, b] as const));
  const area = (group: Group) => group.things[0]!.object.box.width * group.things[0]!.object.box.height;
  const bySize = pairs.filter(
    ([a, b]) => a.things.length === 1 && b.things.length === 1 && area(a) >= plainlyLarger * area(b),
  );
  const byCount = pairs.filter(([a, b]) => a.things.length > b.things.length);
  const askers = [...(bySize.length > 0 ? ['size'] : []), ...(byCount.length > 0 ? ['count'] : [])];
  if (askers.length === 0) return null;
  const [first, second] = chance.pick(chance.pick(askers) === 'size' ? bySize : byCount);
  // Either order of the two is as likely, and so either answer.
  const swapped = chance.happens(0.5);
  const [a, b] = swapped ? [second, first] : [first, second];
  if (first.things.length > second.things.length) {
    const [as, bs] = [pluralOf(a.class), pluralOf(b.class)];
    if (chance.happens(0.3)) {
      return {
        question: chance.pick([`Are there more ${as} or more ${bs}?`, `Which are there more of, ${as} or ${bs}?`]),
        answer: pluralOf(first.class),
        accepted: [first.class],
      };
    }
    const forms = (than: 'more' | 'fewer') => [
      `Are there ${than} ${as} than ${bs}?`,
      `Do you see ${than} ${as} than ${bs}?`,
    ];
    return chance.happens(0.7) ? yesNo(chance, forms('more'), !swapped) : yesNo(chance, forms('fewer'), swapped);
  }
  const [larger, words] = chance.happens(0.5)
    ? ([true, ['larger', 'bigger']] as const)
    : ([false, ['smaller']] as const);
  const word = chance.pick(words);
  if (chance.happens(0.5)) return yesNo(chance, [`${isThe(a)} ${word} than the ${b.class}?`], swapped !== larger);
  const answer = (larger ? first : second).class;
  return {
    question: chance.pick([
      `Which is ${word}, the ${a.class} or the ${b.class}?`,
      `What is ${word}, the ${a.class} or the ${b.class}?`,
    ]),
    answer,
    accepted: [`the ${answer}`],
  };
}

function askRelation(chance: Chance, facts: Facts): Asked | null {
  const related = relatedPairs(facts);
  if (related.length === 0) return null;
  const asking: Readonly<Record<Relation, string>> = {
    'left of': chance.pick(['left of', 'to the left of']),
    'right of': chance.pick(['right of', 'to the right of']),
    above: 'above',
    below: 'below',
  };
  const alone = facts.singles.flatMap((reference) =>
    relations.flatMap((relation) => {
      const found = facts.things.filter(
        (thing) =>
          thing !== reference.things[0] &&
          relationsBetween(thing.object.box, reference.things[0]!.object.box).includes(relation),
      );
      return found.length === 1 ? [{ reference, relation, answer: found[0]!.object.class }] : [];
    }),
  );
  if (alone.length > 0 && chance.happens(0.2)) {
    const { reference, relation, answer } = chance.pick(alone);
    return {
      question: chance.pick([
        `What is ${asking[relation]} the ${reference.class}?`,
        `Which thing is ${asking[relation]} the ${reference.class}?`,
      ]),
      answer,
      accepted: [`the ${answer}`, indefinite(answer)],
    };
  }
  // Which of the four is asked only where one of them is true.
  const plain = related.filter(({ subject, reference }) => {
    const [a, b] = [subject, reference].map((group) => group.things[0]!.object.box);
    return relationsBetween(a!, b!).length === 1;
  });
  if (plain.length > 0 && chance.happens(0.35)) {
    const { subject, relation, reference } = chance.pick(plain);
    return {
      question: chance.pick([
        `Where is the ${subject.class}, seen from the ${reference.class}?`,
        `Where is the ${subject.class} relative to the ${reference.class}?`,
      ]),
      ...relationAnswer(relation),
    };
  }
  const { subject, relation, reference } = chance.pick(related);
  if (chance.happens(0.35)) {
    const [first, second] = chance.happens(0.5) ? [relation, oppositeOf[relation]] : [oppositeOf[relation], relation];
    return {
      question: `${isThe(subject)} ${asking[first]} or ${asking[second]} the ${reference.class}?`,
      ...relationAnswer(relation),
    };
  }
  const answer = chance.happens(0.5);
  const asked = asking[answer ? relation : oppositeOf[relation]];
  return yesNo(
    chance,
    [
      `${isThe(subject)} ${asked} the ${reference.class}?`,
      `Do you see the ${subject.class} ${asked} the ${reference.class}?`,
    ],
    answer,
  );
}

function relationAnswer(relation: Relation): Pick<Asked, 'answer' | 'accepted'> {
  const others = relation.endsWith('of') ? [relation.replace(' of', ''), `to the ${relation}`] : [];
  return { answer: relation, ...(others.length > 0 ? { accepted: others } : {}) };
}

function askBackground(chance: Chance, { scene: { background } }: Facts): Asked {
  const gradient = background.kind === 'gradient' && background.from !== background.to;
  if (chance.happens(0.15)) {
    return {
      question: chance.pick(['Is the background plain or a gradient?', 'Is the background a gradient or plain?']),
      answer: gradient ? 'gradient' : 'plain',
      accepted: [gradient ? 'a gradient' : 'plain color'],
    };
  }
  const sides = gradient && background.angle === 90 ? (['left', 'right'] as const) : (['top', 'bottom'] as const);
  const first = chance.happens(0.5);
  const colour = background.kind === 'plain' ? background.colour : first ? background.from : background.to;
  const where = gradient ? ` at the ${sides[first ? 0 : 1]}` : '';
  if (chance.happens(0.4)) {
    const answer = chance.happens(0.5);
    const asked = answer ? colour : chance.pick(colours.filter((other) => other !== colour));
    return yesNo(chance, [`Is the background ${asked}${where}?`, `Is the backdrop ${asked}${where}?`], answer);
  }
  return {
    question: chance.pick([
      `What color is the background${where}?`,
      `What colour is the background${where}?`,
      `Which color does the background have${where}?`,
      `What is the color of the background${where}?`,
    ]),
    answer: colour,
  };
}

function askStyle(chance: Chance, { style }: Facts): Asked | null {
  if (style === null) return null;
  return {
    question: chance.pick([
      'In which style is the picture drawn?',
      'What is the style of the picture?',
      'Which emoji style is this?',
    ]),
    answer: style,
    accepted: [`${style} style`],
  };
}
