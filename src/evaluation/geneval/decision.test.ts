import { expect, test } from 'vitest';
import { type CornerBox, type Detection, decide, overlapOf, relativePosition } from './decision.ts';

const box = (x1: number, y1: number, x2: number, y2: number): CornerBox => ({ x1, y1, x2, y2 });
const seen = (name: string, confidence = 0.95, colour: string | null = null, at = box(0, 0, 10, 10)): Detection => ({
  class: name,
  box: at,
  confidence,
  colour,
});

// EVALUATION.md, section 1: computed from the official function.
test.each([
  [box(0, 0, 10, 10), box(20, 0, 30, 10), ['left of'], -0.9, 0],
  [box(0, 0, 10, 10), box(0, 20, 10, 30), ['above'], 0, -0.9],
  [box(0, 0, 100, 100), box(15, 0, 115, 100), [], 0, 0],
  [box(0, 0, 100, 100), box(25, 0, 125, 100), [], -0.2, 0],
  [box(0, 0, 100, 100), box(45, 0, 145, 100), ['left of'], -0.5556, 0],
  [box(0, 0, 10, 10), box(40, 40, 50, 50), ['left of', 'above'], -0.6718, -0.6718],
  [box(0, 0, 10, 10), box(60, 30, 70, 40), ['left of'], -0.8646, -0.4174],
  [box(0, 0, 100, 100), box(30, 30, 130, 130), [], -0.2357, -0.2357],
])('relation of %o to %o', (a, b, relations, dx, dy) => {
  const result = relativePosition(a, b);
  expect(result.relations).toEqual(relations);
  expect(result.dx).toBeCloseTo(dx, 4);
  expect(result.dy).toBeCloseTo(dy, 4);
});

test('a single object: extra ones and other classes do not matter, unsure ones are not seen', () => {
  const prompt = { tag: 'single_object', include: [{ class: 'dog', count: 1 }] } as const;
  expect(decide({ ...prompt, include: [...prompt.include] }, [seen('dog', 0.31), seen('cat')]).correct).toBe(true);
  expect(decide({ ...prompt, include: [...prompt.include] }, [seen('dog', 0.3), seen('cat')])).toEqual({
    correct: false,
    reasons: ['expected dog>=1, found 0'],
  });
});

test('counting is exact through exclude, and has a threshold of its own', () => {
  const prompt = {
    tag: 'counting' as const,
    include: [{ class: 'clock', count: 2 }],
    exclude: [{ class: 'clock', count: 3 }],
  };
  const clocks = (count: number, confidence?: number) => Array.from({ length: count }, () => seen('clock', confidence));
  expect(decide(prompt, clocks(2)).correct).toBe(true);
  expect(decide(prompt, clocks(1)).correct).toBe(false);
  expect(decide(prompt, clocks(3)).correct).toBe(false);
  expect(decide(prompt, clocks(2, 0.9)).correct).toBe(false);
  expect(decide(prompt, [...clocks(2), ...clocks(5, 0.5)]).correct).toBe(true);
});

test('colours are asked of the surest alone', () => {
  const prompt = { tag: 'colors' as const, include: [{ class: 'apple', count: 1, color: 'red' }] };
  expect(decide(prompt, [seen('apple', 0.9, 'red'), seen('apple', 0.8, 'blue')]).correct).toBe(true);
  expect(decide(prompt, [seen('apple', 0.8, 'red'), seen('apple', 0.9, 'blue')]).correct).toBe(false);
  expect(decide(prompt, [seen('apple', 0.9, null)]).correct).toBe(false);
});

test('positions: every pair must hold, a group that was not matched is no target', () => {
  const prompt = {
    tag: 'position' as const,
    include: [
      { class: 'dog', count: 2 },
      { class: 'cat', count: 1, position: ['right of', 0] as ['right of', number] },
    ],
  };
  const dogs = [seen('dog', 0.9, null, box(0, 0, 10, 10)), seen('dog', 0.8, null, box(60, 0, 70, 10))];
  const catAt = (x: number) => seen('cat', 0.9, null, box(x, 0, x + 10, 10));
  expect(decide(prompt, [...dogs, catAt(90)]).correct).toBe(true);
  expect(decide(prompt, [...dogs, catAt(30)]).reasons).toEqual(['expected cat right of target, found left of']);
  expect(decide(prompt, [dogs[0]!, catAt(90)]).reasons).toEqual([
    'expected dog>=2, found 1',
    'no target for cat to be right of',
  ]);
});

test('sixteen of a class are looked at, and overlaps stay unless asked for', () => {
  const prompt = { tag: 'two_object' as const, include: [{ class: 'dog', count: 17 }] };
  const dogs = Array.from({ length: 20 }, () => seen('dog'));
  expect(decide(prompt, dogs).reasons).toEqual(['expected dog>=17, found 16']);
  const two = { tag: 'two_object' as const, include: [{ class: 'dog', count: 2 }] };
  expect(decide(two, dogs).correct).toBe(true);
  expect(decide(two, dogs, { maxOverlap: 0.9 }).correct).toBe(false);
  expect(overlapOf(box(0, 0, 9, 9), box(5, 0, 14, 9))).toBeCloseTo(50 / 150);
});
