/**
 * Scenes by chance: what is drawn depends on (seed, index, profile, options) alone. First the kind of scene and the number
 * of objects are drawn and kept; then the rest, again and again until boxes fit and nothing is held out. So leaving scenes out
 * does not shift the mixture of kinds.
 */
import { DataError } from '../error.ts';
import { type Chance, chanceOf } from './chance.ts';
import { companionsOf } from './companions.ts';
import { relations, relationsBetween } from './facts.ts';
import { isHeldOut, isHeldOutColour, isHeldOutCount } from './held-out.ts';
import { ownColourOf } from './own-colours.ts';
import type { WorldProfile } from './profile.ts';
import type { Background, Box, Colour, Scene, WorldObject } from './scene.ts';
import { classNamed } from './vocabulary.ts';

/** The kinds of `WorldProfile.kinds`. */
export type SceneKind = keyof WorldProfile['kinds'];

export interface SampleOptions {
  /**
   * `exclude` never shows a combination of `heldOutCombinations` (training), `only` always shows one (compositional tests),
   * `any` does not look. Default `exclude`.
   */
  readonly heldOut?: 'exclude' | 'only' | 'any';
  /** Draws scenes of this kind alone; default the profile's mixture. */
  readonly kind?: SceneKind;
}

const maxAttempts = 200;

/** Streams of scenes lie this far apart, beyond the numbers in `streams`, so that captions of one seed are independent. */
const streamStride = 4096;
const sceneStream = 1;

interface Plan {
  readonly kind: SceneKind;
  readonly count: number;
}

function drawPlan(chance: Chance, profile: WorldProfile, fixed: SceneKind | undefined): Plan {
  const kinds = Object.keys(profile.kinds).sort() as SceneKind[];
  const kind = fixed ?? chance.pickWeighted(kinds, (name) => profile.kinds[name]);
  if (kind === 'single') return { kind, count: 1 };
  if (kind === 'relation' || kind === 'colours') return { kind, count: 2 };
  return { kind, count: chance.pickWeighted(profile.counts, ({ weight }) => weight).count };
}

/** The share of the smaller box that both have. */
function overlap(a: Box, b: Box): number {
  const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (across <= 0 || down <= 0) return 0;
  return (across * down) / Math.min(a.width * a.height, b.width * b.height);
}

/** Boxes on the grid, apart enough; `undefined` where chance found no room. */
function drawBoxes(chance: Chance, profile: WorldProfile, count: number, small: boolean): Box[] | undefined {
  const { grid, sizes, maxOverlap } = profile;
  const smallest = Math.min(...sizes.map(({ cells }) => cells));
  const boxes: Box[] = [];
  for (let i = 0; i < count; i++) {
    const cells = Math.min(small ? smallest : chance.pickWeighted(sizes, ({ weight }) => weight).cells, grid);
    let placed = false;
    for (let attempt = 0; attempt < 24 && !placed; attempt++) {
      const [column, row] = [chance.below(grid - cells + 1), chance.below(grid - cells + 1)];
      const box = { x: column / grid, y: row / grid, width: cells / grid, height: cells / grid };
      placed = boxes.every((other) => overlap(box, other) <= maxOverlap + 1e-9);
      if (placed) boxes.push(box);
    }
    if (!placed) return undefined;
  }
  return boxes;
}

/** `count` classes; all different but for `counting`'s and the repeats of `mixed`. */
function drawClasses(chance: Chance, profile: WorldProfile, { kind, count }: Plan, exclude: boolean): string[] {
  const { classes } = profile;
  if (kind === 'counting') {
    const allowed = exclude ? classes.filter((name) => !isHeldOutCount(name, count)) : classes;
    return new Array<string>(count).fill(chance.pick(allowed));
  }
  const candidates = kind === 'colours' ? classes.filter((name) => classNamed(name).colourable) : classes;
  const first = chance.pick(candidates);
  const beside = new Set(companionsOf(first));
  const drawn = [first];
  while (drawn.length < count) {
    if (kind === 'mixed' && chance.happens(profile.repeatShare)) {
      drawn.push(chance.pick(drawn));
      continue;
    }
    const rest = candidates.filter((name) => !drawn.includes(name));
    if (rest.length === 0) drawn.push(chance.pick(drawn));
    else drawn.push(chance.pickWeighted(rest, (name) => (beside.has(name) ? profile.affinity : 1)));
  }
  return drawn;
}

function drawColours(
  chance: Chance,
  profile: WorldProfile,
  kind: SceneKind,
  classes: readonly string[],
  exclude: boolean,
): (Colour | null)[] | undefined {
  const drawn: (Colour | null)[] = [];
  for (const name of classes) {
    if (kind === 'counting' && drawn.length > 0) {
      drawn.push(drawn[0]!);
      continue;
    }
    const coloured = kind === 'colours' || chance.happens(profile.colouredShare);
    const allowed = profile.colours.filter(
      (colour) => !(exclude && isHeldOutColour(name, colour)) && !(kind === 'colours' && drawn.includes(colour)),
    );
    if (kind === 'colours' && allowed.length === 0) return undefined;
    drawn.push(coloured && classNamed(name).colourable && allowed.length > 0 ? chance.pick(allowed) : null);
  }
  return drawn;
}

/** In none of the objects' colours, tints or own; `undefined` when the profile leaves none. */
function drawBackground(
  chance: Chance,
  { background }: WorldProfile,
  used: readonly (Colour | undefined)[],
): Background | undefined {
  const free = background.colours.filter((colour) => !used.includes(colour));
  if (free.length === 0) return undefined;
  if (free.length < 2 || !chance.happens(background.gradientShare)) return { kind: 'plain', colour: chance.pick(free) };
  const [from, to] = chance.shuffle(free);
  return { kind: 'gradient', from: from!, to: to!, angle: chance.pick([0, 90] as const) };
}

function drawScene(chance: Chance, profile: WorldProfile, plan: Plan, exclude: boolean): Scene | undefined {
  const classes = drawClasses(chance, profile, plan, exclude);
  const objectColours = drawColours(chance, profile, plan.kind, classes, exclude);
  if (objectColours === undefined) return undefined;
  const wanted = plan.kind === 'relation' ? chance.pick(relations) : undefined;
  const style = chance.pick(profile.styles);
  const chooseSprite = (name: string) => {
    const { sprites } = classNamed(name);
    return profile.sprites === 'plainest' ? sprites[0] : chance.pick(sprites);
  };
  const sprites = new Map(classes.map((name) => [name, chooseSprite(name)]));
  const shown = classes.map((name, i) => objectColours[i] ?? ownColourOf(style, sprites.get(name)!));
  const background = drawBackground(chance, profile, shown);
  if (background === undefined) return undefined;
  for (let attempt = 0; attempt < 40; attempt++) {
    const boxes = drawBoxes(chance, profile, plan.count, attempt >= 20 && wanted === undefined);
    if (boxes === undefined) continue;
    if (wanted !== undefined && relationsBetween(boxes[0]!, boxes[1]!).join() !== wanted) continue;
    const objects = classes.map(
      (name, z): WorldObject => ({
        class: name,
        sprite: sprites.get(name)!,
        style,
        colour: objectColours[z]!,
        box: boxes[z]!,
        z,
        flip: chance.happens(profile.flipShare),
      }),
    );
    return { background, objects };
  }
  return undefined;
}

/**
 * The scene of this number.
 * @param seed whole number in 0..2^53−1
 * @param index whole number in 0..2^41−1; each is a scene of its own
 * @throws DataError `data_exhausted` when the profile has no room for such scenes, or none that `heldOut` allows
 */
export function sampleScene(seed: number, index: number, profile: WorldProfile, options: SampleOptions = {}): Scene {
  const { heldOut = 'exclude', kind } = options;
  const chance = chanceOf(seed, index * streamStride + sceneStream);
  let plan = drawPlan(chance, profile, kind);
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    // Some plans have nothing to hold out (one thing in its own colours), so `only` takes new ones.
    if (heldOut === 'only' && attempt > 0) plan = drawPlan(chance, profile, kind);
    const scene = drawScene(chance, profile, plan, heldOut === 'exclude');
    if (scene !== undefined && (heldOut === 'any' || isHeldOut(scene) === (heldOut === 'only'))) return scene;
  }
  throw new DataError(
    'data_exhausted',
    `profile '${profile.name}' gave no scene of kind '${plan.kind}' with ${plan.count} objects in ${maxAttempts} ` +
      `attempts (held-out combinations: ${heldOut}); allow more classes, smaller sizes or fewer objects`,
    { profile: profile.name, kind: plan.kind, count: plan.count, heldOut },
  );
}
