import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { readProcessorFacts, usableCores } from './cores.ts';

const facts = { available: 8, siblings: [], quota: undefined };

test('two threads on one core count once', () => {
  expect(usableCores({ ...facts, siblings: ['0,4', '1,5', '2,6', '3,7', '0,4', '1,5', '2,6', '3,7'] })).toBe(4);
});

test('processors that the process may not use do not count', () => {
  expect(usableCores({ ...facts, available: 3, siblings: ['0', '1', '2', '3'] })).toBe(3);
});

test('a quota counts, rounded up; max is none', () => {
  expect(usableCores({ ...facts, quota: '150000 100000' })).toBe(2);
  expect(usableCores({ ...facts, quota: '10000 100000' })).toBe(1);
  expect(usableCores({ ...facts, quota: 'max 100000' })).toBe(8);
});

test('this machine has at least one core, and no more than Node sees', () => {
  const cores = usableCores(readProcessorFacts());
  expect(cores).toBeGreaterThanOrEqual(1);
  expect(cores).toBeLessThanOrEqual(availableParallelism());
});
