/** The scheduler's configuration: `scheduler/scheduler_config.json` of class `FlowMatchEulerDiscreteScheduler`. */
import { z } from 'zod';
import { parseConfig, requireConfig } from '../config-error.ts';

/** Lumina-Image-2.0: a fixed shift of 6 and 1000 training timesteps. */
export interface SchedulerConfig {
  /** A timestep is σ times this. */
  readonly trainTimesteps: number;
  /**
   * How much more time is spent at high noise: a number, the same for all pictures, or a rule by the picture's size.
   */
  readonly shift: number | DynamicShift;
  /** The last σ above 0, to which the others are stretched; undefined leaves them. */
  readonly terminal: number | undefined;
}

/** Esser et al. 2024, section 5.3.2: a parameter µ that grows with the number of image tokens. */
export interface DynamicShift {
  /** `exponential` shifts by e^µ, `linear` by µ. */
  readonly kind: 'exponential' | 'linear';
  /** µ at `baseTokens` image tokens and at `maxTokens`; between and beyond it lies on the line through both. */
  readonly base: number;
  readonly max: number;
  readonly baseTokens: number;
  readonly maxTokens: number;
}

const flag = z.boolean().nullish();
const tokens = z
  .int()
  .min(1)
  .max(1 << 24);
const shift = z.number().min(-100).max(100);

const schema = z.object({
  _class_name: z.literal('FlowMatchEulerDiscreteScheduler').optional(),
  num_train_timesteps: z
    .int()
    .min(1)
    .max(1 << 20)
    .default(1000),
  shift: z.number().positive().max(1000).default(1),
  shift_terminal: z.number().min(0).lt(1).nullish(),
  use_dynamic_shifting: flag,
  time_shift_type: z.enum(['exponential', 'linear']).default('exponential'),
  base_shift: shift.default(0.5),
  max_shift: shift.default(1.15),
  base_image_seq_len: tokens.default(256),
  max_image_seq_len: tokens.default(4096),
  use_karras_sigmas: flag,
  use_exponential_sigmas: flag,
  use_beta_sigmas: flag,
  stochastic_sampling: flag,
  invert_sigmas: flag,
});

/** What no published model of this decoder asks for, and what it would be. */
const unsupported = {
  use_karras_sigmas: 'noise levels after Karras et al. 2022',
  use_exponential_sigmas: 'exponential noise levels',
  use_beta_sigmas: 'beta noise levels',
  stochastic_sampling: 'fresh noise in every step',
  invert_sigmas: 'noise levels that rise',
} as const;

/**
 * The normal form of a `scheduler_config.json`; absent keys take the defaults of diffusers.
 * @param value the parsed JSON.
 * @param file only for messages.
 * @throws ConfigError naming the key at fault; `config_unsupported` for a kind of schedule that is not here.
 */
export function parseSchedulerConfig(value: unknown, file: string): SchedulerConfig {
  const config = parseConfig(schema, value, file);
  for (const [key, what] of Object.entries(unsupported)) {
    requireConfig(!config[key as keyof typeof unsupported], file, {
      code: 'config_unsupported',
      path: key,
      expected: `false (${what}: not supported)`,
      got: 'true',
    });
  }
  const { base_image_seq_len: baseTokens, max_image_seq_len: maxTokens } = config;
  const dynamic = config.use_dynamic_shifting === true;
  requireConfig(!dynamic || baseTokens < maxTokens, file, {
    path: 'max_image_seq_len',
    expected: `more than base_image_seq_len, ${baseTokens}`,
    got: `${maxTokens}`,
  });
  const rule = { kind: config.time_shift_type, base: config.base_shift, max: config.max_shift, baseTokens, maxTokens };
  return {
    trainTimesteps: config.num_train_timesteps,
    shift: dynamic ? rule : config.shift,
    // Diffusers takes 0 for none.
    terminal: config.shift_terminal || undefined,
  };
}
