import { expect, test } from 'vitest';
import { DataError } from '../error.ts';
import { colours } from './scene.ts';
import {
  classNamed,
  colourCentres,
  isWorldClass,
  labOf,
  nearestColour,
  pluralOf,
  withArticle,
  worldClasses,
} from './vocabulary.ts';

test('the world has the 62 GenEval objects that have an emoji, each once', () => {
  expect(worldClasses).toHaveLength(62);
  expect(new Set(worldClasses.map(({ name }) => name)).size).toBe(62);
  expect(worldClasses.map(({ index }) => index)).toEqual(
    [...worldClasses.map(({ index }) => index)].sort((a, b) => a - b),
  );
  // No sprite shows two classes.
  const sprites = worldClasses.flatMap((worldClass) => worldClass.sprites);
  expect(new Set(sprites).size).toBe(sprites.length);
  expect(isWorldClass('fork')).toBe(false);
  expect(() => classNamed('fork')).toThrow(DataError);
});

test('plurals and articles are English', () => {
  expect(
    ['dog', 'bus', 'couch', 'knife', 'sheep', 'person', 'wine glass', 'toothbrush', 'computer mouse'].map(pluralOf),
  ).toEqual(['dogs', 'buses', 'couches', 'knives', 'sheep', 'people', 'wine glasses', 'toothbrushes', 'computer mice']);
  expect(withArticle('apple')).toBe('an apple');
  expect(withArticle('orange dog')).toBe('an orange dog');
  expect(withArticle('tv')).toBe('a tv');
});

test('CIELAB has its textbook values and every centre is nearest to itself', () => {
  const [lightness, a, b] = labOf([255, 0, 0]);
  expect(lightness).toBeCloseTo(53.24, 1);
  expect(a).toBeCloseTo(80.09, 1);
  expect(b).toBeCloseTo(67.2, 1);
  for (const colour of colours) expect(nearestColour(colourCentres[colour])).toBe(colour);
});
