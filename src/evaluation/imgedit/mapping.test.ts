import { expect, test } from 'vitest';
import {
  clamped,
  complianceScore,
  imgEditMeans,
  itemScore,
  type Outcome,
  parseJudgeReply,
  psnrScore,
} from './mapping.ts';

const score = (outcomes: Outcome[], slips = 0, collateral = 0) =>
  complianceScore({ outcomes, slips, collateral, unrelated: false });

test('compliance: outcomes, slips and collateral damage', () => {
  expect((['right', 'slip', 'value', 'place', 'none'] as const).map((outcome) => score([outcome]))).toEqual([
    5, 4, 3, 2, 1,
  ]);
  expect(score(['right'], 1)).toBe(4);
  expect(score(['right'], 2)).toBe(3);
  expect(score(['slip'], 1)).toBe(3);
  expect(score(['right'], 0, 1)).toBe(3);
  expect(score(['none'], 0, 3)).toBe(1);
  expect(complianceScore({ outcomes: ['right'], slips: 0, collateral: 1, unrelated: true })).toBe(1);
  // Of two operations the mean, rounded down.
  expect(score(['right', 'none'])).toBe(3);
  expect(score(['right', 'place'])).toBe(3);
  expect(score(['none', 'place'])).toBe(1);
});

test('decibels to points', () => {
  expect([30, 29.9, 25, 24.9, 20, 19.9, 15, 14.9, Number.POSITIVE_INFINITY].map(psnrScore)).toEqual([
    5, 4, 4, 3, 3, 2, 2, 1, 5,
  ]);
});

test('second and third score no higher than the first, and the mean of three', () => {
  expect(clamped({ compliance: 2, naturalness: 5, detail: 1 })).toEqual({ compliance: 2, naturalness: 2, detail: 1 });
  expect(itemScore({ compliance: 5, naturalness: 5, detail: 3 })).toBe(4.33);
});

test('macro is over types, micro over items', () => {
  const items = [5, 5, 5].map((each) => ({ type: 'add', score: each }));
  const means = imgEditMeans([...items, { type: 'style', score: 1 }]);
  expect(means).toEqual({ types: { add: 5, style: 1 }, macro: 3, micro: 4 });
});

test('the official parser of replies', () => {
  const reply = (a: string, b: string, c: string) =>
    `Brief reasoning: fine\nPrompt Compliance: ${a}\nVisual Naturalness: ${b}\nPhysical & Detail Coherence: ${c}`;
  expect(parseJudgeReply(reply('1', '1', '1'))).toBe(1);
  // The README says 3.33 here; the code gives 3.0.
  expect(parseJudgeReply(reply('1', '4', '4'))).toBe(3);
  expect(parseJudgeReply('**Prompt Compliance**: 4')).toBe(4);
  expect(parseJudgeReply('**Prompt Compliance:** 4')).toBeNull();
  expect(parseJudgeReply(reply('4/5', '4.', 'x'))).toBeNull();
});
