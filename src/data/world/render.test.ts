import { expect, test } from 'vitest';
import type { RgbImage } from '../../image/rgb-image.ts';
import { DataError } from '../error.ts';
import { type Atlas, createAtlas, type Stamp, StampMemory } from './atlas.ts';
import { loadAtlas } from './atlas-files.ts';
import { fullWorld, nanoWorld } from './profile.ts';
import { backgroundCentres, renderLayers, renderScene } from './render.ts';
import { sampleScene } from './sample.ts';
import { colours, type Scene, type WorldObject } from './scene.ts';
import { stampOf } from './stamp.ts';
import { classNamed, nearestColour, type Rgb, worldClasses } from './vocabulary.ts';

const atlas = await loadAtlas();

const apple: WorldObject = {
  class: 'apple',
  sprite: '1f34e',
  style: 'twemoji',
  colour: null,
  box: { x: 0.25, y: 0.5, width: 0.375, height: 0.375 },
  z: 0,
  flip: false,
};
const plain = (...objects: WorldObject[]): Scene => ({ background: { kind: 'plain', colour: 'blue' }, objects });

function pixel(image: RgbImage, x: number, y: number): number[] {
  const at = (y * image.width + x) * 3;
  return [...image.data.subarray(at, at + 3)];
}

/** Median of each channel over pixels that are at least half opaque. */
function medianColour({ data }: Stamp): Rgb {
  const median = (channel: number) => {
    const levels: number[] = [];
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3]! >= 128) levels.push((data[at + channel]! * 255) / data[at + 3]!);
    }
    return levels.sort((a, b) => a - b)[levels.length >> 1]!;
  };
  return [median(0), median(1), median(2)];
}

test('every class has its sprites in every style, and each is visible and leaves its margin', () => {
  const { cell, margin } = atlas.index;
  for (const { sprites } of worldClasses) {
    for (const sprite of sprites) {
      for (const style of atlas.index.styles) {
        const pixels = atlas.pixels(style, sprite);
        let [least, most, opaque] = [cell, 0, 0];
        for (let at = 0; at < cell * cell; at++) {
          if (pixels[at * 4 + 3]! < 128) continue;
          opaque++;
          for (const place of [at % cell, Math.floor(at / cell)]) {
            least = Math.min(least, place);
            most = Math.max(most, place);
          }
        }
        expect(opaque, `${style} ${sprite}`).toBeGreaterThan(0.06 * cell * cell);
        expect(least, `${style} ${sprite}`).toBeGreaterThanOrEqual(margin);
        expect(most, `${style} ${sprite}`).toBeLessThan(cell - margin);
      }
    }
  }
});

test('a picture is made of its background and its objects', () => {
  const image = renderScene(plain(apple), atlas, 64);
  expect([image.width, image.height, image.data.length]).toEqual([64, 64, 64 * 64 * 3]);
  expect(pixel(image, 2, 2)).toEqual([...backgroundCentres.blue]);
  const [red, green, blue] = pixel(image, 16 + 10, 32 + 14);
  expect(red!).toBeGreaterThan(green! + blue!);
});

test('the same scene gives the same bytes, whatever was drawn before', async () => {
  const scenes = Array.from({ length: 20 }, (_, index) => sampleScene(5, index, nanoWorld));
  const first = scenes.map((scene) => renderScene(scene, atlas, 64));
  const fresh = await loadAtlas(['noto', 'twemoji']);
  const again = scenes.toReversed().map((scene) => renderScene(scene, fresh, 64));
  expect(again.toReversed()).toEqual(first);
});

test('a gradient runs from the top or from the left', () => {
  const gradient = (angle: 0 | 90): Scene => ({
    background: { kind: 'gradient', from: 'black', to: 'white', angle },
    objects: [],
  });
  const down = renderScene(gradient(0), atlas, 32);
  const across = renderScene(gradient(90), atlas, 32);
  expect(pixel(down, 0, 0)[0]).toBeLessThan(pixel(down, 0, 31)[0]!);
  expect(pixel(down, 0, 5)).toEqual(pixel(down, 31, 5));
  expect(pixel(across, 7, 3)).toEqual(pixel(down, 0, 7));
});

test('a flipped object is the mirror image in the same box', () => {
  const banana: WorldObject = {
    ...apple,
    class: 'banana',
    sprite: '1f34c',
    box: { x: 0.25, y: 0.25, width: 0.5, height: 0.5 },
  };
  const [straight, flipped] = [banana, { ...banana, flip: true }].map((object) =>
    renderScene(plain(object), atlas, 64),
  );
  expect(flipped!.data).not.toEqual(straight!.data);
  for (let y = 0; y < 64; y++) {
    for (let x = 0; x < 64; x++) expect(pixel(flipped!, 63 - x, y)).toEqual(pixel(straight!, x, y));
  }
});

test('nearer objects hide farther ones, and layers say how much', () => {
  const near: WorldObject = { ...apple, colour: 'green', z: 1 };
  const scene = plain(near, { ...apple, colour: 'red' });
  expect(renderScene(scene, atlas, 64)).toEqual(renderScene(plain({ ...apple, colour: 'red' }, near), atlas, 64));
  const layers = renderLayers(scene, atlas, 64);
  expect(layers[0]!.visibleFraction).toBeCloseTo(1);
  expect(layers[1]!.visibleFraction).toBeLessThan(0.1);
  expect(layers[1]!.alpha).toEqual(layers[0]!.alpha);
  const { x, y, width, height } = layers[0]!.bounds!;
  expect(x).toBeGreaterThanOrEqual(apple.box.x);
  expect(y).toBeGreaterThanOrEqual(apple.box.y);
  expect(x + width).toBeLessThanOrEqual(apple.box.x + apple.box.width);
  expect(y + height).toBeLessThanOrEqual(apple.box.y + apple.box.height);
  expect(Math.max(width, height)).toBeGreaterThan(0.33);
});

test('what lies outside of the picture is cut off', () => {
  const half = plain({ ...apple, box: { x: -0.25, y: 0.25, width: 0.5, height: 0.5 } });
  const [layer] = renderLayers(half, atlas, 64);
  expect(layer!.visibleFraction).toBeCloseTo(0.5, 1);
  expect(renderScene(half, atlas, 64).data).toHaveLength(64 * 64 * 3);
  const gone = plain({ ...apple, box: { x: 1.5, y: 0, width: 0.25, height: 0.25 } });
  expect(renderLayers(gone, atlas, 64)[0]).toMatchObject({ visibleFraction: 0, bounds: null });
});

test('a scene at 64 pixels is the area average of the scene at 128', () => {
  let worst = 0;
  for (let index = 0; index < 40; index++) {
    const scene = sampleScene(6, index, nanoWorld);
    const [small, large] = [64, 128].map((size) => renderScene(scene, atlas, size)) as [RgbImage, RgbImage];
    for (let y = 0; y < 64; y++) {
      for (let x = 0; x < 64; x++) {
        const four = [0, 1, 2, 3].map((i) => pixel(large, 2 * x + (i & 1), 2 * y + (i >> 1)));
        pixel(small, x, y).forEach((level, channel) => {
          const mean = four.reduce((sum, rgb) => sum + rgb[channel]!, 0) / 4;
          worst = Math.max(worst, Math.abs(mean - level));
        });
      }
    }
  }
  expect(worst).toBeLessThanOrEqual(2);
});

/** Tinted sprites whose median colour is not nearest to the colour they are said to have. */
function wrongColours(profile: typeof nanoWorld, sides: readonly number[]): { wrong: string[]; all: number } {
  const wrong: string[] = [];
  let all = 0;
  for (const worldClass of profile.classes.map(classNamed).filter(({ colourable }) => colourable)) {
    const sprites = profile.sprites === 'all' ? worldClass.sprites : [worldClass.sprites[0]];
    for (const sprite of sprites) {
      for (const style of profile.styles) {
        for (const colour of colours) {
          for (const side of sides) {
            all++;
            const got = nearestColour(medianColour(stampOf(atlas, style, sprite, colour, false, side, side)));
            if (got !== colour)
              wrong.push(`${colour} ${worldClass.name} (${style} ${sprite}, ${side} pixels) is ${got}`);
          }
        }
      }
    }
  }
  return { wrong, all };
}

test('in the nano world every class in every colour measures as that colour', () => {
  expect(wrongColours(nanoWorld, [16, 24]).wrong).toEqual([]);
});

test('in the full world too, but for two line drawings in white', () => {
  const { wrong, all } = wrongColours(fullWorld, [48]);
  expect(all).toBeGreaterThan(4000);
  expect(wrong).toEqual([
    'white airplane (openmoji 1f6e9, 48 pixels) is black',
    'white train (openmoji 1f686, 48 pixels) is black',
  ]);
});

test('every background is nearest to its name, among objects too, and unlike a tint of that name', () => {
  for (const colour of colours) {
    expect(nearestColour(backgroundCentres[colour])).toBe(colour);
    expect(nearestColour(backgroundCentres[colour], backgroundCentres)).toBe(colour);
  }
});

test('an unknown sprite and a sheet that is too small are refused', () => {
  expect(() => renderScene(plain({ ...apple, sprite: 'abc' }), atlas, 16)).toThrow(DataError);
  expect(() => renderScene(plain(), atlas, 0)).toThrow(/whole sizes/);
  expect(() => createAtlas(atlas.index, new Map())).toThrow(DataError);
});

test('the memory of stamps stays below its limit', () => {
  const memory = new StampMemory(100);
  const stamp: Stamp = { width: 4, height: 4, data: new Uint8Array(64) };
  let made = 0;
  const ask = (key: string) => memory.get(key, () => ({ ...stamp, width: ++made }));
  ask('a');
  expect(ask('a').width).toBe(1);
  ask('b');
  expect(ask('a').width).toBe(3);
});

test('only the asked styles are read', async () => {
  const some: Atlas = await loadAtlas(['fluent']);
  expect(some.index.styles).toEqual(['fluent']);
  expect(() => some.pixels('noto', '1f34e')).toThrow(DataError);
  await expect(loadAtlas(['noto'], new URL('file:///nowhere/'))).rejects.toThrow(/cannot read/);
});
