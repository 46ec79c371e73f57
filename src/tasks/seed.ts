import { TaskError } from './error.ts';

/** The caller's seed, or one drawn at random; the last image's seed must still be a whole number. */
export function chooseSeed(seed: number | undefined, count: number): number {
  if (seed === undefined) return crypto.getRandomValues(new Uint32Array(1))[0]!;
  if (!Number.isSafeInteger(seed + count - 1)) {
    throw new TaskError('option_invalid', `option seed: ${seed} leaves no room for ${count} images`, {
      option: 'seed',
    });
  }
  return seed;
}
