import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DataError } from '../error.ts';
import { companionsOf } from './companions.ts';
import { relationsBetween } from './facts.ts';
import { heldOutCombinations, isHeldOut } from './held-out.ts';
import { fullWorld, nanoWorld, type WorldProfile, worldProfileSchema } from './profile.ts';
import { type SceneKind, sampleScene } from './sample.ts';
import { type Scene, sceneSchema, type WorldObject } from './scene.ts';
import { isWorldClass } from './vocabulary.ts';

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const coloursOf = ({ background }: Scene): string[] =>
  background.kind === 'plain' ? [background.colour] : [background.from, background.to];

test('both profiles keep the schema', () => {
  expect(worldProfileSchema.parse(fullWorld)).toEqual(fullWorld);
  expect(worldProfileSchema.parse(nanoWorld)).toEqual(nanoWorld);
  expect(nanoWorld.classes).toHaveLength(30);
  expect(() => worldProfileSchema.parse({ ...nanoWorld, classes: ['fork', 'cat'] })).toThrow(/not a class/);
  expect(() => worldProfileSchema.parse({ ...nanoWorld, extra: 1 })).toThrow();
});

test('a scene depends on seed, index and profile alone', () => {
  const scenes = range(50).map((index) => sampleScene(7, index, fullWorld));
  expect(
    range(50)
      .map((i) => sampleScene(7, 49 - i, fullWorld))
      .toReversed(),
  ).toEqual(scenes);
  expect(new Set(scenes.map((scene) => JSON.stringify(scene))).size).toBe(50);
  expect(sampleScene(8, 0, fullWorld)).not.toEqual(scenes[0]);
});

test.each([nanoWorld, fullWorld])('scenes of the $name world are valid, inside the picture and readable', (profile) => {
  for (const index of range(1500)) {
    const scene = sceneSchema.parse(sampleScene(1, index, profile));
    const background = coloursOf(scene);
    expect(new Set(background).size).toBe(background.length);
    scene.objects.forEach(({ box, colour, class: name }, i) => {
      for (const edge of [box.x, box.y, box.x + box.width, box.y + box.height]) {
        expect(edge).toBeGreaterThanOrEqual(0);
        expect(edge).toBeLessThanOrEqual(1);
        expect(Number.isInteger(edge * profile.grid)).toBe(true);
      }
      expect(background).not.toContain(colour);
      expect(name === 'person' ? colour : null).toBeNull();
      for (const { box: other } of scene.objects.slice(i + 1)) {
        const across = Math.min(box.x + box.width, other.x + other.width) - Math.max(box.x, other.x);
        const down = Math.min(box.y + box.height, other.y + other.height) - Math.max(box.y, other.y);
        const shared = Math.max(across, 0) * Math.max(down, 0);
        const smaller = Math.min(box.width * box.height, other.width * other.height);
        expect(shared / smaller).toBeLessThanOrEqual(profile.maxOverlap + 1e-9);
      }
    });
  }
});

test('training scenes never show a held-out combination; test scenes always do', () => {
  for (const profile of [nanoWorld, fullWorld]) {
    for (const index of range(3000)) expect(isHeldOut(sampleScene(2, index, profile))).toBe(false);
    for (const index of range(300)) expect(isHeldOut(sampleScene(2, index, profile, { heldOut: 'only' }))).toBe(true);
  }
  const mixture = range(300).map((index) => isHeldOut(sampleScene(2, index, nanoWorld, { heldOut: 'any' })));
  expect(new Set(mixture).size).toBe(2);
});

test('kinds of scenes are what they are called', () => {
  const of = (kind: SceneKind) => range(200).map((index) => sampleScene(3, index, nanoWorld, { kind }));
  for (const { objects } of of('single')) expect(objects).toHaveLength(1);
  for (const { objects } of of('counting')) {
    expect(objects.length).toBeGreaterThanOrEqual(2);
    expect(objects.length).toBeLessThanOrEqual(4);
    for (const key of ['class', 'sprite', 'style', 'colour'] as const) {
      expect(new Set(objects.map((object) => object[key])).size).toBe(1);
    }
  }
  const seen = new Set<string>();
  for (const { objects } of of('relation')) {
    const [a, b] = objects as [WorldObject, WorldObject];
    expect(a.class).not.toBe(b.class);
    const found = relationsBetween(a.box, b.box);
    expect(found).toHaveLength(1);
    seen.add(found[0]!);
  }
  expect(seen.size).toBe(4);
  for (const { objects } of of('colours')) {
    expect(new Set(objects.map(({ class: name }) => name)).size).toBe(2);
    expect(new Set(objects.map(({ colour }) => colour ?? 'none')).size).toBe(2);
    expect(objects.every(({ colour }) => colour !== null)).toBe(true);
  }
});

test('kinds come as often as the profile says, also with combinations left out', () => {
  const scenes = range(2000).map((index) => sampleScene(4, index, nanoWorld));
  const single = scenes.filter(({ objects }) => objects.length === 1).length / scenes.length;
  expect(single).toBeGreaterThan(0.17);
  expect(single).toBeLessThan(0.23);
});

test('classes of one kind stand together more often than chance', () => {
  const scenes = range(1500).map((index) => sampleScene(5, index, nanoWorld, { kind: 'relation' }));
  const together = (profileScenes: Scene[]) =>
    profileScenes.filter(({ objects: [a, b] }) => companionsOf(a!.class).includes(b!.class)).length / scenes.length;
  const even: WorldProfile = { ...nanoWorld, affinity: 1 };
  const chance = range(1500).map((index) => sampleScene(5, index, even, { kind: 'relation' }));
  expect(together(scenes)).toBeGreaterThan(2 * together(chance));
});

test('a profile without room says so', () => {
  const crowded: WorldProfile = {
    ...nanoWorld,
    sizes: [{ cells: 6, weight: 1 }],
    kinds: { single: 0, counting: 1, relation: 0, colours: 0, mixed: 0 },
  };
  expect(() => sampleScene(1, 0, crowded)).toThrow(DataError);
});

test('a relation is held out from both sides, a colour only where it is said', () => {
  const [subject, relation, reference] = heldOutCombinations().relations.find(([, name]) => name === 'left of')!;
  expect(relation).toBe('left of');
  const at = (name: string, x: number): WorldObject => ({
    class: name,
    sprite: '1f34e',
    style: 'noto',
    colour: null,
    box: { x, y: 0.25, width: 0.25, height: 0.25 },
    z: 0,
    flip: false,
  });
  const scene = (...objects: WorldObject[]): Scene => ({ background: { kind: 'plain', colour: 'blue' }, objects });
  expect(isHeldOut(scene(at(subject, 0), at(reference, 0.75)))).toBe(true);
  expect(isHeldOut(scene(at(reference, 0.75), at(subject, 0)))).toBe(true);
  const [[name, [colour]]] = Object.entries(heldOutCombinations().colours) as [[string, [WorldObject['colour']]]];
  expect(isHeldOut(scene({ ...at(name, 0), colour: colour! }))).toBe(true);
  expect(isHeldOut(scene(at(name, 0)))).toBe(false);
});

const promptFile = new URL('../../../../shared/benchmarks/geneval/evaluation_metadata.jsonl', import.meta.url);
test.skipIf(!existsSync(promptFile))('the held-out list is that of the official prompts', () => {
  const { colours, counts, relations } = heldOutCombinations();
  const size = (record: Record<string, readonly unknown[]>) => Object.values(record).flat().length;
  expect([size(colours), relations.length, size(counts)]).toEqual([175, 64, 62]);
  for (const line of readFileSync(promptFile, 'utf8').trim().split('\n')) {
    const { tag, include } = JSON.parse(line);
    if (!include.every((clause: { class: string }) => isWorldClass(clause.class))) continue;
    for (const clause of include) {
      if (clause.color) expect(colours[clause.class]).toContain(clause.color);
      if (tag === 'counting') expect(counts[clause.class]).toContain(clause.count);
      if (clause.position) {
        expect(relations).toContainEqual([clause.class, clause.position[0], include[clause.position[1]].class]);
      }
    }
  }
});
