/**
 * Chance that can be repeated: a counter-based generator, Philox 4x32 with 10 rounds. A number depends on (seed, stream,
 * counter) alone, so the same seed gives the same picture whatever the batch, the chunks or the device.
 * Source: Salmon, Moraes, Dror & Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
 */
import { TensorError } from './error.ts';

/** Four unsigned 32-bit words. */
export type Words = readonly [number, number, number, number];

/** The paper's multipliers (M) and the steps of its key schedule (Weyl constants W). */
const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const keyStep0 = 0x9e3779b9;
const keyStep1 = 0xbb67ae85;

/** High word of the product of two 32-bit words; every sum stays below 2^32, so that engines compute in whole numbers. */
function multiplyHigh(a: number, b: number): number {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const first = (Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bLow) >>> 16);
  const second = (Math.imul(aLow, bHigh) >>> 0) + (first & 0xffff);
  return (Math.imul(aHigh, bHigh) + (first >>> 16) + (second >>> 16)) | 0;
}

/** Philox 4x32-10: four random words from a 128-bit counter and a 64-bit key, both as unsigned 32-bit words, lowest first. */
export function philox4x32(counter: Words, key: readonly [number, number]): Words {
  // Signed in between, which costs nothing: words are only multiplied, added and combined by bits.
  let [c0, c1, c2, c3] = [counter[0] | 0, counter[1] | 0, counter[2] | 0, counter[3] | 0];
  let [k0, k1] = [key[0] | 0, key[1] | 0];
  for (let round = 0; round < 10; round++) {
    const [low0, low1] = [Math.imul(multiplier0, c0), Math.imul(multiplier1, c2)];
    const [high0, high1] = [multiplyHigh(multiplier0, c0), multiplyHigh(multiplier1, c2)];
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + keyStep0) | 0;
    k1 = (k1 + keyStep1) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
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
  return boxMuller(draw(seed, stream, counter));
}

/** Fills with what `normal` gives for the counters from 0 on. */
export function fillNormal(values: Float32Array, seed: number, stream: number): void {
  const [key, [low, high]] = [words('seed', seed), words('stream', stream)];
  for (let counter = 0; counter < values.length; counter++) {
    values[counter] = boxMuller(philox4x32([counter, 0, low, high], key));
  }
}

function boxMuller([, , radius, angle]: Words): number {
  // 1 − u lies in (0, 1]: its logarithm is finite.
  return Math.sqrt(-2 * Math.log(1 - fraction(radius))) * Math.cos(2 * Math.PI * fraction(angle));
}
