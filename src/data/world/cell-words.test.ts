import { describe, expect, it } from 'vitest';
import { cellNoun, cellWords } from './cell-words.ts';
import type { Scene } from './scene.ts';
import { worldClasses } from './vocabulary.ts';

const apple = { class: 'apple', sprite: '1f34e', style: 'noto', z: 0, flip: false } as const;

describe('cellWords', () => {
  it('gives noun and colour by turns, and the ground', () => {
    const scene: Scene = {
      background: { kind: 'gradient', from: 'blue', to: 'white', angle: 0 },
      objects: [
        { ...apple, colour: 'red', box: { x: 0, y: 0, width: 0.5, height: 0.5 } },
        {
          ...apple,
          class: 'teddy bear',
          sprite: '1f9f8',
          colour: null,
          box: { x: 0.75, y: 0.75, width: 0.25, height: 0.25 },
        },
      ],
    };
    expect(cellWords(scene, 4)).toEqual(
      ['apple red blue blue', 'red apple blue blue', 'white white white white', 'white white white teddy'].flatMap(
        (row) => row.split(' '),
      ),
    );
  });

  it('has a word of its own for every class', () => {
    const nouns = worldClasses.map(({ name }) => cellNoun(name));
    expect(nouns.every((noun) => /^[a-z]+$/.test(noun))).toBe(true);
    expect(new Set(nouns).size).toBe(worldClasses.length);
  });
});
