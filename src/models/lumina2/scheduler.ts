/**
 * The noise levels of a denoising and its Euler step (diffusers' `FlowMatchEulerDiscreteScheduler`, as the published
 * pipeline calls it; Esser et al. 2024). A noise level σ runs from 1, noise alone, to 0, the picture:
 * `x_σ = σ · noise + (1 − σ) · x0`.
 */
import { add, multiply, subtract, type Tensor } from '../../tensor/index.ts';
import type { DynamicShift, SchedulerConfig } from './scheduler-config.ts';

/** What a denoising is fed, the results of float32 arithmetic in the published order. */
export interface NoiseSchedule {
  /** Noise level before each step and, last, the terminal 0: `[steps + 1]`, falling. */
  readonly sigmas: Float32Array;
  /** `σ · trainTimesteps` before each step: `[steps]`. */
  readonly timesteps: Float32Array;
  /**
   * The time that the transformer is given before each step, about 1 − σ: `1 − timestep / trainTimesteps`, `[steps]`.
   */
  readonly times: Float32Array;
}

/**
 * The schedule of `steps` steps: as many noise levels at equal distances from 1 to 1 / steps, shifted, and 0.
 * @param steps a whole number from 1 on.
 * @param imageTokens of the picture alone, needed where the shift is dynamic. The published pipeline takes the latents'
 *   number of channels for it, a slip that shows nowhere as long as the shift is fixed.
 * @throws RangeError for numbers that give no schedule.
 */
export function noiseSchedule(config: SchedulerConfig, steps: number, imageTokens?: number): NoiseSchedule {
  if (!(Number.isSafeInteger(steps) && steps >= 1)) throw new RangeError(`steps: expected 1, 2, …, got ${steps}`);
  const shifted = equalLevels(steps).map(shiftBy(config, imageTokens));
  const levels = config.terminal === undefined ? shifted : stretch(shifted, config.terminal);
  const timesteps = levels.map((sigma) => sigma * config.trainTimesteps);
  return {
    sigmas: Float32Array.of(...levels, 0),
    timesteps,
    times: timesteps.map((timestep) => 1 - f32(timestep / config.trainTimesteps)),
  };
}

const f32 = Math.fround;

/** NumPy's `linspace(1, 1 / steps, steps)`. */
function equalLevels(steps: number): Float32Array {
  const distance = (1 / steps - 1) / (steps - 1);
  // The end is set, not reached by adding up.
  return Float32Array.from({ length: steps }, (_, at) =>
    at === 0 ? 1 : at === steps - 1 ? 1 / steps : 1 + at * distance,
  );
}

function shiftBy({ shift }: SchedulerConfig, imageTokens: number | undefined): (sigma: number) => number {
  if (typeof shift === 'number') {
    // s · σ / (1 + (s − 1) · σ)
    return (sigma) => f32(f32(shift) * sigma) / f32(1 + f32(f32(shift - 1) * sigma));
  }
  if (!(imageTokens !== undefined && imageTokens >= 1)) {
    throw new RangeError(`imageTokens: a dynamic shift needs the number of image tokens, got ${imageTokens}`);
  }
  const mu = dynamicShift(shift, imageTokens);
  const factor = shift.kind === 'exponential' ? Math.exp(mu) : mu;
  if (!(factor > 0)) throw new RangeError(`imageTokens: a linear shift of ${mu} at ${imageTokens} tokens, not above 0`);
  // s / (s + 1 / σ − 1), the same function of σ
  return (sigma) => f32(factor) / f32(f32(factor) + f32(f32(1 / sigma) - 1));
}

/** The parameter µ of a dynamic shift: `calculate_shift` of the published pipeline. */
export function dynamicShift({ base, max, baseTokens, maxTokens }: DynamicShift, imageTokens: number): number {
  const slope = (max - base) / (maxTokens - baseTokens);
  return imageTokens * slope + (base - slope * baseTokens);
}

/** Levels moved away from 1 so that the last one is `terminal`. */
function stretch(levels: Float32Array, terminal: number): Float32Array {
  const scale = f32(f32(1 - levels.at(-1)!) / f32(1 - terminal));
  if (!(scale > 0)) throw new RangeError(`steps: a schedule with a terminal level needs 2 steps, got ${levels.length}`);
  return levels.map((sigma) => 1 - f32(f32(1 - sigma) / scale));
}

/**
 * One step from noise level `sigma` down to `next`, both float32 scalars: `latents + (σ − σ_next) · output`.
 *
 * `output`, of the latents' shape, is the transformer's, after guidance: it estimates `x0 − noise`, whereas the
 * scheduler of diffusers takes `dx/dσ = noise − x0`; the published pipeline negates it on the way.
 */
export function eulerStep(latents: Tensor, output: Tensor, sigma: Tensor, next: Tensor): Tensor {
  return add(latents, multiply(subtract(sigma, next), output));
}
