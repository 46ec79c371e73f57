import { describe, expect, it } from 'vitest';
import { describeScene } from './captions.ts';
import { nanoWorld } from './profile.ts';
import { sampleScene } from './sample.ts';
import type { Scene } from './scene.ts';
import { planText, readPlan } from './scene-plan.ts';

const thing = { sprite: '1f34e', style: 'twemoji', flip: false } as const;
const box = (column: number, row: number, cells: number) => ({
  x: column / 8,
  y: row / 8,
  width: cells / 8,
  height: cells / 8,
});
const scene: Scene = {
  background: { kind: 'plain', colour: 'blue' },
  objects: [
    { ...thing, class: 'cat', sprite: '1f408', colour: null, box: box(5, 0, 3), z: 0 },
    { ...thing, class: 'apple', colour: 'red', box: box(0, 3, 4), z: 1 },
  ],
};

describe('planText', () => {
  it('names things with their cells, row by row, then ground and style', () => {
    expect(planText({ scene }, { grid: 8 })).toBe('cat f1:h3, red apple a4:d7, on blue, twemoji');
  });

  it('names them in the order of a text', () => {
    const after = 'Draw two apples and a cat.';
    expect(planText({ scene }, { grid: 8, after })).toBe('red apple a4:d7, cat f1:h3, on blue, twemoji');
  });

  it('says gradients, a white canvas, maps, and nothing of things that are not there', () => {
    const background = { kind: 'gradient', from: 'red', to: 'blue', angle: 90 } as const;
    expect(planText({ scene: { objects: [], background } }, { grid: 8 })).toBe('on red right to blue');
    const one = { ...scene, objects: scene.objects.slice(1) };
    expect(planText({ scene: one, canvas: 'white', imageMap: 'sepia' }, { grid: 8 })).toBe(
      'red apple a4:d7, on pure white, twemoji, sepia',
    );
  });
});

describe('readPlan', () => {
  it('gives the scene back: things, cells, colours, ground and style', () => {
    for (let seed = 0; seed < 300; seed++) {
      const each = sampleScene(seed, 0, nanoWorld);
      const plan = planText({ scene: each }, { grid: 8, after: describeScene(each, seed, 'free') });
      const read = readPlan(plan, 8);
      expect(planText(read, { grid: 8 })).toBe(planText({ scene: each }, { grid: 8 }));
      expect(read.scene.background).toEqual(each.background);
    }
  });

  it('gives back what is cut out and what is done to the picture', () => {
    const one = { scene: { ...scene, objects: scene.objects.slice(1) }, canvas: 'white', imageMap: 'sepia' } as const;
    expect(readPlan(planText(one, { grid: 8 }), 8)).toMatchObject({ canvas: 'white', imageMap: 'sepia' });
    expect(Object.keys(readPlan('on blue', 8))).toEqual(['scene']);
  });

  it.each([
    ['', 'the ground'],
    ['cat f1:h3', 'a ground'],
    ['cat f1:i3, on blue', 'cells of a grid of 8'],
    ['cat h3:f1, on blue', 'cells of a grid of 8'],
    ['unicorn a1:c3, on blue', 'a class of the world'],
    ['cat a1:c3, on beige', 'a colour of the world'],
    ['a photo of a cat', 'a thing with its cells'],
    ['cat a1:c3, on blue, twemoji, and so on', "'and so on'"],
  ])('refuses %j', (text, expected) => {
    expect(() => readPlan(text, 8)).toThrow(expected);
  });
});
