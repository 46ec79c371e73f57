import { expect, it } from 'vitest';
import { TurnQueue } from './turn-queue.ts';

const never = new AbortController().signal;
const gate = () => {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
};

it('runs one job at a time in order, and tells those that wait when their place changes', async () => {
  const queue = new TurnQueue(4, () => new Error('full'));
  const gates = [gate(), gate(), gate(), gate()];
  const begun: number[] = [];
  const places: number[][] = [[], [], [], []];
  const leaving = new AbortController();
  const runs = gates.map(({ opened }, index) =>
    queue.run(
      index === 1 ? leaving.signal : never,
      async () => {
        begun.push(index);
        await opened;
        return index;
      },
      (place) => places[index]!.push(place),
    ),
  );
  const left = expect(runs[1]).rejects.toThrow('gone');
  await expect(queue.run(never, async () => 0)).rejects.toThrow('full');
  expect([begun, places]).toEqual([[0], [[], [1], [2], [3]]]);

  leaving.abort(new Error('gone'));
  await left;
  expect(places).toEqual([[], [1], [2, 1], [3, 2]]);
  gates[0]!.open();
  expect(await runs[0]).toBe(0);
  for (const index of [2, 3]) {
    gates[index]!.open();
    expect(await runs[index]).toBe(index);
  }
  expect(begun).toEqual([0, 2, 3]);
  expect(places[3]).toEqual([3, 2, 1]);
  expect([queue.running, queue.depth]).toEqual([0, 0]);
});
