import { describe, expect, it } from 'vitest';
import type { TensorValue } from '../../tensor/index.ts';
import { CodebookHealth } from './codebook-health.ts';

const codes = (...chosen: number[]): TensorValue => ({
  dtype: 'int64',
  shape: [1, chosen.length],
  data: BigInt64Array.from(chosen, BigInt),
});
const features = (...values: number[]): TensorValue => ({
  dtype: 'float32',
  shape: [1, values.length / 2, 2],
  data: Float32Array.from(values),
});

describe('CodebookHealth', () => {
  it('moves codes that nothing chose to features of the last batch', () => {
    const health = new CodebookHealth(4, 2, 1);
    for (let step = 1; step <= 8; step++) health.observe(codes(0, 2), features(10, 11, 20, 21));
    const codebook = Float32Array.of(10, 11, 2, 3, 20, 21, 6, 7);
    expect(health.revive(codebook, 8)).toEqual([1, 3]);
    expect([...codebook.subarray(0, 2), ...codebook.subarray(4, 6)]).toEqual([10, 11, 20, 21]);
    for (const code of [1, 3]) {
      expect([
        [10, 11],
        [20, 21],
      ]).toContainEqual([...codebook.subarray(2 * code, 2 * code + 2)]);
    }
    // They have just moved: not dead again.
    expect(health.revive(codebook, 8)).toEqual([]);
  });

  it('moves them to where the codes are farthest from features', () => {
    const health = new CodebookHealth(3, 2, 1);
    const codebook = Float32Array.of(0, 0, 50, 50, 60, 60);
    // A hundred places that code 0 fits, and one that it does not.
    const places = [...Array.from({ length: 100 }, () => [0, 1e-3]).flat(), 5, 5];
    for (let step = 1; step <= 8; step++) health.observe(codes(...new Array<number>(101).fill(0)), features(...places));
    expect(health.revive(codebook, 8)).toEqual([1, 2]);
    expect([...codebook]).toEqual([0, 0, 5, 5, 5, 5]);
  });

  it('moves twins: of codes nearer to each other than places to their codes only the most chosen stays', () => {
    const health = new CodebookHealth(4, 2, 1);
    const codebook = Float32Array.of(0.1, 0, 0, 0, 0, 0.1, 9, 9);
    const places = [...Array.from({ length: 6 }, () => [0, 0]).flat(), 7, 9, 9, 9];
    for (let step = 1; step <= 8; step++) health.observe(codes(0, 1, 1, 1, 2, 1, 3, 3), features(...places));
    // A mean squared distance of (0.01 + 0.01 + 4) / 8: the three at the origin are one.
    expect(health.revive(codebook, 8)).toEqual([0, 2]);
    expect([...codebook.subarray(2, 4), ...codebook.subarray(6)]).toEqual([0, 0, 9, 9]);
    for (const code of [0, 2]) expect([...codebook.subarray(2 * code, 2 * code + 2)]).toEqual([7, 9]);
  });

  it('lays all codes over the features, the rare ones too', () => {
    const health = new CodebookHealth(70, 2, 1);
    const places = [...Array.from({ length: 1000 }, (_, at) => [0, (at % 7) / 1e3]).flat(), 5, 5, -5, 5, 9, -9];
    health.observe(codes(...new Array<number>(1003).fill(0)), features(...places));
    const codebook = new Float32Array(140);
    expect(health.layOut(codebook, 1)).toHaveLength(70);
    for (const [x, y] of [
      [5, 5],
      [-5, 5],
      [9, -9],
    ]) {
      expect(
        Array.from({ length: 70 }, (_, code) => codebook[2 * code] === x && codebook[2 * code + 1] === y),
      ).toContain(true);
    }
  });

  it('has patience once training is under way', () => {
    const health = new CodebookHealth(2, 2, 1);
    for (let step = 0; step < 199; step++) health.observe(codes(0), features(1, 1));
    expect(health.revive(new Float32Array(4), 10_000)).toEqual([]);
    health.observe(codes(0), features(1, 1));
    expect(health.revive(new Float32Array(4), 10_000)).toEqual([1]);
  });

  it('tells use with its number of tokens, when there are enough', () => {
    const health = new CodebookHealth(4, 2, 1);
    health.observe(codes(0, 1), features(1, 1));
    expect(health.tell()).toEqual({});
    const many = Array.from({ length: 49_998 }, (_, index) => index % 2);
    health.observe(codes(...many), features(1, 1));
    const told = health.tell();
    expect(told.codebook_tokens).toBe(50_000);
    expect(told.codebook_usage).toBe(0.5);
    expect(told.codebook_perplexity).toBeCloseTo(2, 6);
    expect(health.tell()).toEqual({});
  });

  it('goes on from what was saved', () => {
    const [one, other] = [new CodebookHealth(4, 2, 1), new CodebookHealth(4, 2, 1)];
    for (let step = 1; step <= 8; step++) one.observe(codes(0, 2), features(10, 11, 20, 21));
    other.state.restore(one.state.save());
    const books = [new Float32Array(8), new Float32Array(8)];
    expect(other.revive(books[1]!, 8)).toEqual(one.revive(books[0]!, 8));
    expect(books[1]).toEqual(books[0]);
  });
});
