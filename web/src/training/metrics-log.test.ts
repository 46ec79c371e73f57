import { expect, it } from 'vitest';
import { parseMetrics } from './metrics-log.ts';

it('reads steps and previews apart, numbers that JSON does not have, and counts lines that are none', () => {
  const text = [
    '{"step":1,"kind":"step","loss":2,"learning_rate":0.1}',
    '{"step":2,"kind":"step","loss":"NaN","learning_rate":0.2,"note":"x"}',
    '{"held_out":6,"step":2,"kind":"preview"}',
    '{"step":2,"kind":"maintain","revived":5}',
    '[]',
    '{"step":3,"kind":"step","lo',
  ].join('\n');
  expect(parseMetrics(text)).toEqual({
    steps: [
      { name: 'loss', steps: [1, 2], values: [2, Number.NaN] },
      { name: 'learning_rate', steps: [1, 2], values: [0.1, 0.2] },
    ],
    previews: [{ name: 'held_out', steps: [2], values: [6] }],
    lastStep: 2,
    skipped: 2,
  });
});
