import { expect, test } from 'vitest';
import { sizeConflict } from './sizes.ts';

function conflict(...equations: [dim: string, actual: number][]) {
  return sizeConflict(equations.map(([dim, actual], index) => ({ dim, actual, where: `#${index}` })));
}

test('one name is one size', () => {
  expect(conflict(['batch', 2], ['batch', 2])).toBeUndefined();
  expect(conflict(['batch', 2], ['batch', 3])).toEqual({
    dim: 'batch',
    expected: 2,
    actual: 3,
    where: '#1',
    because: 'batch = 2 (#0)',
  });
});

test('sums and products must fit, in whatever order they come', () => {
  expect(conflict(['past+sequence', 5], ['sequence', 1], ['past', 4])).toBeUndefined();
  expect(conflict(['past+sequence', 5], ['sequence', 1], ['past', 3])).toMatchObject({ actual: 5, expected: 4 });
  expect(conflict(['batch', 2], ['rows', 3], ['2*batch*rows', 12])).toBeUndefined();
  expect(conflict(['batch', 2], ['rows', 3], ['2*batch*rows', 6])).toMatchObject({ actual: 6, expected: 12 });
});

test('a sum with one unknown name gives it its size', () => {
  expect(conflict(['past', 4], ['past+sequence', 6], ['sequence', 2])).toBeUndefined();
  expect(conflict(['past', 4], ['past+sequence', 6], ['sequence', 3])).toMatchObject({ dim: 'sequence', expected: 2 });
  expect(conflict(['past', 4], ['past+sequence', 3])).toMatchObject({ where: '#1' });
  expect(conflict(['2*half', 5])).toMatchObject({ where: '#0' });
});

test('a sum with two unknown names is left alone', () => {
  expect(conflict(['past+sequence', 5], ['past*sequence', 100])).toBeUndefined();
});
