import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDims,
  broadcastShapes,
  canonicalDim,
  canonicalShape,
  type Dim,
  dimTerms,
  divideDims,
  elementCount,
  formatShape,
  isFixed,
  multiplyDims,
  sameShape,
  subtractDims,
} from './dimension.ts';
import { TensorError } from './error.ts';

type Sizes = Readonly<Record<string, number>>;

/** The value of a size where its names are known: the string is read as arithmetic, not by the code under test. */
function evaluate(dim: Dim, sizes: Sizes): number {
  if (typeof dim === 'number') return dim;
  const value = dim
    .split('+')
    .map((term) =>
      term
        .split('*')
        .map((factor) => sizes[factor] ?? Number(factor))
        .reduce((a, b) => a * b),
    )
    .reduce((a, b) => a + b);
  // A size has no −0.
  return value + 0;
}

const names = ['batch', 'sequence', 'past', 'n'];
const sizes = fc.record(Object.fromEntries(names.map((name) => [name, fc.integer({ min: 0, max: 50 })])));
/** Sizes as a person would write them: terms in any order, factors in any order, coefficients anywhere. */
const written: fc.Arbitrary<Dim> = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc
    .array(
      fc.array(fc.oneof(fc.constantFrom(...names), fc.integer({ min: -9, max: 9 }).map(String)), {
        minLength: 1,
        maxLength: 3,
      }),
      {
        minLength: 1,
        maxLength: 3,
      },
    )
    .map((terms) => terms.map((factors) => factors.join('*')).join('+')),
);

describe('arithmetic of sizes', () => {
  it('agrees with numbers for every value of the names', () => {
    fc.assert(
      fc.property(written, written, written, sizes, (a, b, c, values) => {
        const of = (dim: Dim) => evaluate(dim, values);
        expect(of(canonicalDim(a))).toBe(of(a) + 0);
        expect(of(addDims(a, b, c))).toBe(of(a) + of(b) + of(c) + 0);
        expect(of(subtractDims(a, b))).toBe(of(a) - of(b) + 0);
        expect(of(multiplyDims(a, b, c))).toBe(of(a) * of(b) * of(c) + 0);
        const terms = dimTerms(a).map(({ coefficient, names }) =>
          names.reduce((p, name) => p * values[name]!, coefficient),
        );
        expect(terms.reduce((sum, term) => sum + term, 0)).toBe(of(a) + 0);
      }),
    );
  });

  it('writes equal sizes as equal strings', () => {
    fc.assert(
      fc.property(written, written, written, (a, b, c) => {
        expect(canonicalDim(canonicalDim(a))).toBe(canonicalDim(a));
        expect(addDims(a, b)).toBe(addDims(b, a));
        expect(multiplyDims(a, b)).toBe(multiplyDims(b, a));
        expect(addDims(addDims(a, b), c)).toBe(addDims(a, addDims(b, c)));
        expect(multiplyDims(multiplyDims(a, b), c)).toBe(multiplyDims(a, multiplyDims(b, c)));
        expect(multiplyDims(a, addDims(b, c))).toBe(addDims(multiplyDims(a, b), multiplyDims(a, c)));
        expect(subtractDims(addDims(a, b), b)).toBe(canonicalDim(a));
      }),
    );
  });

  it('divides only where the quotient is exact, and never by nothing', () => {
    fc.assert(
      fc.property(written, written, sizes, (a, b, values) => {
        const quotient = divideDims(canonicalDim(a), canonicalDim(b));
        if (quotient !== undefined) expect(multiplyDims(quotient, b)).toBe(canonicalDim(a));
        const divisor = evaluate(b, values);
        if (quotient !== undefined && divisor !== 0)
          expect(evaluate(quotient, values)).toBe(evaluate(a, values) / divisor + 0);
      }),
    );
    expect(divideDims('6*batch*n', '2*n')).toBe('3*batch');
    expect(divideDims('4*n+2', 2)).toBe('2*n+1');
    expect(divideDims('batch+n', 'batch+n')).toBe(1);
    expect(divideDims('4*n+1', 2)).toBeUndefined();
    expect(divideDims('batch', 'n')).toBeUndefined();
    expect(divideDims(7, 2)).toBeUndefined();
    expect(divideDims(0, 5)).toBe(0);
    expect(divideDims(5, 0)).toBeUndefined();
    // A picture without rows of no width: the open size could be anything.
    expect(divideDims(0, 0)).toBeUndefined();
  });

  it('has one canonical form', () => {
    expect(canonicalDim('sequence+past')).toBe('past+sequence');
    expect(canonicalDim('1+2*b*3*a')).toBe('6*a*b+1');
    expect(canonicalDim('n+n')).toBe('2*n');
    expect(canonicalDim('n+-1*n')).toBe(0);
    expect(canonicalDim('3*4')).toBe(12);
    expect(canonicalDim('past@end+1')).toBe('past@end+1');
    expect(subtractDims('n', 1)).toBe('n+-1');
    expect(elementCount(['batch', 3, 'sequence', 4])).toBe('12*batch*sequence');
    expect(elementCount([])).toBe(1);
  });

  it.each(['', 'a+', '*a', 'a b', '2a', 'a-1', 'a/2', '1.5', 'a**2', '(a)'])('refuses %j', (dim) => {
    expect(() => canonicalDim(dim)).toThrow(TensorError);
    expect(() => canonicalDim(dim)).toThrow('is not a size');
  });

  it.each([1.5, Number.NaN, Infinity, 2 ** 53])('refuses %d', (dim) => {
    expect(() => canonicalDim(dim)).toThrow('whole number');
  });

  it('refuses shapes with sizes below 0, and says where', () => {
    expect(canonicalShape('reshape', ['b+a', 0, 3])).toEqual(['a+b', 0, 3]);
    expect(() => canonicalShape('reshape', [2, -3])).toThrow(
      'reshape: axis 1 of [2, -3] has size -3, expected at least 0',
    );
  });
});

describe('shapes', () => {
  it('are compared and written', () => {
    expect(sameShape([2, 'n'], [2, 'n'])).toBe(true);
    expect(sameShape([2, 'n'], [2, 'm'])).toBe(false);
    expect(sameShape([2], [2, 1])).toBe(false);
    expect(isFixed([2, 3])).toBe(true);
    expect(isFixed([2, 'n'])).toBe(false);
    expect(formatShape([2, 'heads', 64])).toBe('[2, heads, 64]');
    expect(formatShape([])).toBe('[]');
  });

  it('broadcast like NumPy', () => {
    const dim: fc.Arbitrary<Dim> = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom<Dim>('n', 'm+1'));
    const shape = fc.array(dim, { maxLength: 4 });
    fc.assert(
      fc.property(shape, fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), fc.nat(4), (whole, ones, cut) => {
        // Any axis may be 1 in one operand; leading axes may be missing.
        const left = whole.map((size, axis) => (ones[axis] ? 1 : size));
        const right = whole.map((size, axis) => (ones[axis] ? size : 1)).slice(Math.min(cut, whole.length));
        const expected = whole.map((size, axis) => (ones[axis] && axis < Math.min(cut, whole.length) ? 1 : size));
        expect(broadcastShapes('add', left, right)).toEqual(expected);
        expect(broadcastShapes('add', right, left)).toEqual(expected);
        expect(broadcastShapes('add', whole, [])).toEqual(whole);
      }),
    );
    expect(broadcastShapes('add', [3, 1], [1, 0])).toEqual([3, 0]);
    expect(broadcastShapes('where', [2, 1, 1], [3, 1], [4])).toEqual([2, 3, 4]);
  });

  it('say which axis does not broadcast', () => {
    expect(() => broadcastShapes('add', [2, 3], [4, 3])).toThrow(
      'add: shapes [2, 3] and [4, 3] do not broadcast: axis 0 is 2 in one and 4 in another',
    );
    expect(() => broadcastShapes('add', ['n'], [3])).toThrow('axis 0 is n in one and 3 in another');
    expect(() => broadcastShapes('add', [0], [2])).toThrow('do not broadcast');
  });
});
