import { describe, expect, it } from 'vitest';
import { DataError } from '../error.ts';
import { type Order, orderOf, passedOver } from './order.ts';
import { readAhead } from './read-ahead.ts';

/** Numbers as samples; `load` may fail or wait. */
function numbers(count: number, load: (index: number) => number | typeof passedOver | Promise<number>): Order<number> {
  const index = {
    count,
    fingerprint: 'numbers',
    source: (at: number) => `number ${at}`,
    load: async (at: number) => load(at),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return orderOf(index, { seed: 1, shuffle: false }, undefined);
}

describe('readAhead', () => {
  it('keeps the order however long each takes, and reads no more than it may', async () => {
    let [working, most] = [0, 0];
    const load = async (index: number) => {
      most = Math.max(most, ++working);
      await new Promise((resolve) => setTimeout(resolve, (index * 7) % 5));
      working--;
      return index;
    };
    await using stream = readAhead(numbers(20, load), 6);
    const taken = await Promise.all([stream.next(5), stream.next(0), stream.next(15)]);
    expect(taken.flat()).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(most).toBe(6);
  });

  it('has its cursor behind what was given, not behind what was read', async () => {
    await using stream = readAhead(
      numbers(10, (index) => index),
      8,
    );
    expect(stream.cursor()).toMatchObject({ epoch: 0, position: 0 });
    await stream.next(3);
    expect(stream.cursor()).toMatchObject({ epoch: 0, position: 3 });
    await stream.next(7);
    expect(stream.cursor()).toMatchObject({ epoch: 1, position: 0 });
  });

  it('keeps the names of the last hundred skipped and counts all', async () => {
    const load = (index: number) => {
      if (index !== 0) throw new DataError('data_invalid', `bad ${index}`);
      return index;
    };
    await using stream = readAhead(numbers(151, load), 4);
    await stream.next(2);
    expect(stream.skippedCount).toBe(150);
    expect(stream.skipped.length).toBe(100);
    expect(stream.skipped.at(-1)).toEqual({ source: 'number 150', reason: 'bad 150' });
  });

  it('passes over what is not asked for, without counting it', async () => {
    await using stream = readAhead(
      numbers(6, (index) => (index % 2 === 0 ? passedOver : index)),
      3,
    );
    expect(await stream.next(4)).toEqual([1, 3, 5, 1]);
    expect(stream.skippedCount).toBe(0);
  });

  it('ends after an epoch where it is to', async () => {
    const loaded: number[] = [];
    await using stream = readAhead(
      numbers(5, (index) => {
        loaded.push(index);
        return index;
      }),
      3,
      1,
    );
    expect(await stream.next(4)).toEqual([0, 1, 2, 3]);
    expect(await stream.next(4)).toEqual([4]);
    expect(await stream.next(4)).toEqual([]);
    expect(loaded).toEqual([0, 1, 2, 3, 4]);
    expect(stream.cursor()).toMatchObject({ epoch: 1, position: 0 });
  });

  it('passes on faults of the program, and stays failed', async () => {
    const load = (index: number) => {
      if (index === 2) throw new TypeError('a fault');
      return index;
    };
    await using stream = readAhead(numbers(5, load), 4);
    expect(await stream.next(2)).toEqual([0, 1]);
    const before = stream.cursor();
    await expect(stream.next(1)).rejects.toThrow(TypeError);
    await expect(stream.next(1)).rejects.toThrow(TypeError);
    expect(stream.cursor()).toEqual(before);
  });

  it('refuses counts that are none', async () => {
    await using stream = readAhead(
      numbers(5, (index) => index),
      1,
    );
    for (const count of [-1, 0.5, Number.NaN]) expect(() => stream.next(count)).toThrow(/whole number/);
  });

  it('closes while it reads', async () => {
    const stream = readAhead(
      numbers(5, async (index) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return index;
      }),
      2,
    );
    const pending = stream.next(100);
    const failed = expect(pending).rejects.toMatchObject({ code: 'data_unreadable' });
    await stream[Symbol.asyncDispose]();
    await failed;
  });
});
