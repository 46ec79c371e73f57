/** Edits of the whole picture, and of what a person does: extract, background, style, action. */
import { type PlanMaker, pickReference } from './edit-objects.ts';
import { type ImageMap, imageMaps } from './edit-target.ts';
import { backgroundPhrase } from './phrases.ts';
import type { WorldProfile } from './profile.ts';
import type { Background } from './scene.ts';
import { classNamed } from './vocabulary.ts';

export const planExtract: PlanMaker = (chance, facts) => {
  const reference = pickReference(chance, facts);
  if (!reference) return null;
  const { thing, phrase } = reference;
  const others = facts.things.filter((other) => other !== thing).map(({ index }) => index);
  return {
    operation: { type: 'extract', object: thing.index },
    clause: chance.pick([
      `extract ${phrase}`,
      `extract ${phrase} from the picture`,
      `cut out ${phrase} and put it on a pure white background`,
      `show ${phrase} alone on white`,
      `keep only ${phrase} and make everything else white`,
    ]),
    patch: { removed: others, background: { kind: 'plain', colour: 'white' }, canvas: 'white' },
    named: facts.things.map(({ index }) => index),
  };
};

export const planBackground: PlanMaker = (chance, { scene }, profile) => {
  const taken = scene.objects.map(({ colour }) => colour);
  const free = profile.background.colours.filter((colour) => !taken.includes(colour));
  const current = scene.background;
  const gradient = free.length > 1 && chance.happens(profile.background.gradientShare);
  const [from, to] = chance.shuffle(free);
  const plain = free.filter((colour) => current.kind !== 'plain' || colour !== current.colour);
  if (gradient ? from === undefined : plain.length === 0) return null;
  const background: Background = gradient
    ? { kind: 'gradient', from: from!, to: to!, angle: chance.pick([0, 90] as const) }
    : { kind: 'plain', colour: chance.pick(plain) };
  if (JSON.stringify(background) === JSON.stringify(current)) return null;
  const phrase = backgroundPhrase(chance, background);
  const clause = chance.pick([
    `change the background to ${phrase}`,
    `replace the background with ${phrase}`,
    `give the picture ${phrase}`,
    ...(background.kind === 'plain'
      ? [`make the background ${background.colour}`, `paint the background ${background.colour}`]
      : []),
  ]);
  return { operation: { type: 'background', background }, clause, patch: { background }, named: [] };
};

const mapClauses: Readonly<Record<ImageMap, readonly string[]>> = {
  greyscale: [
    'turn the picture into greyscale',
    'make the picture black and white',
    'take all color out of the picture',
  ],
  sepia: ['give the picture a sepia tone', 'make it look like an old sepia photo', 'turn the picture into sepia'],
  posterise: [
    'posterize the picture',
    'turn the picture into a poster with few colors',
    'reduce it to a few flat colors',
  ],
  invert: ['invert the colors', 'turn the picture into a negative', 'show the picture with inverted colors'],
  pixelate: ['pixelate the picture', 'turn the picture into pixel art', 'make it look like an old pixel game'],
};

export const planStyle: PlanMaker = (chance, { style: current, things }, profile) => {
  const others = current === null || things.length === 0 ? [] : profile.styles.filter((style) => style !== current);
  if (others.length > 0 && chance.happens(0.6)) {
    const style = chance.pick(others);
    const clause = chance.pick([
      `draw the picture in ${style} style`,
      `redraw everything in the style of ${style}`,
      `change the style to ${style}`,
      `turn this into a ${style} picture`,
    ]);
    return { operation: { type: 'style', style }, clause, patch: { style }, named: [] };
  }
  const imageMap = chance.pick(imageMaps);
  return {
    operation: { type: 'style', imageMap },
    clause: chance.pick(mapClauses[imageMap]),
    patch: { imageMap },
    named: [],
  };
};

/** What a person does, by sprite. */
const poses: readonly (readonly [sprite: string, word: string, clauses: (who: string) => readonly string[]])[] = [
  ['1f9cd', 'standing', (who) => [`make ${who} stand still`, `let ${who} stand`]],
  ['1f6b6', 'walking', (who) => [`make ${who} walk`, `let ${who} walk`]],
  ['1f3c3', 'running', (who) => [`make ${who} run`, `let ${who} run`]],
];

/** Whether scenes of the profile show people in more than one pose. */
export function canAct(profile: WorldProfile): boolean {
  return profile.sprites === 'all' && profile.classes.includes('person');
}

export const planAction: PlanMaker = (chance, facts) => {
  const known = poses.filter(([sprite]) => classNamed('person').sprites.includes(sprite));
  const reference = pickReference(
    chance,
    facts,
    ({ object }) => object.class === 'person' && known.some(([sprite]) => sprite === object.sprite),
  );
  if (!reference) return null;
  const { thing, phrase } = reference;
  const [sprite, word, clauses] = chance.pick(known.filter(([other]) => other !== thing.object.sprite));
  return {
    operation: { type: 'action', object: thing.index, sprite },
    clause: chance.pick([...clauses(phrase), `show ${phrase} ${word}`, `change the pose of ${phrase} to ${word}`]),
    patch: { changed: new Map([[thing.index, { ...thing.object, sprite }]]) },
    named: [thing.index],
  };
};
