/**
 * A random order that needs no memory: where the card at a position of a shuffled deck came from, asked one at a time.
 *
 * A Feistel network over the next even number of bits, walked again while it lands outside (cycle walking): Black &
 * Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002. The round function is the project's Philox generator.
 */
import { philox4x32 } from '../../tensor/random.ts';

const rounds = 6;
/** Below 256 places a network of so few bits makes visibly fewer orders; walking costs nothing there. */
const smallestHalf = 4;
/** Keeps these words apart from `uniform`, whose third and fourth word are a stream below 2^53. */
const domain = 0xfe157e10;

/**
 * The index in 0..count−1 that stands at `position` of the order of (seed, epoch). Over all positions each index comes
 * exactly once.
 * @param count 1..2^48; @param position 0..count−1; @param seed 0..2^53−1; @param epoch 0..2^32−1
 */
export function permutedIndex(count: number, position: number, seed: number, epoch: number): number {
  let half = smallestHalf;
  while (2 ** (2 * half) < count) half++;
  const size = 2 ** half;
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  let value = position;
  do {
    let [left, right] = [Math.floor(value / size), value % size];
    for (let round = 0; round < rounds; round++) {
      const mixed = philox4x32([right, round, epoch, domain], key)[0] % size;
      [left, right] = [right, (left ^ mixed) >>> 0];
    }
    value = left * size + right;
  } while (value >= count);
  return value;
}
