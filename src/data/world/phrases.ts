/** The words for facts: noun phrases, places, backgrounds and styles in ordinary English, each in several forms. */
import type { Chance } from './chance.ts';
import type { Group, Place, Relation, Size, Thing } from './facts.ts';
import type { Background, Colour, Style } from './scene.ts';
import { pluralOf, withArticle } from './vocabulary.ts';

const numberWords = [
  'no',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
  'thirteen',
  'fourteen',
  'fifteen',
  'sixteen',
] as const;

/** `two` for 2; a scene has 16 things at most. */
export function numberWord(count: number): string {
  return numberWords[count]!;
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(parts: readonly string[]): string {
  return parts.length < 2 ? (parts[0] ?? '') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** First letter in upper case. */
export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Things that come in pairs and are spoken of in the plural. */
const paired = new Set(['skis', 'scissors']);

/** `an apple`, `a red apple` with `red `; `a pair of red skis`. GenEval's own grammar writes `a skis` instead. */
export function indefinite(name: string, before = ''): string {
  return paired.has(name) ? `a pair of ${before}${name}` : withArticle(`${before}${name}`);
}

/** The verb to so many things of the class. */
export function beOf(name: string, count = 1): 'is' | 'are' {
  return count === 1 && !paired.has(name) ? 'is' : 'are';
}

const sizeWords: Readonly<Record<Size, readonly string[]>> = {
  small: ['small', 'little', 'tiny'],
  large: ['large', 'big', 'huge'],
};

/** What a noun phrase may say besides the noun. */
export interface Details {
  readonly colour?: boolean;
  readonly size?: boolean;
}

/** `large red ` or nothing, for what is known and wanted. */
function adjectives(
  chance: Chance,
  facts: { colour: Colour | null; size: Size | null },
  { colour, size }: Details,
): string {
  const words: string[] = [];
  if (size && facts.size) words.push(chance.pick(sizeWords[facts.size]));
  if (colour && facts.colour) words.push(facts.colour);
  return words.map((word) => `${word} `).join('');
}

/** `a large red apple`, `two apples`, `three dogs, one red and two black`. */
export function groupPhrase(chance: Chance, group: Group, details: Details): string {
  const count = group.things.length;
  const before = adjectives(chance, group, details);
  if (count === 1) return indefinite(group.class, before);
  const plural = paired.has(group.class) ? `pairs of ${before}${group.class}` : `${before}${pluralOf(group.class)}`;
  const phrase = `${numberWord(count)} ${plural}`;
  const colours = group.things.map((thing) => thing.object.colour);
  if (!details.colour || group.colour !== null || colours.some((colour) => colour === null)) return phrase;
  const parts = [...new Set(colours)].map(
    (colour) => `${numberWord(colours.filter((other) => other === colour).length)} ${colour}`,
  );
  return `${phrase} (${listed(parts)})`;
}

/** `a small red apple`, for one thing of many. */
export function thingPhrase(chance: Chance, thing: Thing, details: Details): string {
  const before = adjectives(chance, { colour: thing.object.colour, size: thing.size }, details);
  return indefinite(thing.object.class, before);
}

/** `the dog`, `the two apples`. */
export function definite(group: Group): string {
  const count = group.things.length;
  if (count === 1) return `the ${group.class}`;
  return `the ${numberWord(count)} ${paired.has(group.class) ? 'pairs of ' : ''}${pluralOf(group.class)}`;
}

const placeForms: Readonly<Record<Place, readonly string[]>> = {
  'top left': ['in the top left corner', 'at the top left', 'in the upper left corner', 'in the upper left'],
  top: ['at the top', 'in the upper part', 'at the top in the middle'],
  'top right': ['in the top right corner', 'at the top right', 'in the upper right corner', 'in the upper right'],
  left: ['on the left', 'on the left side', 'in the middle of the left side'],
  middle: ['in the middle', 'in the center', 'at the center'],
  right: ['on the right', 'on the right side', 'in the middle of the right side'],
  'bottom left': ['in the bottom left corner', 'at the bottom left', 'in the lower left corner', 'in the lower left'],
  bottom: ['at the bottom', 'in the lower part', 'at the bottom in the middle'],
  'bottom right': [
    'in the bottom right corner',
    'at the bottom right',
    'in the lower right corner',
    'in the lower right',
  ],
};

/** One form a place that fits no other place: for what must not be mistaken. */
export const exactPlace: Readonly<Record<Place, string>> = {
  'top left': 'in the top left corner',
  top: 'at the top in the middle',
  'top right': 'in the top right corner',
  left: 'in the middle of the left side',
  middle: 'in the middle',
  right: 'in the middle of the right side',
  'bottom left': 'in the bottom left corner',
  bottom: 'at the bottom in the middle',
  'bottom right': 'in the bottom right corner',
};

/** `in the top left corner`. */
export function placePhrase(chance: Chance, place: Place): string {
  return chance.pick(placeForms[place]);
}

const relationForms: Readonly<Record<Relation, readonly string[]>> = {
  'left of': ['left of', 'to the left of', 'on the left of'],
  'right of': ['right of', 'to the right of', 'on the right of'],
  above: ['above', 'over', 'higher than'],
  below: ['below', 'under', 'lower than'],
};

/** `to the left of`. */
export function relationPhrase(chance: Chance, relation: Relation): string {
  return chance.pick(relationForms[relation]);
}

/** `a blue background`, `a background that goes from red at the top to blue at the bottom`. */
export function backgroundPhrase(chance: Chance, background: Background): string {
  if (background.kind === 'plain' || background.from === background.to) {
    const colour = background.kind === 'plain' ? background.colour : background.from;
    return withArticle(`${chance.pick(['', '', 'plain ', 'solid '])}${colour} ${chance.pick(backgroundNouns)}`);
  }
  const { from, to } = background;
  const [start, end] = background.angle === 0 ? ['at the top', 'at the bottom'] : ['on the left', 'on the right'];
  return chance.pick([
    `a background that goes from ${from} ${start} to ${to} ${end}`,
    `a background fading from ${from} ${start} to ${to} ${end}`,
    `a background that is ${from} ${start} and ${to} ${end}`,
    `a gradient from ${from} ${start} to ${to} ${end}`,
  ]);
}

const backgroundNouns = ['background', 'background', 'background', 'backdrop', 'ground'] as const;

/** `on a blue background`, to follow the things. */
export function beforeBackground(chance: Chance, background: Background): string {
  return `${chance.pick(['on', 'on', 'against', 'in front of', 'with'])} ${backgroundPhrase(chance, background)}`;
}

/** `in noto style`, to follow the things. */
export function stylePhrase(chance: Chance, style: Style): string {
  return chance.pick([
    `in ${style} style`,
    `in the style of ${style}`,
    `in the ${style} style`,
    `drawn in ${style} style`,
    `as ${style} emoji`,
  ]);
}
