import { expect, it } from 'vitest';
import { IndexedStream } from './indexed-stream.ts';
import { MappedStream } from './mapped-stream.ts';
import type { Cursor } from './stream.ts';

const open = (cursor?: Cursor) =>
  MappedStream.open(
    async (at) => new IndexedStream((index) => index * 10, at),
    (sample, index) => (index % 3 === 1 ? { skip: { source: `${index}`, reason: 'every third' } } : { sample, index }),
    cursor,
  );

it('gives what it makes of samples, and names what it skips', async () => {
  const stream = await open();
  expect(await stream.next(3)).toEqual([0, 2, 3].map((index) => ({ sample: index * 10, index })));
  expect(stream.skippedCount).toBe(1);
  expect(stream.skipped).toEqual([{ source: '1', reason: 'every third' }]);
});

it('goes on from a cursor with the same samples and numbers', async () => {
  const stream = await open();
  await stream.next(4);
  const again = await open(JSON.parse(JSON.stringify(stream.cursor())));
  expect(await again.next(5)).toEqual(await stream.next(5));
});

it('fails where nothing can be used, in place of reading for ever', async () => {
  const stream = await MappedStream.open(
    async (at) => new IndexedStream((index) => index, at),
    (_, index) => ({ skip: { source: `line ${index}`, reason: 'too long' } }),
  );
  await expect(stream.next(1)).rejects.toThrow(/none of 10000 samples in a row .* line 10000: too long/);
});
