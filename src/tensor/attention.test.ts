/** Cached attention over several steps, and what the kernel's limits mean for a program. */
import { describe, expect, it } from 'vitest';
import { type NumericArray, numericArray } from '../../test/tensor/array.ts';
import { checkProgram } from '../../test/tensor/check-program.ts';
import { countOperators, graphOf } from '../../test/tensor/model.ts';
import { runProgram } from '../../test/tensor/session.ts';
import { compile, groupedQueryAttention, input, normal, packedAttention } from './index.ts';

const noise = (shape: readonly number[], stream: number) =>
  numericArray(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => Math.fround(normal(11, stream, index))),
  );

/** Attention with named sizes, as generation compiles it. */
function named(heads: number, keyValueHeads: number, headDim: number) {
  const query = input('query', 'float32', ['rows', 'tokens', heads * headDim]);
  const key = input('key', 'float32', ['rows', 'tokens', keyValueHeads * headDim]);
  const value = input('value', 'float32', ['rows', 'tokens', keyValueHeads * headDim]);
  const pastKey = input('past_key', 'float32', ['rows', keyValueHeads, 'past', headDim]);
  const pastValue = input('past_value', 'float32', ['rows', keyValueHeads, 'past', headDim]);
  const attributes = { heads, keyValueHeads, scale: headDim ** -0.5 };
  const { output, cache } = groupedQueryAttention(query, key, value, { key: pastKey, value: pastValue }, attributes);
  return {
    inputs: [query, key, value, pastKey, pastValue],
    outputs: { output, key_next: cache.key, value_next: cache.value },
  };
}

describe('groupedQueryAttention with named sizes', () => {
  it.each([
    [1, 4, 2, 8],
    [2, 4, 1, 16],
    [2, 6, 6, 8],
    [2, 4, 2, 6],
    [3, 3, 1, 20],
  ])('%i rows, heads %i/%i of %i: a prompt, then one token at a time', async (rows, heads, keyValueHeads, headDim) => {
    const { inputs, outputs } = named(heads, keyValueHeads, headDim);
    let past: [NumericArray, NumericArray] = [
      noise([rows, keyValueHeads, 0, headDim], 0),
      noise([rows, keyValueHeads, 0, headDim], 0),
    ];
    let seen = 0;
    for (const tokens of [4, 1, 1, 1]) {
      const feeds = {
        query: noise([rows, tokens, heads * headDim], seen * 3),
        key: noise([rows, tokens, keyValueHeads * headDim], seen * 3 + 1),
        value: noise([rows, tokens, keyValueHeads * headDim], seen * 3 + 2),
        past_key: past[0],
        past_value: past[1],
      };
      const { results } = await checkProgram(inputs, outputs, feeds);
      past = [results.key_next!, results.value_next!];
      seen += tokens;
      expect(past[0].shape).toEqual([rows, keyValueHeads, seen, headDim]);
    }
  });

  it('goes on with several tokens in one row; several rows are refused while running', async () => {
    const { inputs, outputs } = named(2, 1, 8);
    const feeds = (rows: number) => ({
      query: noise([rows, 3, 16], 1),
      key: noise([rows, 3, 8], 2),
      value: noise([rows, 3, 8], 3),
      past_key: noise([rows, 1, 2, 8], 4),
      past_value: noise([rows, 1, 2, 8], 5),
    });
    await checkProgram(inputs, outputs, feeds(1));
    const program = compile({ name: 'p', inputs, outputs });
    await expect(runProgram(program, feeds(2))).rejects.toThrow('batch_size must be 1 when sequence_length > 1');
  });

  it('is one kernel where nothing stands in its way', () => {
    const { inputs, outputs } = named(4, 2, 16);
    const graph = graphOf(compile({ name: 'p', inputs, outputs }));
    expect(countOperators(graph, 'GroupQueryAttention')).toBe(1);
    expect(countOperators(graph, 'Pad') + countOperators(graph, 'Transpose')).toBe(0);
  });
});

describe('packedAttention', () => {
  it('refuses, while compiling, several rows that go on with several tokens', () => {
    const build = (rows: number, tokens: number, past: number) => () => {
      const packed = input('packed', 'float32', [rows, tokens, 64]);
      const table = input('table', 'float32', [8, 8]);
      const cache = input('cache', 'float32', [rows, 1, past, 16]);
      const attributes = { heads: 2, keyValueHeads: 1, scale: 1 };
      const { output } = packedAttention(packed, table, table, { key: cache, value: cache }, attributes);
      return compile({ name: 'p', inputs: [packed, table, cache], outputs: { output } });
    };
    expect(build(2, 3, 4)).toThrow('packedAttention: 2 rows cannot go on with 3 tokens each: give one at a time');
    for (const [rows, tokens, past] of [
      [1, 3, 4],
      [2, 1, 4],
      [2, 3, 0],
    ] as const) {
      expect(build(rows, tokens, past)).not.toThrow();
    }
  });
});
