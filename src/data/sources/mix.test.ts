import { describe, expect, it } from 'vitest';
import { DataError } from '../error.ts';
import type { Cursor, SampleStream } from '../stream.ts';
import { type MixPart, openMix } from './mix.ts';
import { orderOf } from './order.ts';
import { readAhead } from './read-ahead.ts';

/** Samples `name:epoch:number`; those whose number is in `broken` are skipped. */
function part(name: string, weight: number, count: number, broken: readonly number[] = []): MixPart<string> {
  const open = async (cursor: Cursor | undefined): Promise<SampleStream<string>> => {
    const index = {
      count,
      fingerprint: name,
      source: (at: number) => `${name}:${at}`,
      load: async (at: number, { epoch }: { epoch: number }) => {
        if (broken.includes(at)) throw new DataError('data_invalid', 'broken');
        return `${name}:${epoch}:${at}`;
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
    return readAhead(orderOf(index, { seed: 4, shuffle: true }, cursor), 3);
  };
  return { name, weight, open };
}
const parts = () => [part('world', 3, 40), part('photos', 1, 11, [2, 5])];

describe('openMix', () => {
  it('keeps the proportions', async () => {
    await using stream = await openMix(parts(), { seed: 1 });
    const samples = await stream.next(4000);
    const share = samples.filter((sample) => sample.startsWith('world')).length / 4000;
    // Five standard deviations of a binomial share.
    expect(Math.abs(share - 0.75)).toBeLessThan(0.035);
  });

  it('gives the same whatever is taken at once, and goes on from every place', async () => {
    await using all = await openMix(parts(), { seed: 1 });
    const whole = await all.next(67);
    await using stream = await openMix(parts(), { seed: 1 });
    for (let given = 0; given < 60; given += 5) {
      const cursor = JSON.parse(JSON.stringify(stream.cursor())) as Cursor;
      await using resumed = await openMix(parts(), { seed: 1 }, cursor);
      expect(await resumed.next(7)).toEqual(whole.slice(given, given + 7));
      expect(await stream.next(5)).toEqual(whole.slice(given, given + 5));
    }
  });

  it('tells what its parts skipped', async () => {
    await using stream = await openMix(parts(), { seed: 1 });
    await stream.next(100);
    expect(stream.skippedCount).toBeGreaterThanOrEqual(4);
    expect(stream.skipped.length).toBe(stream.skippedCount);
    expect(new Set(stream.skipped.map(({ source }) => source))).toEqual(new Set(['photos:2', 'photos:5']));
  });

  it('refuses other parts, weights and seeds, and options that are none', async () => {
    await using stream = await openMix(parts(), { seed: 1 });
    const cursor = stream.cursor();
    const others = [[part('world', 3, 40)], [part('world', 2, 40), part('photos', 1, 11)]];
    for (const other of others) {
      await expect(openMix(other, { seed: 1 }, cursor)).rejects.toMatchObject({ code: 'data_invalid' });
    }
    await expect(openMix(parts(), { seed: 2 }, cursor)).rejects.toMatchObject({ code: 'data_invalid' });
    for (const wrong of [[], [part('a', 0, 1)], [part('a', Number.NaN, 1)], [part('a', 1, 1), part('a', 1, 1)]]) {
      await expect(openMix(wrong, { seed: 1 })).rejects.toMatchObject({ code: 'data_option_invalid' });
    }
    await expect(openMix(parts(), { seed: -1 })).rejects.toMatchObject({ code: 'data_option_invalid' });
  });

  it('ends when a part ends', async () => {
    await using stream = await openMix([part('a', 1, 3), part('b', 1, 2, [0, 1])], { seed: 1 });
    await expect(stream.next(50)).rejects.toMatchObject({ code: 'data_exhausted' });
    await expect(stream.next(1)).rejects.toMatchObject({ code: 'data_exhausted' });
  });
});
