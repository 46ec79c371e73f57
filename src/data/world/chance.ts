/**
 * Choices that can be repeated: what is drawn depends on (seed, stream) and on the number of draws before, never on
 * anything outside. Each maker of samples takes a stream of its own, so that a caption and a question of one seed are
 * independent.
 */
import { uniform } from '../../tensor/random.ts';
import { DataError } from '../error.ts';

/** Streams of the makers; a new one gets a new number, or old seeds would no longer give the same samples. */
export const streams = { caption: 101, question: 102, edit: 103, textTask: 104, layout: 105 } as const;

export interface Chance {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in 0..count−1. */
  below(count: number): number;
  /** True with the given probability. */
  happens(probability: number): boolean;
  /** One of the list. Throws `DataError` (`data_exhausted`) when it is empty. */
  pick<T>(list: readonly T[]): T;
  /** One of the list, each as likely as its weight says; weights are at least 0, one is above. */
  pickWeighted<T>(list: readonly T[], weight: (item: T) => number): T;
  /** All of the list in a random order. */
  shuffle<T>(list: readonly T[]): T[];
}

/** The draws of one sample; `seed` and `stream` are whole numbers in 0..2^53−1. */
export function chanceOf(seed: number, stream: number): Chance {
  let drawn = 0;
  const next = () => uniform(seed, stream, drawn++);
  const below = (count: number) => Math.floor(next() * count);
  return {
    next,
    below,
    happens: (probability) => next() < probability,
    pick: (list) => {
      if (list.length === 0) throw new DataError('data_exhausted', 'nothing is left to choose from');
      return list[below(list.length)]!;
    },
    pickWeighted: (list, weight) => {
      let left = next() * list.reduce((sum, item) => sum + weight(item), 0);
      for (const item of list) {
        left -= weight(item);
        if (left < 0) return item;
      }
      return list.findLast((item) => weight(item) > 0)!;
    },
    shuffle: (list) => {
      // Fisher and Yates.
      const order = [...list];
      for (let i = order.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order;
    },
  };
}
