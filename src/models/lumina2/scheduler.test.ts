import { describe, expect, test } from 'vitest';
import { readReference, referencePath, referenceVariants } from '../../../test/reference-vectors.ts';
import { numericArray, scalarArray } from '../../../test/tensor/array.ts';
import { runProgram } from '../../../test/tensor/session.ts';
import { add, compile, dimension, gather, input, loop, subtract } from '../../tensor/index.ts';
import { ConfigError } from '../config-error.ts';
import { readJsonFile } from '../config-file.ts';
import { dynamicShift, eulerStep, noiseSchedule } from './scheduler.ts';
import { parseSchedulerConfig } from './scheduler-config.ts';

/** `scheduler/scheduler_config.json` of Lumina-Image-2.0, with all that diffusers adds when it saves one. */
const published = {
  _class_name: 'FlowMatchEulerDiscreteScheduler',
  base_image_seq_len: 256,
  base_shift: 0.5,
  invert_sigmas: false,
  max_image_seq_len: 4096,
  max_shift: 1.15,
  num_train_timesteps: 1000,
  shift: 6,
  shift_terminal: null,
  stochastic_sampling: false,
  time_shift_type: 'exponential',
  use_beta_sigmas: false,
  use_dynamic_shifting: false,
  use_exponential_sigmas: false,
  use_karras_sigmas: false,
};

const parse = (change: object = {}) => parseSchedulerConfig({ ...published, ...change }, 'scheduler_config.json');

test.each(referenceVariants)('the schedule of %s, bit for bit', async (variant) => {
  const file = referencePath(variant, 'checkpoints/lumina-image2-tiny/scheduler/scheduler_config.json');
  const config = parseSchedulerConfig(await readJsonFile(file), file);
  const { sigmas, timesteps } = readReference(variant, 'diffusion_generate');
  const schedule = noiseSchedule(config, timesteps!.data.length);
  expect(schedule.sigmas).toEqual(sigmas!.data);
  expect(schedule.timesteps).toEqual(timesteps!.data);
  expect(Array.from(schedule.times)).toEqual(
    Array.from(timesteps!.data, (t) => Math.fround(1 - Math.fround(t / 1000))),
  );
});

describe('noiseSchedule', () => {
  test.each([1, 2, 40, 50])('%i steps fall from 1 to the terminal 0', (steps) => {
    const { sigmas, timesteps, times } = noiseSchedule(parse(), steps);
    expect([sigmas.length, timesteps.length, times.length]).toEqual([steps + 1, steps, steps]);
    expect([sigmas[0], sigmas[steps], times[0]]).toEqual([1, 0, 0]);
    for (let step = 0; step < steps; step++) {
      expect(sigmas[step + 1]).toBeLessThan(sigmas[step]!);
      // 6σ / (1 + 5σ) of equal steps from 1 to 1 / steps.
      const equal = 1 - step / steps;
      expect(sigmas[step]).toBeCloseTo((6 * equal) / (1 + 5 * equal), 6);
      expect(times[step]).toBeCloseTo(1 - sigmas[step]!, 6);
    }
  });

  test('a shift of 1 leaves equal steps', () => {
    const { sigmas } = noiseSchedule(parse({ shift: 1 }), 5);
    for (const [step, sigma] of sigmas.entries()) expect(sigma).toBeCloseTo(1 - step / 5, 6);
  });

  // 32 x 32 tokens: µ = 0.5 + (1024 − 256) / (4096 − 256) · 0.65 = 0.63, and e^µ = 1.8776106.
  // Equal levels 1, 3/4, 1/2, 1/4 have 1 / σ − 1 = 0, 1/3, 1, 3, which s / (s + 1 / σ − 1) takes to:
  const exponential = [1, 1.8776106 / 2.2109439, 1.8776106 / 2.8776106, 1.8776106 / 4.8776106];
  const linear = [1, 0.63 / (0.63 + 1 / 3), 0.63 / 1.63, 0.63 / 3.63];

  test.each([
    ['exponential', exponential],
    ['linear', linear],
  ])('a dynamic shift, %s', (time_shift_type, expected) => {
    const config = parse({ use_dynamic_shifting: true, time_shift_type });
    const { sigmas, timesteps } = noiseSchedule(config, 4, 1024);
    for (const [step, sigma] of expected.entries()) {
      expect(sigmas[step]).toBeCloseTo(sigma, 6);
      expect(timesteps[step]).toBeCloseTo(1000 * sigma, 3);
    }
    expect(sigmas[4]).toBe(0);
  });

  test('µ at both ends of its rule and beyond', () => {
    const { shift } = parse({ use_dynamic_shifting: true });
    if (typeof shift === 'number') throw new Error('expected a rule');
    expect(dynamicShift(shift, 256)).toBeCloseTo(0.5, 12);
    expect(dynamicShift(shift, 4096)).toBeCloseTo(1.15, 12);
    expect(dynamicShift(shift, 7936)).toBeCloseTo(1.8, 12);
  });

  test('a terminal level: distances from 1 grow so that the last level is reached', () => {
    const { sigmas } = noiseSchedule(parse({ shift: 1, shift_terminal: 0.1 }), 4);
    // 1 − σ = 0, 1/4, 1/2, 3/4, all times 0.9 / 0.75 = 1.2.
    for (const [step, sigma] of [1, 0.7, 0.4, 0.1, 0].entries()) expect(sigmas[step]).toBeCloseTo(sigma, 6);
  });

  test.each<[string, object, number, number | undefined, RegExp]>([
    ['no steps', {}, 0, undefined, /^steps: expected 1, 2, …, got 0/],
    ['half a step', {}, 1.5, undefined, /^steps: .*got 1\.5/],
    ['a dynamic shift of unknown size', { use_dynamic_shifting: true }, 4, undefined, /^imageTokens: .*got undefined/],
    [
      'a linear shift that is none',
      { use_dynamic_shifting: true, time_shift_type: 'linear', base_shift: -1 },
      4,
      1,
      /^imageTokens: a linear shift of -1\.\d+ at 1 tokens/,
    ],
    ['one level that is 1 and terminal', { shift_terminal: 0.1 }, 1, undefined, /^steps: .*needs 2 steps, got 1/],
  ])('refuses %s', (_, change, steps, tokens, message) => {
    expect(() => noiseSchedule(parse(change), steps, tokens)).toThrow(message);
  });
});

describe('eulerStep', () => {
  test('inside a loop: an output of x0 − noise leads along the line from noise to picture', async () => {
    const noise = input('noise', 'float32', [3]);
    const picture = input('picture', 'float32', [3]);
    const sigmas = input('sigmas', 'float32', ['levels']);
    const turns = add(dimension('levels'), -1);
    const { states, stacked } = loop(
      { turns, states: [{ name: 'latents', initial: noise }], stackedSize: 'steps' },
      (turn, latents) => {
        const next = eulerStep(latents!, subtract(picture, noise), gather(sigmas, turn), gather(sigmas, add(turn, 1)));
        return { states: [next], stacked: [next] };
      },
    );
    const outputs = { end: states[0]!, steps: stacked[0]! };
    const program = compile({ name: 'steps', inputs: [noise, picture, sigmas], outputs });
    const [start, target] = [
      [1, -2, 0.5],
      [-0.25, 1, 3],
    ] as const;
    const levels = noiseSchedule(parse(), 4).sigmas;
    const { end, steps } = await runProgram(program, {
      noise: numericArray([3], start),
      picture: numericArray([3], target),
      sigmas: numericArray([5], levels),
    });
    for (const place of [0, 1, 2]) {
      expect(end!.data[place]).toBeCloseTo(target[place]!, 5);
      for (const step of [0, 1, 2, 3]) {
        const sigma = levels[step + 1]!;
        expect(steps!.data[3 * step + place]).toBeCloseTo(sigma * start[place]! + (1 - sigma) * target[place]!, 5);
      }
    }
  });

  test('a single step with plain scalars', async () => {
    const names = ['latents', 'output', 'sigma', 'next'] as const;
    const inputs = names.map((name) => input(name, 'float32', name === 'sigma' || name === 'next' ? [] : [2]));
    const [latents, output, sigma, next] = inputs as [(typeof inputs)[0], ...typeof inputs];
    const program = compile({ name: 'step', inputs, outputs: { y: eulerStep(latents, output!, sigma!, next!) } });
    const { y } = await runProgram(program, {
      latents: numericArray([2], [1, -1]),
      output: numericArray([2], [4, 8]),
      sigma: scalarArray(0.75),
      next: scalarArray(0.5),
    });
    expect([...y!.data]).toEqual([2, 1]);
  });
});

describe('parseSchedulerConfig', () => {
  test('the published one, and the defaults of diffusers', () => {
    expect(parse()).toEqual({ trainTimesteps: 1000, shift: 6, terminal: undefined });
    expect(parseSchedulerConfig({}, 'f')).toEqual({ trainTimesteps: 1000, shift: 1, terminal: undefined });
    expect(parse({ shift_terminal: 0 }).terminal).toBeUndefined();
    expect(parseSchedulerConfig({ use_dynamic_shifting: true }, 'f').shift).toEqual({
      kind: 'exponential',
      base: 0.5,
      max: 1.15,
      baseTokens: 256,
      maxTokens: 4096,
    });
  });

  test.each(['use_karras_sigmas', 'use_exponential_sigmas', 'use_beta_sigmas', 'stochastic_sampling', 'invert_sigmas'])(
    'refuses %s',
    (key) => {
      expect(parse({ [key]: null })).toEqual(parse());
      const failure = (() => {
        try {
          return parse({ [key]: true });
        } catch (error) {
          return error;
        }
      })();
      expect(failure).toBeInstanceOf(ConfigError);
      expect(failure).toMatchObject({ code: 'config_unsupported', path: key });
      expect((failure as Error).message).toMatch(
        /^scheduler_config\.json, \w+: expected false \(.*: not supported\), got true$/,
      );
    },
  );

  test.each<[string, object, RegExp]>([
    ['another class', { _class_name: 'DDIMScheduler' }, /_class_name: expected "FlowMatchEuler.*got "DDIM/],
    ['another time shift', { time_shift_type: 'cubic' }, /time_shift_type: expected "exponential" or "linear"/],
    ['no shift', { shift: 0 }, /shift: expected more than 0, got 0/],
    ['a terminal level of 1', { shift_terminal: 1 }, /shift_terminal: expected less than 1, got 1/],
    [
      'a rule without a length',
      { use_dynamic_shifting: true, max_image_seq_len: 256 },
      /max_image_seq_len: expected more than base_image_seq_len, 256, got 256/,
    ],
  ])('refuses %s', (_, change, message) => {
    expect(() => parse(change)).toThrow(message);
  });
});
