import { describe, expect, it } from 'vitest';
import { learningRateAt, type ScheduleSettings, schedules } from './schedule.ts';

const settings: ScheduleSettings = {
  learningRate: 0.8,
  steps: 110,
  warmupSteps: 10,
  schedule: 'cosine',
  finalRate: 0.25,
};

describe('learningRateAt', () => {
  it.each(schedules)('rises in a line before %s', (schedule) => {
    const rates = [0, 4, 9].map((step) => learningRateAt(step, { ...settings, schedule }));
    expect(rates).toEqual([0.08, 0.4, 0.8]);
  });

  it.each([
    ['cosine', [0.8, 0.8 * (0.25 + 0.75 * (0.5 + Math.SQRT1_2 / 2)), 0.5, 0.2, 0.2]],
    ['linear', [0.8, 0.65, 0.5, 0.2, 0.2]],
    ['constant', [0.8, 0.8, 0.8, 0.8, 0.8]],
  ] as const)('falls as %s says', (schedule, expected) => {
    for (const [index, step] of [10, 35, 60, 110, 500].entries()) {
      expect(learningRateAt(step, { ...settings, schedule })).toBeCloseTo(expected[index]!, 12);
    }
  });

  it('starts with the full rate where there is no rise', () => {
    for (const schedule of schedules) {
      expect(learningRateAt(0, { ...settings, schedule, warmupSteps: 0 })).toBe(0.8);
    }
  });

  it('is finite where the rise takes all steps', () => {
    for (const schedule of schedules) {
      const short = { ...settings, schedule, steps: 10 };
      for (const step of [0, 9, 10, 11]) expect(learningRateAt(step, short)).toBeGreaterThan(0);
    }
  });
});
