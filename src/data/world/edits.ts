/**
 * Edits of a scene in ImgEdit's nine types, each with an instruction, the scene that follows from it and what is asked as
 * data, so that other right answers can be recognised too. An instruction names its things so that no other could be meant.
 */
import { DataError } from '../error.ts';
import { type Chance, chanceOf, streams } from './chance.ts';
import {
  type EditPlan,
  type Patch,
  type PlanMaker,
  planAdd,
  planAdjust,
  planRemove,
  planReplace,
} from './edit-objects.ts';
import { canAct, planAction, planBackground, planExtract, planStyle } from './edit-picture.ts';
import type { EditOperation, EditTarget } from './edit-target.ts';
import { boxesOverlap, type Facts, factsOf } from './facts.ts';
import { isHeldOut } from './held-out.ts';
import { ownColourOf } from './own-colours.ts';
import { capitalised } from './phrases.ts';
import type { WorldProfile } from './profile.ts';
import type { Colour, Scene } from './scene.ts';

/** ImgEdit's, in the order of its table of counts. */
export const editTypes = [
  'add',
  'remove',
  'replace',
  'adjust',
  'extract',
  'background',
  'style',
  'compose',
  'action',
] as const;
export type EditType = (typeof editTypes)[number];

export interface Edit {
  readonly type: EditType;
  readonly instruction: string;
  readonly target: EditTarget;
  /** One; two of `compose`. */
  readonly operations: readonly EditOperation[];
}

export interface EditConstraints {
  /** What added and changed things are taken from, and the grid on which they lie. */
  readonly profile: WorldProfile;
  /** As of `sampleScene`: whether a target may show a held-out combination. Default `exclude`. */
  readonly heldOut?: 'exclude' | 'any';
}

/** The types that scenes of a profile can show. */
export function expressibleEdits(profile: WorldProfile): EditType[] {
  return editTypes.filter((type) => {
    if (type === 'action') return canAct(profile);
    return true;
  });
}

/** Things are laid out anew so often before a scene is given up. */
const attempts = 12;

/**
 * An edit of the scene; the same arguments give the same one. Without `type`, one by chance of those that scene and
 * profile allow.
 * @throws DataError `data_option_invalid` when no scene of the profile can show the type, `data_exhausted` when this one
 * cannot: no room, or no thing that could be named without doubt
 */
export function sampleEdit(scene: Scene, seed: number, type: EditType | undefined, constraints: EditConstraints): Edit {
  const { profile, heldOut = 'exclude' } = constraints;
  const expressible = expressibleEdits(profile);
  if (type !== undefined && !expressible.includes(type)) {
    throw new DataError(
      'data_option_invalid',
      `scenes of the profile '${profile.name}' cannot show an edit of type '${type}'; they can show ${expressible.join(', ')}`,
      { type, profile: profile.name, expressible },
    );
  }
  const chance = chanceOf(seed, streams.edit);
  const facts = factsOf(scene);
  for (const candidate of type === undefined ? chance.shuffle(expressible) : [type]) {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const plans =
        candidate === 'compose' ? composed(chance, facts, profile) : single(chance, facts, profile, candidate);
      if (plans === null) continue;
      const target = patched(scene, plans);
      if (!separate(scene, target.scene) || !(target.canvas || shown(scene, target.scene))) continue;
      if (heldOut === 'exclude' && isHeldOut(target.scene)) continue;
      return {
        type: candidate,
        instruction: instructionOf(chance, plans),
        target,
        operations: plans.map(({ operation }) => operation),
      };
    }
  }
  throw new DataError('data_exhausted', `the scene allows no edit${type ? ` of type '${type}'` : ''}`, { type });
}

const makers: Readonly<Record<Exclude<EditType, 'compose'>, PlanMaker>> = {
  add: planAdd,
  remove: planRemove,
  replace: planReplace,
  adjust: planAdjust,
  extract: planExtract,
  background: planBackground,
  style: planStyle,
  action: planAction,
};

function single(
  chance: Chance,
  facts: Facts,
  profile: WorldProfile,
  type: Exclude<EditType, 'compose'>,
): EditPlan[] | null {
  const plan = makers[type](chance, facts, profile);
  return plan && [plan];
}

/** Two operations on different things, of which neither names what the other changes. */
function composed(chance: Chance, facts: Facts, profile: WorldProfile): EditPlan[] | null {
  const first = chance.pick([planAdd, planRemove, planReplace, planAdjust])(chance, facts, profile);
  const second = chance.pick([planAdd, planRemove, planReplace, planAdjust, planBackground])(chance, facts, profile);
  if (first === null || second === null) return null;
  // Of different classes even: after `make the blue dog red`, `the red dog` could be either.
  const classOf = (index: number) => facts.things[index]!.object.class;
  if (first.named.some((a) => second.named.some((b) => classOf(a) === classOf(b)))) return null;
  const classes = [first, second].map(({ operation }) => ('class' in operation ? operation.class : null));
  if (classes[0] !== null && classes[0] === classes[1]) return null;
  return [first, second];
}

function patched(scene: Scene, plans: readonly EditPlan[]): EditTarget {
  const patches = plans.map(({ patch }): Patch => patch);
  const kept = scene.objects.flatMap((object, index) => {
    if (patches.some(({ removed }) => removed?.includes(index))) return [];
    return [patches.reduce((now, { changed }) => changed?.get(index) ?? now, object)];
  });
  const restyled = patches.find(({ style }) => style)?.style;
  const objects = [...kept, ...patches.flatMap(({ added }) => added ?? [])];
  const [imageMap] = patches.flatMap((patch) => patch.imageMap ?? []);
  const [canvas] = patches.flatMap((patch) => patch.canvas ?? []);
  return {
    scene: {
      background: patches.find(({ background }) => background)?.background ?? scene.background,
      objects: restyled ? objects.map((object) => ({ ...object, style: restyled })) : objects,
    },
    ...(imageMap ? { imageMap } : {}),
    ...(canvas ? { canvas } : {}),
  };
}

/** Whether every box that the source does not have overlaps none. */
function separate(source: Scene, target: Scene): boolean {
  const known = new Set(source.objects.map(({ box }) => box));
  return target.objects.every(
    (object) =>
      known.has(object.box) ||
      target.objects.every((other) => other === object || !boxesOverlap(object.box, other.box)),
  );
}

/** Whether every new thing, and on a new background every thing, differs from the background's colours. */
function shown(source: Scene, target: Scene): boolean {
  const { background } = target;
  const grounds: (Colour | undefined)[] =
    background.kind === 'plain' ? [background.colour] : [background.from, background.to];
  return target.objects.every((object) => {
    const old = background === source.background && source.objects.includes(object);
    return old || !grounds.includes(object.colour ?? ownColourOf(object.style, object.sprite));
  });
}

function instructionOf(chance: Chance, plans: readonly EditPlan[]): string {
  const joined = plans.map(({ clause }) => clause).join(chance.pick([' and ', ' and then ', ', and ']));
  return chance.pick([
    `${capitalised(joined)}.`,
    `${capitalised(joined)}.`,
    `${capitalised(joined)}`,
    `Please ${joined}.`,
    `Can you ${joined}?`,
  ]);
}
