/** The learning rate as a pure function of the step, so that a resumed run needs no state for it. */
export const schedules = ['cosine', 'linear', 'constant'] as const;

export type ScheduleShape = (typeof schedules)[number];

export interface ScheduleSettings {
  /** The highest rate, above 0. */
  readonly learningRate: number;
  /** Steps of the whole training, at least 1. */
  readonly steps: number;
  /** Steps of the linear rise, at least 0. */
  readonly warmupSteps: number;
  /** How it falls after the rise: half a cosine, a straight line, or not at all. */
  readonly schedule: ScheduleShape;
  /** What is left of the rate at the end, as a part of it in [0, 1]; without meaning for `constant`. */
  readonly finalRate: number;
}

/**
 * The rate of a step; the first step is 0.
 *
 * Warm-up: η(s + 1)/warmup, so that no step has rate 0 and the last of the rise has the full rate. Then, with p going from
 * 0 to 1 over the other steps: η(f + (1 − f)(1 + cos πp)/2), η(f + (1 − f)(1 − p)), or η. Past the end p stays 1.
 */
export function learningRateAt(step: number, settings: ScheduleSettings): number {
  const { learningRate, steps, warmupSteps, schedule, finalRate } = settings;
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  if (schedule === 'constant') return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  const left = schedule === 'cosine' ? (1 + Math.cos(Math.PI * progress)) / 2 : 1 - progress;
  return learningRate * (finalRate + (1 - finalRate) * left);
}
