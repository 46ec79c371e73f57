/** Scenes with exactly one fault, to see whether a judge notices it. */
import { type Chance, chanceOf } from '../../data/world/chance.ts';
import { ownColourOf } from '../../data/world/own-colours.ts';
import type { WorldProfile } from '../../data/world/profile.ts';
import { type Colour, colours, type Scene, type WorldObject } from '../../data/world/scene.ts';
import { classNamed } from '../../data/world/vocabulary.ts';
import { evaluationStreams } from '../bootstrap.ts';
import { drawFreeBox } from '../geneval/generated-prompts.ts';
import type { GenevalPrompt } from '../geneval/prompt-file.ts';

export const plantedErrors = [
  'wrong colour',
  'colours swapped',
  'one too many',
  'one too few',
  'relation swapped',
  'object missing',
  'wrong class',
] as const;
export type PlantedError = (typeof plantedErrors)[number];

type Plant = (scene: Scene, prompt: GenevalPrompt, profile: WorldProfile, chance: Chance) => WorldObject[] | null;

/** Exchanges a property of the scene's first two objects. */
function exchanged({ objects }: Scene, property: 'box' | 'colour'): WorldObject[] | null {
  const [a, b, ...rest] = objects;
  if (!a || !b) return null;
  return [{ ...a, [property]: b[property] }, { ...b, [property]: a[property] }, ...rest];
}

const plants: Readonly<Record<PlantedError, Plant>> = {
  'wrong colour': ({ background, objects }, { tag }, profile, chance) => {
    if (tag !== 'colors' && tag !== 'color_attr') return null;
    const ground: readonly Colour[] =
      background.kind === 'plain' ? [background.colour] : [background.from, background.to];
    const free = profile.colours.filter((colour) => colour !== objects[0]!.colour && !ground.includes(colour));
    if (free.length === 0) return null;
    return [{ ...objects[0]!, colour: chance.pick(free) }, ...objects.slice(1)];
  },
  'colours swapped': (scene, { tag }) => (tag === 'color_attr' ? exchanged(scene, 'colour') : null),
  'one too many': ({ objects }, { tag }, profile, chance) => {
    const taken = objects.map(({ box }) => box);
    const box = tag === 'counting' ? drawFreeBox(profile, chance, taken) : undefined;
    return box ? [...objects, { ...objects[0]!, box, z: objects.length }] : null;
  },
  'one too few': ({ objects }, { tag }) => (tag === 'counting' ? objects.slice(1) : null),
  'relation swapped': (scene, { tag }) => (tag === 'position' ? exchanged(scene, 'box') : null),
  'object missing': ({ objects }, { tag }, _, chance) => {
    if (tag === 'counting') return null;
    const index = chance.below(objects.length);
    return objects.filter((_object, i) => i !== index);
  },
  'wrong class': ({ background, objects }, { include }, profile, chance) => {
    const ground: readonly (Colour | undefined)[] =
      background.kind === 'plain' ? [background.colour] : [background.from, background.to];
    const first = objects[0]!;
    const others = profile.classes.filter(
      (name) =>
        include.every((clause) => clause.class !== name) &&
        (first.colour === null || classNamed(name).colourable) &&
        !ground.includes(first.colour ?? ownColourOf(first.style, classNamed(name).sprites[0])),
    );
    if (others.length === 0) return null;
    const name = chance.pick(others);
    return [{ ...first, class: name, sprite: classNamed(name).sprites[0] }, ...objects.slice(1)];
  },
};

/** A scene of the prompt with the fault; `null` where the prompt or the scene has no such fault. */
export function plantError(
  scene: Scene,
  prompt: GenevalPrompt,
  error: PlantedError,
  profile: WorldProfile,
  seed: number,
): Scene | null {
  const chance = chanceOf(seed, evaluationStreams.plants);
  const objects = scene.objects.length === 0 ? null : plants[error](scene, prompt, profile, chance);
  return objects && { background: scene.background, objects };
}

/** A scene of nothing. */
export function blankScene(index: number): Scene {
  return { background: { kind: 'plain', colour: colours[index % colours.length]! }, objects: [] };
}
