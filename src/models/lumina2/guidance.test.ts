import { expect, test } from 'vitest';
import { type DiffusionGuidance, guidedBranches, type ToldPicture } from './guidance.ts';

const whole = [-1, 2] as const;
const drawn: ToldPicture = { codes: true, source: false };
const edited: ToldPicture = { codes: false, source: true };
const guidance = (more: Partial<DiffusionGuidance>): DiffusionGuidance => ({
  text: 4.5,
  image: 1.05,
  codes: 0,
  textWindow: whole,
  imageWindow: whole,
  ...more,
});

test('the branches sum to the published formula', () => {
  const predictions = { none: 0.3, image: -1.1, text: 0.7, codes: 2.3 };
  const guided = guidedBranches(edited, guidance({ codes: 0.8 }), 0, 4).reduce((sum, { caption, source, weight }) => {
    const which = caption ? (source ? 'text' : 'codes') : source ? 'image' : 'none';
    return sum + weight * predictions[which];
  }, 0);
  const { none, image, text, codes } = predictions;
  expect(guided).toBeCloseTo(none + 4.5 * (text - image) + 1.05 * (image - none) + 0.8 * (codes - none), 12);
});

test('a drawing is told the codes, an edit the source; the caption comes last', () => {
  const told = (picture: ToldPicture) =>
    guidedBranches(picture, guidance({}), 0, 4).map(({ weight, ...branch }) => branch);
  expect(told(drawn)).toEqual([
    { caption: false, codes: false, source: false },
    { caption: false, codes: true, source: false },
    { caption: true, codes: true, source: false },
  ]);
  expect(told(edited)).toEqual([
    { caption: false, codes: false, source: false },
    { caption: false, codes: false, source: true },
    { caption: true, codes: false, source: true },
  ]);
});

test('codes and source that are told together are one branch', () => {
  const both = { codes: true, source: true };
  expect(guidedBranches(both, guidance({ text: 1, image: 1 }), 0, 4)).toEqual([{ caption: true, ...both, weight: 1 }]);
});

test('branches that cancel are left out', () => {
  const weights = (more: Partial<DiffusionGuidance>, step = 0) =>
    guidedBranches(drawn, guidance(more), step, 4).map(({ weight }) => weight);
  expect(weights({ text: 1, image: 1 })).toEqual([1]);
  expect(weights({ text: 3, image: 1 })).toEqual([-2, 3]);
  expect(weights({ text: 2, image: 2 })).toEqual([-1, 2]);
});

test('outside of its window a guidance is 1; both ends are outside, as published', () => {
  const branches = (step: number, more: Partial<DiffusionGuidance>) =>
    guidedBranches(drawn, guidance({ text: 3, image: 2, ...more }), step, 4).map(({ weight }) => weight);
  expect(branches(3, { textWindow: [0, 1], imageWindow: [0, 1] })).toEqual([1]);
  expect(branches(2, { textWindow: [0, 1], imageWindow: [0, 0.75] })).toEqual([-2, 3]);
  expect(branches(0, { textWindow: [0.25, 1], imageWindow: [0, 1] })).toEqual([-1, 1, 1]);
});
