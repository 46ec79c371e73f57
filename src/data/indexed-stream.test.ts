import { expect, it } from 'vitest';
import { IndexedStream } from './indexed-stream.ts';

it('gives samples in order, and goes on from a cursor', async () => {
  const stream = new IndexedStream((index) => index ** 2);
  expect(await stream.next(3)).toEqual([0, 1, 4]);
  const cursor = JSON.parse(JSON.stringify(stream.cursor()));
  const again = new IndexedStream((index) => index ** 2, cursor);
  expect(await again.next(2)).toEqual(await stream.next(2));
});

it('refuses the cursor of another stream', () => {
  expect(() => new IndexedStream((index) => index, { epoch: 1 })).toThrow(/cursor \{"epoch":1\}: expected/);
});
