/**
 * Chance that can be repeated: a counter-based generator, Philox 4x32 with 10 rounds. A number depends on (seed, stream,
 * counter) alone, so the same seed gives the same picture whatever the batch, the chunks or the device.
 * Source: Salmon, Moraes, Dror & Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
 */
import { TensorError } from './error.ts';

/** Four unsigned 32-bit words. */
export type Words = readonly [number, number, number, number];

/** The paper's multipliers (M) and the steps of its key schedule (Weyl constants W). */
const [multiplier0, multiplier1] = [0xd2511f53, 0xcd9e8d57];
const [keyStep0, keyStep1] = [0x9e3779b9, 0xbb67ae85];

/** High and low word of a 32-bit by 32-bit product; every step stays below 2^53. */
function multiplyWords(a: number, b: number): [high: number, low: number] {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const first = aHigh * bLow + Math.floor((aLow * bLow) / 0x10000);
  const second = aLow * bHigh + (first % 0x10000);
  const high = aHigh * bHigh + Math.floor(first / 0x10000) + Math.floor(second / 0x10000);
  return [high, Math.imul(a, b) >>> 0];
}

/** Philox 4x32-10: four random words from a 128-bit counter and a 64-bit key, both as unsigned 32-bit words, lowest first. */
export function philox4x32(counter: Words, key: readonly [number, number]): Words {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiplyWords(multiplier0, c0);
    const [high1, low1] = multiplyWords(multiplier1, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + keyStep0) >>> 0;
    k1 = (k1 + keyStep1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** A whole number in 0..2^53−1 as two words, lowest first. */
function words(what: string, value: number): [number, number] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new TensorError('random', `${what} must be a whole number in 0..${Number.MAX_SAFE_INTEGER}, got ${value}`);
  }
  return [value >>> 0, Math.floor(value / 2 ** 32)];
}

function draw(seed: number, stream: number, counter: number): Words {
  return philox4x32([...words('counter', counter), ...words('stream', stream)], words('seed', seed));
}

/** The upper 24 bits of a word as a fraction in [0, 1). */
function fraction(word: number): number {
  return (word >>> 8) / 2 ** 24;
}

/**
 * A number in [0, 1), uniform, a multiple of 2^−24 and so exact in float32. `stream` tells images of one seed apart,
 * `counter` the draws of one image; all three are whole numbers in 0..2^53−1.
 */
export function uniform(seed: number, stream: number, counter: number): number {
  return fraction(draw(seed, stream, counter)[0]);
}

/** A number from the standard normal distribution, by Box and Muller 1958; independent of `uniform` of the same place. */
export function normal(seed: number, stream: number, counter: number): number {
  const [, , radius, angle] = draw(seed, stream, counter);
  // 1 − u lies in (0, 1]: its logarithm is finite.
  return Math.sqrt(-2 * Math.log(1 - fraction(radius))) * Math.cos(2 * Math.PI * fraction(angle));
}
