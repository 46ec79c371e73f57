/**
 * What is true of a scene and may be said: how many, which colour, where, how large, in which relation. Whatever a
 * careful person could dispute (a place on the border of two thirds, a size between small and large) is `null` and never
 * said nor asked. Captions, questions and edits all take their facts from here.
 */
import { ownColourOf } from './own-colours.ts';
import type { Box, Colour, Scene, Style, WorldObject } from './scene.ts';

/** The relations of GenEval's prompts. */
export const relations = ['left of', 'right of', 'above', 'below'] as const;
export type Relation = (typeof relations)[number];

export const oppositeOf: Readonly<Record<Relation, Relation>> = {
  'left of': 'right of',
  'right of': 'left of',
  above: 'below',
  below: 'above',
};

/**
 * The relations in which box `a` stands to box `b`, two at most: GenEval's rule (djghosh13/geneval,
 * `evaluate_images.py`, `relative_position` with its margin of 0.1), in its order.
 */
export function relationsBetween(a: Box, b: Box): Relation[] {
  const offset = [a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2] as const;
  const reduce = (o: number, sizes: number) => Math.max(Math.abs(o) - 0.1 * sizes, 0) * Math.sign(o);
  const reduced = [reduce(offset[0], a.width + b.width), reduce(offset[1], a.height + b.height)] as const;
  // GenEval's 1e-3 is in pixels; lengths are fractions here, so that only an exact nothing is one.
  if (Math.abs(reduced[0]) < 1e-9 && Math.abs(reduced[1]) < 1e-9) return [];
  const length = Math.hypot(...offset);
  const [dx, dy] = [reduced[0] / length, reduced[1] / length];
  const found: Relation[] = [];
  if (dx < -0.5) found.push('left of');
  if (dx > 0.5) found.push('right of');
  if (dy < -0.5) found.push('above');
  if (dy > 0.5) found.push('below');
  return found;
}

/** Whether two boxes share more than an edge. */
export function boxesOverlap(a: Box, b: Box): boolean {
  const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  // Edges are sums of fractions: a hair's breadth is rounding.
  return across > 1e-9 && down > 1e-9;
}

/** The nine places of a picture, row by row. */
export const places = [
  ['top left', 'top', 'top right'],
  ['left', 'middle', 'right'],
  ['bottom left', 'bottom', 'bottom right'],
] as const;
export type Place = (typeof places)[number][number];

/** Centres nearer than this to the border of two thirds lie in neither. */
const placeMargin = 0.02;

/** The third in which a coordinate lies: 0, 1, 2; `null` on a border or outside of the picture. */
export function thirdOf(centre: number): number | null {
  if (centre < 0 || centre > 1) return null;
  if (Math.abs(centre - 1 / 3) < placeMargin || Math.abs(centre - 2 / 3) < placeMargin) return null;
  return Math.min(Math.floor(centre * 3), 2);
}

/** Where the centre of a box lies; `null` on a border or outside of the picture. */
export function placeOf(box: Box): Place | null {
  const column = thirdOf(box.x + box.width / 2);
  const row = thirdOf(box.y + box.height / 2);
  return column === null || row === null ? null : places[row]![column]!;
}

export type Size = 'small' | 'large';

/** Small up to a quarter of the picture's side, large from three eighths on; between them nothing is said. */
export function sizeOf(box: Box): Size | null {
  const side = Math.max(box.width, box.height);
  if (side <= 0.25 + 1e-6) return 'small';
  return side >= 0.375 - 1e-6 ? 'large' : null;
}

/** Area from which on one thing is plainly larger than another. */
export const plainlyLarger = 1.5;

export interface Thing {
  readonly object: WorldObject;
  /** In `scene.objects`. */
  readonly index: number;
  readonly place: Place | null;
  readonly size: Size | null;
}

/** All things of one class. */
export interface Group {
  readonly class: string;
  readonly things: readonly Thing[];
  /** The colour of all of them; `null` when they differ or show their own colours. */
  readonly colour: Colour | null;
  /** The colour that most of each of them has, their own or the one they were given; `null` when they differ. */
  readonly seenColour: Colour | null;
  readonly size: Size | null;
  readonly place: Place | null;
}

export interface Facts {
  readonly things: readonly Thing[];
  /** In order of their first thing. */
  readonly groups: readonly Group[];
  /** Groups of one: only of these can "the dog" be said. */
  readonly singles: readonly Group[];
  /** The house of all sprites; `null` when they differ or there are none. */
  readonly style: Style | null;
  readonly scene: Scene;
}

/** The one value of all, or `null`. */
function shared<T>(values: readonly T[]): T | null {
  const first = values[0];
  return first !== undefined && values.every((value) => value === first) ? first : null;
}

export function factsOf(scene: Scene): Facts {
  const things = scene.objects.map(
    (object, index): Thing => ({ object, index, place: placeOf(object.box), size: sizeOf(object.box) }),
  );
  const byClass = new Map<string, Thing[]>();
  for (const thing of things) {
    const members = byClass.get(thing.object.class);
    if (members) members.push(thing);
    else byClass.set(thing.object.class, [thing]);
  }
  const groups = [...byClass].map(
    ([name, members]): Group => ({
      class: name,
      things: members,
      colour: shared(members.map((thing) => thing.object.colour)),
      seenColour: shared(
        members.map(({ object }) => object.colour ?? ownColourOf(object.style, object.sprite) ?? null),
      ),
      size: shared(members.map((thing) => thing.size)),
      place: shared(members.map((thing) => thing.place)),
    }),
  );
  return {
    things,
    groups,
    singles: groups.filter((group) => group.things.length === 1),
    style: shared(scene.objects.map((object) => object.style)),
    scene,
  };
}

/** Two things of which a relation can be said, the subject first. */
export interface RelatedPair {
  readonly subject: Group;
  readonly relation: Relation;
  readonly reference: Group;
}

/** Every relation between two groups of one thing each. */
export function relatedPairs(facts: Facts): RelatedPair[] {
  return facts.singles.flatMap((subject) =>
    facts.singles
      .filter((reference) => reference !== subject)
      .flatMap((reference) =>
        relationsBetween(subject.things[0]!.object.box, reference.things[0]!.object.box).map((relation) => ({
          subject,
          relation,
          reference,
        })),
      ),
  );
}
