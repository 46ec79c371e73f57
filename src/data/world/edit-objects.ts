/** Edits of single things: add, remove, replace, adjust. */
import type { Chance } from './chance.ts';
import type { EditOperation, ImageMap } from './edit-target.ts';
import {
  boxesOverlap,
  type Facts,
  type Group,
  placeOf,
  places,
  plainlyLarger,
  relations,
  relationsBetween,
  type Thing,
} from './facts.ts';
import { exactPlace, indefinite } from './phrases.ts';
import type { WorldProfile } from './profile.ts';
import type { Background, Box, Colour, Scene, Style, WorldObject } from './scene.ts';
import { classNamed, pluralOf } from './vocabulary.ts';

/** What an edit changes of a scene; things by their place in `objects`. */
export interface Patch {
  readonly removed?: readonly number[];
  readonly changed?: ReadonlyMap<number, WorldObject>;
  readonly added?: readonly WorldObject[];
  readonly background?: Background;
  readonly style?: Style;
  readonly imageMap?: ImageMap;
  readonly canvas?: 'white';
}

export interface EditPlan {
  readonly operation: EditOperation;
  /** The instruction without capital and full stop, so that two can be joined. */
  readonly clause: string;
  readonly patch: Patch;
  /** All things that are changed or that the clause names. */
  readonly named: readonly number[];
}

export type PlanMaker = (chance: Chance, facts: Facts, profile: WorldProfile) => EditPlan | null;

export interface Reference {
  readonly thing: Thing;
  /** `the dog`, `the red dog`, `the dog in the top left corner`. */
  readonly phrase: string;
}

/** The ways to name the thing that fit no other of the scene. */
function referencesTo(group: Group, thing: Thing): string[] {
  const { class: name, colour } = thing.object;
  const others = group.things.filter((other) => other !== thing);
  if (others.length === 0) return [`the ${name}`, ...(colour === null ? [] : [`the ${colour} ${name}`])];
  const found: string[] = [];
  // A thing in its own colours may look red too.
  const byColour = others.every(({ object }) => object.colour !== null && object.colour !== colour);
  if (colour !== null && byColour) found.push(`the ${colour} ${name}`);
  const byPlace = others.every(({ place }) => place !== null && place !== thing.place);
  if (thing.place !== null && byPlace) found.push(`the ${name} ${exactPlace[thing.place]}`);
  return found;
}

/** One of the things that can be named without doubt. */
export function pickReference(
  chance: Chance,
  { groups }: Facts,
  fits: (thing: Thing) => boolean = () => true,
): Reference | null {
  const found = groups.flatMap((group) =>
    group.things.filter(fits).flatMap((thing) => {
      const phrases = referencesTo(group, thing);
      return phrases.length === 0 ? [] : [{ thing, phrases }];
    }),
  );
  if (found.length === 0) return null;
  const { thing, phrases } = chance.pick(found);
  return { thing, phrase: chance.pick(phrases) };
}

/** Colours in which a thing of the class shows on the background. */
function visibleColours(profile: WorldProfile, { background }: Scene): Colour[] {
  const hidden = background.kind === 'plain' ? [background.colour] : [background.from, background.to];
  return profile.colours.filter((colour) => !hidden.includes(colour));
}

function spriteOf(chance: Chance, profile: WorldProfile, name: string): string {
  const { sprites } = classNamed(name);
  return profile.sprites === 'plainest' ? sprites[0] : chance.pick(sprites);
}

/** All boxes of so many cells on the profile's grid. */
function boxesOf({ grid }: WorldProfile, cells: number): Box[] {
  const starts = Array.from({ length: Math.max(0, grid - cells + 1) }, (_, i) => i / grid);
  const side = cells / grid;
  return starts.flatMap((y) => starts.map((x) => ({ x, y, width: side, height: side })));
}

function isFree(box: Box, objects: readonly WorldObject[]): boolean {
  return objects.every((object) => !boxesOverlap(box, object.box));
}

const addVerbs = ['add', 'put', 'place', 'insert', 'draw'] as const;

export const planAdd: PlanMaker = (chance, facts, profile) => {
  const { scene, things, groups, singles, style } = facts;
  const absent = profile.classes.filter((name) => !groups.some((group) => group.class === name));
  const sizes = profile.sizes.filter(({ weight }) => weight > 0);
  if (absent.length === 0 || things.length >= 16) return null;
  const name = chance.pick(absent);
  const tints = visibleColours(profile, scene);
  const coloured = classNamed(name).colourable && tints.length > 0 && chance.happens(profile.colouredShare);
  const colour = coloured ? chance.pick(tints) : null;
  const free = boxesOf(profile, chance.pick(sizes).cells).filter((box) => isFree(box, scene.objects));
  const noun = indefinite(name, colour === null ? '' : `${colour} `);
  const verb = chance.pick(addVerbs);
  const made = (box: Box, clause: string, where: object, named: readonly number[]): EditPlan => ({
    operation: { type: 'add', class: name, colour, ...where },
    clause,
    patch: {
      added: [
        {
          class: name,
          sprite: spriteOf(chance, profile, name),
          style: style ?? chance.pick(profile.styles),
          colour,
          box,
          z: Math.max(-1, ...scene.objects.map(({ z }) => z)) + 1,
          flip: chance.happens(profile.flipShare),
        },
      ],
    },
    named,
  });
  const form = chance.pick(['relation', 'relation', 'place', 'anywhere'] as const);
  if (form === 'relation' && singles.length > 0) {
    const reference = chance.pick(singles).things[0]!;
    const relation = chance.pick(relations);
    const fitting = free.filter((box) => relationsBetween(box, reference.object.box).join() === relation);
    if (fitting.length === 0) return null;
    const words = chance.pick([relation, relation.endsWith('of') ? `to the ${relation}` : relation]);
    const clause = `${verb} ${noun} ${words} the ${reference.object.class}`;
    const where = { relation: { relation, reference: reference.index } };
    return made(chance.pick(fitting), clause, where, [reference.index]);
  }
  if (form === 'place') {
    const place = chance.pick(places.flat());
    const fitting = free.filter((box) => placeOf(box) === place);
    if (fitting.length === 0) return null;
    return made(chance.pick(fitting), `${verb} ${noun} ${exactPlace[place]}`, { place }, []);
  }
  if (free.length === 0) return null;
  const clause = chance.pick([`add ${noun}`, `add ${noun} to the picture`, `put ${noun} somewhere into the picture`]);
  return made(chance.pick(free), clause, {}, []);
};

export const planRemove: PlanMaker = (chance, facts) => {
  const several = facts.groups.filter(({ things }) => things.length > 1);
  if (several.length > 0 && chance.happens(0.25)) {
    const group = chance.pick(several);
    const plural = pluralOf(group.class);
    const objects = group.things.map(({ index }) => index);
    const clause = chance.pick([`remove all ${plural}`, `delete all the ${plural}`, `take away all ${plural}`]);
    return { operation: { type: 'remove', objects }, clause, patch: { removed: objects }, named: objects };
  }
  const reference = pickReference(chance, facts);
  if (!reference) return null;
  const { thing, phrase } = reference;
  const clause = chance.pick([
    `remove ${phrase}`,
    `remove ${phrase} from the picture`,
    `delete ${phrase}`,
    `take away ${phrase}`,
    `erase ${phrase}`,
  ]);
  const objects = [thing.index];
  return { operation: { type: 'remove', objects }, clause, patch: { removed: objects }, named: objects };
};

export const planReplace: PlanMaker = (chance, facts, profile) => {
  const reference = pickReference(chance, facts);
  const absent = profile.classes.filter((name) => !facts.groups.some((group) => group.class === name));
  if (!reference || absent.length === 0) return null;
  const { thing, phrase } = reference;
  const name = chance.pick(absent);
  // The colour stays, and is said.
  const colour = classNamed(name).colourable ? thing.object.colour : null;
  const noun = indefinite(name, colour === null ? '' : `${colour} `);
  const clause = chance.pick([
    `replace ${phrase} with ${noun}`,
    `swap ${phrase} for ${noun}`,
    `turn ${phrase} into ${noun}`,
    `change ${phrase} to ${noun}`,
    `put ${noun} in the place of ${phrase}`,
  ]);
  const replaced: WorldObject = { ...thing.object, class: name, sprite: spriteOf(chance, profile, name), colour };
  return {
    operation: { type: 'replace', object: thing.index, class: name, colour },
    clause,
    patch: { changed: new Map([[thing.index, replaced]]) },
    named: [thing.index],
  };
};

export const planAdjust: PlanMaker = (chance, facts, profile) =>
  chance.happens(0.65) ? adjustColour(chance, facts, profile) : adjustSize(chance, facts, profile);

const adjustColour: PlanMaker = (chance, facts, profile) => {
  const tintable = (thing: Thing) => classNamed(thing.object.class).colourable;
  const tints = visibleColours(profile, facts.scene);
  const several = facts.groups.filter(({ things }) => things.length > 1 && tintable(things[0]!));
  const group = several.length > 0 && chance.happens(0.25) ? chance.pick(several) : null;
  const reference = group ? null : pickReference(chance, facts, tintable);
  const changed = group ? group.things : reference ? [reference.thing] : [];
  const left = tints.filter((tint) => changed.every(({ object }) => object.colour !== tint));
  if (changed.length === 0 || left.length === 0) return null;
  const colour = chance.pick(left);
  const phrase = group ? `all ${pluralOf(group.class)}` : reference!.phrase;
  const clause = chance.pick([
    `make ${phrase} ${colour}`,
    `paint ${phrase} ${colour}`,
    `color ${phrase} ${colour}`,
    `change the color of ${phrase} to ${colour}`,
  ]);
  const objects = changed.map(({ index }) => index);
  return {
    operation: { type: 'adjust', attribute: 'colour', objects, colour },
    clause,
    patch: { changed: new Map(changed.map(({ object, index }) => [index, { ...object, colour }] as const)) },
    named: objects,
  };
};

const adjustSize: PlanMaker = (chance, facts, profile) => {
  const reference = pickReference(chance, facts);
  if (!reference) return null;
  const { thing, phrase } = reference;
  const change = chance.pick(['larger', 'smaller'] as const);
  const { box } = thing.object;
  const others = facts.scene.objects.filter((object) => object !== thing.object);
  const sides = profile.sizes.filter(({ weight, cells }) => {
    const ratio = (cells / profile.grid) ** 2 / (box.width * box.height);
    return weight > 0 && (change === 'larger' ? ratio >= plainlyLarger : ratio <= 1 / plainlyLarger);
  });
  if (sides.length === 0) return null;
  const distance = (b: Box) =>
    Math.hypot(b.x + b.width / 2 - box.x - box.width / 2, b.y + b.height / 2 - box.y - box.height / 2);
  const fitting = boxesOf(profile, chance.pick(sides).cells)
    // It grows where it stands: the centre moves by one cell at most.
    .filter((candidate) => distance(candidate) <= 1.5 / profile.grid && isFree(candidate, others))
    .sort((a, b) => distance(a) - distance(b));
  if (fitting.length === 0) return null;
  const words = change === 'larger' ? ['larger', 'bigger'] : ['smaller'];
  const verb = change === 'larger' ? ['enlarge', 'blow up'] : ['shrink', 'scale down'];
  return {
    operation: { type: 'adjust', attribute: 'size', object: thing.index, change },
    clause: chance.pick([`make ${phrase} ${chance.pick(words)}`, `${chance.pick(verb)} ${phrase}`]),
    patch: { changed: new Map([[thing.index, { ...thing.object, box: fitting[0]! }]]) },
    named: [thing.index],
  };
};
