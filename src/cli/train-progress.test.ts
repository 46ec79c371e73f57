import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import type { TrainingEvent } from '../training/training-events.ts';
import { TrainingProgress, type TrainingProgressOptions } from './train-progress.ts';

const step = (number: number): TrainingEvent => ({
  ...{ type: 'step-end', step: number, loss: 1.234567, gradientNorm: 1, learningRate: 1, samplesPerSecond: 20.123 },
  reported: {},
});
const started: TrainingEvent = {
  ...{ type: 'training-started', step: 100, steps: 4000, resumedFrom: 'step-00000100' },
  warnings: ['another number of threads'],
};

function shown(isTTY: boolean, events: readonly TrainingEvent[], options: TrainingProgressOptions = {}): string {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 200, rows: 20 });
  let clock = 0;
  {
    using progress = new TrainingProgress('tokenizer', { stream, now: () => clock, ...options });
    for (const event of events) {
      progress.tell(event);
      clock += 2000;
    }
  }
  return String(stream.read() ?? '');
}

it('writes plain lines where there is no terminal, not one for each step', () => {
  const events = [started, ...Array.from({ length: 8 }, (_, index) => step(101 + index)), step(4000)];
  const saved = { type: 'checkpoint-saved', step: 4000, path: 'step-00004000', bytes: 1, seconds: 0.25 } as const;
  expect(shown(false, [...events, saved]).split('\n')).toEqual([
    'warning: another number of threads',
    'tokenizer: resumed at step 100 from step-00000100',
    'tokenizer: step 101/4000 | loss 1.235 | 20.12 samples/s | ETA 2 h 09 min',
    'tokenizer: step 106/4000 | loss 1.235 | 20.12 samples/s | ETA 2 h 09 min',
    'tokenizer: step 4000/4000 | loss 1.235 | 20.12 samples/s | ETA 0 s',
    'tokenizer: step 4000: saved in 0.3 s: step-00004000',
    '',
  ]);
});

it('draws a bar on a terminal, and lines above it', () => {
  const preview = { type: 'preview-available', step: 101, path: 'sheet.png', numbers: { held_out: 0.5 } } as const;
  const text = shown(true, [started, step(101), preview, step(102)]);
  expect(text).toContain('tokenizer: step 100/4000');
  expect(text).toContain('\r\u001b[Ktokenizer: step 101: held_out 0.5, sheet.png\n');
});

it('says only warnings when it is to be quiet', () => {
  const skipped: TrainingEvent[] = [
    { type: 'checkpoint-skipped', path: 'step-00000200', reason: 'cut' },
    { type: 'samples-skipped', step: 101, count: 3 },
  ];
  expect(shown(true, [started, step(101), ...skipped], { quiet: true })).toBe(
    'warning: another number of threads\nwarning: checkpoint step-00000200 is damaged and was passed over: cut\n' +
      'warning: 3 samples could not be read\n',
  );
});
