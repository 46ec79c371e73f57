/**
 * How sure a score is: percentile bootstrap (Efron 1979). Units are drawn anew within their stratum, so that a mean of tag
 * means keeps its tags; the units are prompts, not images, because images of one prompt are not independent.
 */
import { uniform } from '../tensor/random.ts';
import { EvaluationError } from './error.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
  /** Share of the resampled scores between them: 0.95. */
  readonly level: number;
}

/** A score and how sure it is. */
export interface Estimate extends Interval {
  readonly value: number;
  /** Units drawn anew. */
  readonly units: number;
}

export interface BootstrapOptions {
  /** Seed of the draws, a whole number from 0. Default 0. */
  readonly seed?: number;
  /** Default 1000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly level?: number;
}

/** Streams of this folder's chance; those of the makers of data begin at 101. */
export const evaluationStreams = { bootstrap: 201, prompts: 202, noise: 203, plants: 204, scenes: 205, suites: 206 };

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The interval of a statistic over strata of units.
 * @param strata at least one unit in each
 * @throws EvaluationError `evaluation_empty`
 */
export function bootstrapStrata<T>(
  strata: readonly (readonly T[])[],
  statistic: (strata: readonly (readonly T[])[]) => number,
  { seed = 0, resamples = 1000, level = 0.95 }: BootstrapOptions = {},
): Estimate {
  const units = strata.reduce((sum, stratum) => sum + stratum.length, 0);
  if (strata.length === 0 || strata.some((stratum) => stratum.length === 0)) {
    throw new EvaluationError('evaluation_empty', 'bootstrap: expected at least one unit in each stratum, got none');
  }
  let drawn = 0;
  const scores = Float64Array.from({ length: resamples }, () =>
    statistic(
      strata.map((stratum) =>
        stratum.map(() => stratum[Math.floor(uniform(seed, evaluationStreams.bootstrap, drawn++) * stratum.length)]!),
      ),
    ),
  ).sort();
  const tail = (1 - level) / 2;
  return { value: statistic(strata), low: quantile(scores, tail), high: quantile(scores, 1 - tail), level, units };
}

/** The interval of a mean of numbers. */
export function bootstrapMean(values: readonly number[], options: BootstrapOptions = {}): Estimate {
  return bootstrapStrata([values], ([stratum]) => mean(stratum!), options);
}

/** Between the two nearest of the sorted numbers, as numpy's default. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const [low, high] = [sorted[below]!, sorted[Math.min(below + 1, sorted.length - 1)]!];
  return low + (high - low) * (place - below);
}
