/**
 * What chance decides of a sample of the alignment stage: how noisy it is, what it is told, and its Gaussian numbers. All of
 * it depends on the seed and the sample's number alone, so that a resumed training sees the same.
 */
import type { Float32TensorValue } from '../../checkpoint/source.ts';
import type { ToldPicture } from '../../models/lumina2/guidance.ts';
import { noiseSchedule } from '../../models/lumina2/scheduler.ts';
import type { SchedulerConfig } from '../../models/lumina2/scheduler-config.ts';
import { latentNoise } from '../../models/lumina2/vae-programs.ts';
import { normal, uniform } from '../../tensor/random.ts';
import type { Misreading } from './misread-codes.ts';

/**
 * How often each place in the schedule is drawn: all alike, or a normal number of this mean and deviation through the
 * logistic function (Esser et al. 2024, section 3.1; `compute_density_for_timestep_sampling` of diffusers).
 */
export type TimestepDensity =
  | { readonly kind: 'uniform' }
  | { readonly kind: 'logit-normal'; readonly mean: number; readonly deviation: number };

/** Probabilities of the published dropout. One number p a sample decides. */
export interface AlignmentDropout {
  /** u, at most 1/3: the caption is dropped where p < 2u, the source where u ≤ p < 3u. */
  readonly conditions: number;
  /** Codes are dropped where p is at most this. */
  readonly codes: number;
}

/** What a sample is told. */
export interface ToldConditions {
  readonly caption: boolean;
  readonly codes: boolean;
  readonly source: boolean;
}

const streams = { dropout: 341, timestep: 342, misreading: 343 } as const;

/** First streams of Gaussian numbers, one stream a sample: far above those of everything else, and of one another. */
const noiseStreams = { latents: 2 ** 40, source: 2 * 2 ** 40, noise: 3 * 2 ** 40 } as const;
/** As them, of the places' numbers. */
const placeStream = 4 * 2 ** 40;

/** @param edits whether the sample has a source: edits and drawings of one number are told apart. */
export function sampleNumber(index: number, edits: boolean): number {
  return 2 * index + (edits ? 1 : 0);
}

/**
 * The noise levels that training knows, `[trainTimesteps]`, falling from 1: the scheduler's as it is constructed, with its
 * fixed shift. A dynamic shift, and a last level to stretch to, belong to a denoising and are not in it.
 */
export function trainingSigmas({ trainTimesteps, shift }: SchedulerConfig): Float32Array {
  const fixed = { trainTimesteps, shift: typeof shift === 'number' ? shift : 1, terminal: undefined };
  return noiseSchedule(fixed, trainTimesteps).sigmas.subarray(0, trainTimesteps);
}

/** The noise level of a sample, one of `levels`. */
export function sampleSigma(levels: Float32Array, density: TimestepDensity, seed: number, number: number): number {
  const place =
    density.kind === 'uniform'
      ? uniform(seed, streams.timestep, number)
      : 1 / (1 + Math.exp(-density.mean - density.deviation * normal(seed, streams.timestep, number)));
  // The logistic function of a large number rounds to 1.
  return levels[Math.min(Math.floor(place * levels.length), levels.length - 1)]!;
}

/** What a sample of this picture is told after the published dropout: what it does not have it is never told. */
export function sampleConditions(
  { conditions, codes }: AlignmentDropout,
  picture: ToldPicture,
  seed: number,
  number: number,
): ToldConditions {
  const p = uniform(seed, streams.dropout, number);
  return {
    caption: p >= 2 * conditions,
    codes: picture.codes && !(codes > 0 && p <= codes),
    source: picture.source && !(p >= conditions && p < 3 * conditions),
  };
}

/** How a sample's codes are misread: each sample by a distance of its own, evenly drawn up to `most`. */
export function sampleMisreading(most: number, seed: number, number: number): Misreading {
  return {
    distance: most * (1 - uniform(seed, streams.misreading, number)),
    chance: (place) => uniform(seed, placeStream + number, place),
  };
}

/**
 * Gaussian numbers of a sample, of `shape`: its noise, or what is drawn of the autoencoder's Gaussian for its picture
 * (`latents`) or its source.
 */
export function sampleNoise(
  shape: readonly number[],
  seed: number,
  number: number,
  use: keyof typeof noiseStreams,
): Float32TensorValue {
  return latentNoise([1, ...shape.slice(1)], seed, noiseStreams[use] + number);
}
