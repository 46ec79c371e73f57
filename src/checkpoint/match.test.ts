import { describe, expect, expectTypeOf, it } from 'vitest';
import type { TensorEntry } from './entry.ts';
import { CheckpointError } from './error.ts';
import { matchEntries } from './match.ts';

const entry = (name: string, shape: number[]): TensorEntry => ({
  name,
  dtype: 'float32',
  shape,
  file: 'model.pt',
  offset: 0,
  byteLength: 0,
});
const entries = (shapes: Record<string, number[]>) =>
  new Map(Object.entries(shapes).map(([name, shape]) => [name, entry(name, shape)]));

function failure(action: () => unknown): CheckpointError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    return error as CheckpointError;
  }
  throw new Error('expected a mismatch');
}

describe('matchEntries', () => {
  it('gives the entries under the model’s names, in the model’s order', () => {
    const found = matchEntries(
      { weight: { shape: [2, 3] }, bias: { shape: [] } },
      entries({ bias: [], weight: [2, 3] }),
    );
    expect([...found.keys()]).toEqual(['weight', 'bias']);
    expect(found.get('weight')!.shape).toEqual([2, 3]);
    expectTypeOf(found.keys().next().value!).toEqualTypeOf<'weight' | 'bias'>();
  });

  it('renames and ignores', () => {
    const checkpoint = entries({ 'llm.a': [1], 'vq.b': [2], 'rotary.inv_freq': [3] });
    const found = matchEntries({ a: { shape: [1] } }, checkpoint, {
      rename: (name) => (name.startsWith('llm.') ? name.slice(4) : undefined),
      ignore: (name) => name.endsWith('inv_freq') || name.startsWith('vq.'),
    });
    expect(found.get('a')!.name).toBe('llm.a');
  });

  it('tells everything that is wrong at once', () => {
    const checkpoint = entries({ a: [1], b: [2, 1], c: [3], extra: [1], constructor: [1] });
    const expected = { a: { shape: [1] }, b: { shape: [2] }, c: { shape: [4] }, d: { shape: [1] } };
    const error = failure(() => matchEntries(expected, checkpoint));
    expect(error).toMatchObject({ code: 'checkpoint_mismatch', file: 'model.pt' });
    expect(error.details).toMatchObject({
      missing: ['d'],
      unexpected: ['extra', 'constructor'],
      wrongShape: ['b: expected [2], got [2,1]', 'c: expected [4], got [3]'],
    });
    expect(error.message).toBe(
      'model.pt: the tensors are not the model\'s. 1 missing: "d"; 2 unexpected: "extra", "constructor"; ' +
        '2 of another shape: "b: expected [2], got [2,1]", "c: expected [4], got [3]"',
    );
  });

  it('refuses two tensors with one meaning', () => {
    const checkpoint = entries({ 'a.x': [1], 'b.x': [1] });
    const error = failure(() => matchEntries({ x: { shape: [1] } }, checkpoint, { rename: (name) => name.slice(2) }));
    expect(error.details.ambiguous).toEqual(['b.x and a.x, both x']);
  });

  it('keeps long lists short and counts in full', () => {
    const expected = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`layer.${i}`, { shape: [1] }]));
    const error = failure(() => matchEntries(expected, new Map()));
    expect(error.details).toMatchObject({ missingCount: 5000, unexpectedCount: 0 });
    expect(error.details.missing).toHaveLength(20);
    expect(error.message).toMatch(/5000 missing: "layer.0", .*, and 4980 more$/);
    expect(error.message.length).toBeLessThan(1000);
  });
});
