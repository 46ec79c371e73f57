import { expect, it } from 'vitest';
import { IndexedStream } from '../indexed-stream.ts';
import type { Cursor } from '../stream.ts';
import { openAlternating } from './alternating.ts';

const open = (cursor?: Cursor) =>
  openAlternating<string>(
    [
      { name: 'a', count: 2, open: async (at) => new IndexedStream((index) => `a${index}`, at) },
      { name: 'b', count: 1, open: async (at) => new IndexedStream((index) => `b${index}`, at) },
    ],
    cursor,
  );

it('gives whole batches, part after part, and goes on from a cursor', async () => {
  await using stream = await open();
  expect(await stream.next(6)).toEqual(['a0', 'a1', 'b0', 'a2', 'a3', 'b1']);
  await using again = await open(JSON.parse(JSON.stringify(stream.cursor())) as Cursor);
  expect(await again.next(3)).toEqual(['a4', 'a5', 'b2']);
  await expect(stream.next(4)).rejects.toThrow(/whole batches of 3/);
});
