/**
 * Suites of questions about scenes: POPE's three splits by its official builder's rules, MME's pairs of opposite questions, and
 * the world's own questions of every kind. All are balanced: an answer that ignores the picture is at chance.
 */
import { type Chance, chanceOf } from '../../data/world/chance.ts';
import { factsOf, type Group, oppositeOf, relatedPairs } from '../../data/world/facts.ts';
import { indefinite } from '../../data/world/phrases.ts';
import type { WorldProfile } from '../../data/world/profile.ts';
import {
  askQuestion,
  type NegativeKind,
  negativeKinds,
  type Question,
  questionKinds,
} from '../../data/world/questions.ts';
import { sampleScene } from '../../data/world/sample.ts';
import { type Colour, colours, type Scene } from '../../data/world/scene.ts';
import { pluralOf } from '../../data/world/vocabulary.ts';
import { evaluationStreams } from '../bootstrap.ts';

export interface SuiteQuestion extends Pick<Question, 'question' | 'answer' | 'accepted'> {
  readonly suite: 'pope' | 'mme' | 'kinds';
  /** POPE's split, MME's subtask or the question's kind. */
  readonly group: string;
  /** Number of the scene. */
  readonly scene: number;
}

/** Scenes by number, none with a held-out combination left out. */
export function suiteScenes(profile: WorldProfile, seed: number, count: number): Scene[] {
  return Array.from({ length: count }, (_, index) => sampleScene(seed, index, profile, { heldOut: 'any' }));
}

/** Scenes with at least three classes, as POPE needs them; fewer where the profile has few. */
export function popeScenes(profile: WorldProfile, seed: number, count: number): Scene[] {
  const scenes: Scene[] = [];
  for (let index = 0; scenes.length < count && index < 60 * count; index++) {
    const scene = sampleScene(seed, index, profile, { heldOut: 'any', kind: 'mixed' });
    if (new Set(scene.objects.map((object) => object.class)).size >= 3) scenes.push(scene);
  }
  return scenes;
}

/**
 * POPE (AoiDragon/POPE): three present things of a picture, after each an absent one. Random: any absent class. Popular: the
 * most frequent of all pictures that is absent and not asked yet. Adversarial: the one that occurs most often together with
 * the present thing just asked. Where none is left, random.
 */
export function popeQuestions(scenes: readonly Scene[], classes: readonly string[], seed: number): SuiteQuestion[] {
  const present = scenes.map(({ objects }) => [...new Set(objects.map((object) => object.class))]);
  const frequency = ranked(present.flat());
  const together = new Map(
    classes.map((name) => [
      name,
      ranked(present.filter((list) => list.includes(name)).flatMap((list) => list.filter((other) => other !== name))),
    ]),
  );
  return negativeKinds.flatMap((split, splitIndex) =>
    present.flatMap((list, scene) => {
      const chance = chanceOf(seed + scene, evaluationStreams.suites + splitIndex);
      const asked: string[] = [];
      return chance
        .shuffle(list)
        .slice(0, 3)
        .flatMap((positive): SuiteQuestion[] => {
          const absent = classes.filter((name) => !list.includes(name) && !asked.includes(name));
          if (absent.length === 0) return [];
          const negative = absentOne(chance, split, absent, frequency, together.get(positive) ?? []);
          asked.push(negative);
          const ask = (name: string, answer: 'yes' | 'no'): SuiteQuestion => ({
            suite: 'pope',
            group: split,
            scene,
            question: `Is there ${indefinite(name)} in the image?`,
            answer,
          });
          return [ask(positive, 'yes'), ask(negative, 'no')];
        });
    }),
  );
}

function absentOne(
  chance: Chance,
  split: NegativeKind,
  absent: readonly string[],
  frequency: readonly string[],
  companions: readonly string[],
): string {
  const order = split === 'popular' ? frequency : split === 'adversarial' ? companions : [];
  return order.find((name) => absent.includes(name)) ?? chance.pick(absent);
}

/** Different words, the most frequent first; equal ones in alphabetical order. */
function ranked(words: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([word]) => word);
}

export const mmeSubtasks = ['existence', 'count', 'position', 'color'] as const;
export type MmeSubtask = (typeof mmeSubtasks)[number];

type Pair = readonly [yes: string, no: string];

/** Two opposite questions about a picture, `null` where it allows none. The order of the two is by chance. */
const pairMakers: Readonly<
  Record<MmeSubtask, (chance: Chance, scene: Scene, classes: readonly string[]) => Pair | null>
> = {
  existence: (chance, scene, classes) => {
    const { groups } = factsOf(scene);
    const absent = classes.filter((name) => !groups.some((group) => group.class === name));
    if (groups.length === 0 || absent.length === 0) return null;
    const ask = (name: string) => `Is there ${indefinite(name)} in this image?`;
    return [ask(chance.pick(groups).class), ask(chance.pick(absent))];
  },
  count: (chance, scene) => {
    const { groups } = factsOf(scene);
    const several = groups.filter(({ things }) => things.length >= 2);
    if (several.length === 0) return null;
    const group = chance.pick(several);
    const count = group.things.length;
    const other = chance.happens(0.5) ? count + 1 : count - 1;
    const ask = (number: number) =>
      number === 1
        ? `Is there only one ${group.class} in this image?`
        : `Are there ${number} ${pluralOf(group.class)} in this image?`;
    return [ask(count), ask(other)];
  },
  position: (chance, scene) => {
    const pairs = relatedPairs(factsOf(scene));
    if (pairs.length === 0) return null;
    const { subject, relation, reference } = chance.pick(pairs);
    const ask = (said: typeof relation) => `Is the ${subject.class} ${said} the ${reference.class}?`;
    return [ask(relation), ask(oppositeOf[relation])];
  },
  color: (chance, scene) => {
    const coloured = factsOf(scene).singles.filter(
      (group): group is Group & { colour: Colour } => group.colour !== null,
    );
    if (coloured.length === 0) return null;
    const { class: name, colour } = chance.pick(coloured);
    const ask = (said: Colour) => `Is the ${name} ${said} in this image?`;
    return [ask(colour), ask(chance.pick(colours.filter((other) => other !== colour)))];
  },
};

/** MME's two questions a picture, in every subtask that the picture allows. */
export function mmeQuestions(scenes: readonly Scene[], classes: readonly string[], seed: number): SuiteQuestion[] {
  return mmeSubtasks.flatMap((group, index) =>
    scenes.flatMap((scene, number): SuiteQuestion[] => {
      const chance = chanceOf(seed + number, evaluationStreams.suites + 10 + index);
      const pair = pairMakers[group](chance, scene, classes);
      if (!pair) return [];
      const made = (question: string, answer: 'yes' | 'no'): SuiteQuestion => ({
        suite: 'mme',
        group,
        scene: number,
        question,
        answer,
      });
      const both = [made(pair[0], 'yes'), made(pair[1], 'no')];
      return chance.happens(0.5) ? both : both.reverse();
    }),
  );
}

/** The world's own questions: one of each kind that a scene allows. */
export function kindQuestions(scenes: readonly Scene[], classes: readonly string[], seed: number): SuiteQuestion[] {
  return questionKinds.flatMap((kind) =>
    scenes.flatMap((scene, number): SuiteQuestion[] => {
      const asked = askQuestion(scene, seed + number, kind, { classes });
      return asked ? [{ suite: 'kinds', group: kind, scene: number, ...asked }] : [];
    }),
  );
}
