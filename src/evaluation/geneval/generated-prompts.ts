/**
 * Own prompts in GenEval's grammar, for a profile of the world, and scenes that show what they ask for. One departure: where
 * the official rule would write `two scissorses`, the world's plural is used.
 */
import { type Chance, chanceOf } from '../../data/world/chance.ts';
import { type Relation, relations, relationsBetween } from '../../data/world/facts.ts';
import { heldOutCombinations, isHeldOutColour, isHeldOutCount } from '../../data/world/held-out.ts';
import { factsAbout, knowledgeSplits } from '../../data/world/knowledge.ts';
import { ownColourOf } from '../../data/world/own-colours.ts';
import type { WorldProfile } from '../../data/world/profile.ts';
import { type Box, type Colour, colours, type Scene, type WorldObject } from '../../data/world/scene.ts';
import { classNamed, isWorldClass, pluralOf, withArticle } from '../../data/world/vocabulary.ts';
import { evaluationStreams } from '../bootstrap.ts';
import { EvaluationError } from '../error.ts';
import { type GenevalPrompt, type Tag, tags } from './prompt-file.ts';

/** `seen`: no combination that training leaves out; `held-out`: one in each prompt that has a combination at all. */
export type PromptSplit = 'seen' | 'held-out' | 'any';

const numbers = ['', 'one', 'two', 'three', 'four'];

type Maker = (chance: Chance, profile: WorldProfile) => Pick<GenevalPrompt, 'prompt' | 'include' | 'exclude'> | null;

/** Two different ones of a list; `null` when it has less. */
function two<T>(chance: Chance, list: readonly T[]): [T, T] | null {
  const [a, b] = chance.shuffle(list);
  return a === undefined || b === undefined ? null : [a, b];
}

const colourable = ({ classes }: WorldProfile) => classes.filter((name) => classNamed(name).colourable);

const makers: Readonly<Record<Tag, Maker>> = {
  single_object: (chance, { classes }) => {
    const name = chance.pick(classes);
    return { prompt: withArticle(name), include: [{ class: name, count: 1 }] };
  },
  two_object: (chance, { classes }) => {
    const names = two(chance, classes);
    if (!names) return null;
    return {
      prompt: names.map(withArticle).join(' and '),
      include: names.map((name) => ({ class: name, count: 1 })),
    };
  },
  counting: (chance, { classes, counts }) => {
    const name = chance.pick(classes);
    const possible = counts.filter(({ count, weight }) => weight > 0 && count <= 4);
    if (possible.length === 0) return null;
    const { count } = chance.pick(possible);
    return {
      prompt: `${numbers[count]} ${pluralOf(name)}`,
      include: [{ class: name, count }],
      exclude: [{ class: name, count: count + 1 }],
    };
  },
  colors: (chance, profile) => {
    const names = colourable(profile);
    if (names.length === 0) return null;
    const [name, color] = [chance.pick(names), chance.pick(profile.colours)];
    return { prompt: withArticle(`${color} ${name}`), include: [{ class: name, count: 1, color }] };
  },
  position: (chance, { classes }) => {
    const names = two(chance, classes);
    if (!names) return null;
    const [reference, subject] = names;
    const relation = chance.pick(relations);
    return {
      prompt: `${withArticle(subject)} ${relation} ${withArticle(reference)}`,
      include: [
        { class: reference, count: 1 },
        { class: subject, count: 1, position: [relation, 0] },
      ],
    };
  },
  color_attr: (chance, profile) => {
    const [names, shown] = [two(chance, colourable(profile)), two(chance, profile.colours)];
    if (!names || !shown) return null;
    return {
      prompt: names.map((name, i) => withArticle(`${shown[i]} ${name}`)).join(' and '),
      include: names.map((name, i) => ({ class: name, count: 1, color: shown[i]! })),
    };
  },
};

/** How many of a prompt's combinations training leaves out, and how many combinations it has. */
export function combinationsOf({ tag, include }: GenevalPrompt): { heldOut: number; all: number } {
  const list: boolean[] = [];
  for (const { class: name, count, color, position } of include) {
    if (color !== undefined && (colours as readonly string[]).includes(color)) {
      list.push(isHeldOutColour(name, color as Colour));
    }
    if (tag === 'counting') list.push(isHeldOutCount(name, count));
    if (position !== undefined) {
      const triple = [name, position[0], include[position[1]]!.class].join('|');
      list.push(heldOutCombinations().relations.some((other) => other.join('|') === triple));
    }
  }
  return { heldOut: list.filter(Boolean).length, all: list.length };
}

function inSplit(prompt: GenevalPrompt, split: PromptSplit): boolean {
  if (split === 'any') return true;
  const { heldOut, all } = combinationsOf(prompt);
  return split === 'seen' ? heldOut === 0 : all === 0 || heldOut > 0;
}

/** Whether all classes and colours of a prompt are the profile's. */
export function isExpressible({ include }: GenevalPrompt, profile: WorldProfile): boolean {
  return include.every(
    ({ class: name, color }) =>
      isWorldClass(name) &&
      profile.classes.includes(name) &&
      (color === undefined || (profile.colours as readonly string[]).includes(color)),
  );
}

/**
 * Different prompts, up to `perTag` of each tag, in the tags' order; fewer where the profile has no more.
 * @param seed of the draws, from 0
 */
export function generatePrompts(
  profile: WorldProfile,
  { seed, perTag, split }: { seed: number; perTag: number; split: PromptSplit },
): GenevalPrompt[] {
  const chance = chanceOf(seed, evaluationStreams.prompts);
  const made = new Map<string, GenevalPrompt>();
  for (const tag of tags) {
    const before = made.size;
    for (let attempt = 0; attempt < 200 * perTag && made.size - before < perTag; attempt++) {
      const parts = makers[tag](chance, profile);
      if (!parts) break;
      const prompt: GenevalPrompt = { tag, ...parts, prompt: `a photo of ${parts.prompt}` };
      if (!made.has(prompt.prompt) && inSplit(prompt, split)) made.set(prompt.prompt, prompt);
    }
  }
  return [...made.values()];
}

const attempts = 400;

/**
 * Prompts that name nothing directly, `a photo of what a rider drives with the strength of the legs`, each asking for one
 * thing: facts that training told (`seen`), others that it never did (`held-out`), or both; up to `limit`, in a drawn order.
 */
export function knowledgePrompts(
  profile: WorldProfile,
  { seed, limit, split }: { seed: number; limit: number; split: PromptSplit },
): GenevalPrompt[] {
  const splits = knowledgeSplits.filter((name) => split === 'any' || (name === 'train') === (split === 'seen'));
  const all = profile.classes.flatMap((name) =>
    splits.flatMap((each) =>
      factsAbout(name, each).map(
        (fact): GenevalPrompt => ({
          tag: 'single_object',
          prompt: `a photo of ${fact}`,
          include: [{ class: name, count: 1 }],
        }),
      ),
    ),
  );
  return chanceOf(seed, evaluationStreams.prompts).shuffle(all).slice(0, limit);
}

/**
 * A scene that shows exactly what a prompt asks for and nothing else.
 * @throws EvaluationError `evaluation_option_invalid` when the profile has no room or not these classes
 */
export function sceneOfPrompt(prompt: GenevalPrompt, profile: WorldProfile, seed: number): Scene {
  const chance = chanceOf(seed, evaluationStreams.scenes);
  if (isExpressible(prompt, profile)) {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const scene = drawScene(prompt, profile, chance);
      if (scene) return scene;
    }
  }
  throw new EvaluationError(
    'evaluation_option_invalid',
    `the world '${profile.name}' cannot show '${prompt.prompt}'; take only prompts that it can express`,
    { prompt: prompt.prompt },
  );
}

function drawScene({ include }: GenevalPrompt, profile: WorldProfile, chance: Chance): Scene | undefined {
  const style = chance.pick(profile.styles);
  const boxes: Box[] = [];
  const objects: WorldObject[] = [];
  for (const { class: name, count, color, position } of include) {
    const { sprites } = classNamed(name);
    const sprite = profile.sprites === 'plainest' ? sprites[0] : chance.pick(sprites);
    for (let i = 0; i < count; i++) {
      const box = drawFreeBox(profile, chance, boxes);
      if (!box) return undefined;
      // A single reference comes first in GenEval's prompts.
      const target = position && objects.find((object) => object.class === include[position[1]]!.class);
      if (target && relationsBetween(box, target.box).join() !== (position[0] as Relation)) return undefined;
      boxes.push(box);
      objects.push({
        class: name,
        sprite,
        style,
        colour: (color as Colour | undefined) ?? null,
        box,
        z: objects.length,
        flip: chance.happens(profile.flipShare),
      });
    }
  }
  const used = objects.map((object) => object.colour ?? ownColourOf(object.style, object.sprite));
  const free = profile.background.colours.filter((colour) => !used.includes(colour));
  return free.length === 0 ? undefined : { background: { kind: 'plain', colour: chance.pick(free) }, objects };
}

/** A box on the profile's grid that overlaps none. */
export function drawFreeBox({ grid, sizes }: WorldProfile, chance: Chance, taken: readonly Box[]): Box | undefined {
  const { cells } = chance.pick(sizes.filter(({ weight }) => weight > 0));
  for (let attempt = 0; attempt < 24; attempt++) {
    const [column, row] = [chance.below(grid - cells + 1), chance.below(grid - cells + 1)];
    const box = { x: column / grid, y: row / grid, width: cells / grid, height: cells / grid };
    const apart = (other: Box) =>
      box.x + box.width <= other.x + 1e-9 ||
      other.x + other.width <= box.x + 1e-9 ||
      box.y + box.height <= other.y + 1e-9 ||
      other.y + other.height <= box.y + 1e-9;
    if (taken.every(apart)) return box;
  }
  return undefined;
}
