import { beforeAll, expect, test } from 'vitest';
import { renderTarget } from '../../data/world/edit-target.ts';
import { nanoWorld } from '../../data/world/profile.ts';
import type { Scene, WorldObject } from '../../data/world/scene.ts';
import { World } from '../../data/world/world.ts';
import { readsExactly } from '../tokenizer/emoji-tokenizer.ts';
import { Checker, checkerThreshold } from './checker.ts';
import { blurAndNoise } from './degrade.ts';

const size = 64;
let world: World;
let checker: Checker;

beforeAll(async () => {
  world = await World.open(nanoWorld);
  checker = new Checker(world.atlas, nanoWorld);
});

const apple = (x: number, y: number, more: Partial<WorldObject> = {}): WorldObject => ({
  class: 'apple',
  sprite: '1f34e',
  style: 'noto',
  colour: null,
  box: { x, y, width: 0.375, height: 0.375 },
  z: 0,
  flip: false,
  ...more,
});
const onGreen = (...objects: WorldObject[]): Scene => ({ background: { kind: 'plain', colour: 'green' }, objects });

test('sampled scenes are read exactly, sharp and blurred', () => {
  const scenes = Array.from({ length: 24 }, (_, index) => world.scene(31, index, 'any'));
  const sharp = scenes.filter((scene) => readsExactly(checker, world.render(scene, size), scene));
  const soft = scenes.filter((scene, i) => readsExactly(checker, blurAndNoise(world.render(scene, size), i), scene));
  expect(sharp.length).toBeGreaterThanOrEqual(24);
  expect(soft.length).toBeGreaterThanOrEqual(23);
  const grounds = scenes.filter((scene) => {
    const { background } = checker.read(world.render(scene, size)).background;
    return JSON.stringify(background) === JSON.stringify(scene.background);
  });
  expect(grounds.length).toBeGreaterThanOrEqual(24);
});

test('an object off the grid is found where it is, in its colour and style', () => {
  const scene = onGreen(apple(0.3, 0.41, { colour: 'purple' }), apple(0.6, 0.02, { style: 'twemoji' }));
  const { objects } = checker.read(world.render(scene, size));
  expect(objects).toHaveLength(2);
  const purple = objects.find((found) => found.colour === 'purple')!;
  expect(purple).toMatchObject({ class: 'apple', style: 'noto', own: false });
  // 0.3 and 0.41 of 64 pixels; one pixel aside may explain as much.
  expect(Math.abs(purple.box.x1 - 19)).toBeLessThanOrEqual(1);
  expect(Math.abs(purple.box.y1 - 26)).toBeLessThanOrEqual(1);
  expect(objects.find((found) => found.style === 'twemoji')).toMatchObject({ colour: 'red', own: true });
});

test('black and white sprites bear an outline and are still black and white', () => {
  const scene = onGreen(apple(0, 0, { colour: 'black' }), apple(0.5, 0.5, { colour: 'white' }));
  const colours = checker.read(world.render(scene, size)).objects.map(({ colour }) => colour);
  expect(colours.sort()).toEqual(['black', 'white']);
});

test('an empty picture, and noise, hold nothing', () => {
  const empty = world.render(onGreen(), size);
  expect(checker.read(empty).objects).toEqual([]);
  const noisy = checker.read(blurAndNoise(empty, 1, 0, 25)).objects;
  expect(noisy.filter(({ confidence }) => confidence > checkerThreshold)).toEqual([]);
});

test('pure white is told from the white of backgrounds', () => {
  const scene: Scene = { background: { kind: 'plain', colour: 'white' }, objects: [apple(0.25, 0.25)] };
  expect(checker.read(renderTarget({ scene, canvas: 'white' }, world.atlas, size)).background.canvas).toBe('white');
  expect(checker.read(world.render(scene, size)).background.canvas).toBeUndefined();
});

test('a picture that is not square is refused', () => {
  expect(() => checker.read({ width: 4, height: 8, data: new Uint8Array(96) })).toThrow(/square/);
});
