/** How a training shows itself: a bar on a terminal, plain lines elsewhere. On standard error. */
import { SingleBar } from 'cli-progress';
import type { TrainingEvent } from '../training/training-events.ts';
import { printable } from './printable.ts';
import { formatSeconds } from './progress.ts';

/** Where it shows itself: standard error, or a stand-in for it. */
export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
}

export interface TrainingProgressOptions {
  /** Default: standard error. */
  readonly stream?: ProgressStream | undefined;
  /** Show nothing but warnings. Default: false. */
  readonly quiet?: boolean | undefined;
  /** Milliseconds of a clock that never goes back. Default: the system's. */
  readonly now?: (() => number) | undefined;
}

/** Where lines are plain: milliseconds between those that only say how far it is. */
const lineInterval = 10_000;

/** The speed is a running mean: what the last step counts in it. */
const freshSpeed = 0.1;

export class TrainingProgress implements Disposable {
  readonly #stage: string;
  readonly #stream: ProgressStream;
  readonly #quiet: boolean;
  readonly #now: () => number;
  readonly #bar: SingleBar | undefined;
  #steps = 0;
  #lastLine = -Infinity;
  #lastStep: { at: number; step: number } | undefined;
  #secondsAStep: number | undefined;

  /** @param stage stands in front of the bar and of each line about steps */
  constructor(
    stage: string,
    { stream = process.stderr, quiet = false, now = () => performance.now() }: TrainingProgressOptions = {},
  ) {
    this.#stage = stage;
    this.#stream = stream;
    this.#quiet = quiet;
    this.#now = now;
    if (quiet || stream.isTTY !== true) return;
    this.#bar = new SingleBar({
      format: '{stage}: step {value}/{total} {bar} {note}',
      barsize: 24,
      stream,
      hideCursor: true,
      clearOnComplete: true,
    });
  }

  tell(event: TrainingEvent): void {
    switch (event.type) {
      case 'training-started':
        this.#steps = event.steps;
        this.#lastStep = { at: this.#now(), step: event.step };
        this.#bar?.start(event.steps, event.step, { stage: this.#stage, note: '' });
        for (const warning of event.warnings) this.#warn(warning);
        if (event.resumedFrom !== undefined)
          this.#say(`${this.#stage}: resumed at step ${event.step} from ${event.resumedFrom}`);
        return;
      case 'step-end':
        this.#step(event);
        return;
      case 'maintenance-end':
      case 'preview-available': {
        const numbers = Object.entries(event.numbers).map(([name, value]) => `${name} ${formatNumber(value)}`);
        const path = event.type === 'preview-available' && event.path !== undefined ? [event.path] : [];
        const parts = [...numbers, ...path];
        if (parts.length > 0) this.#say(`${this.#stage}: step ${event.step}: ${parts.join(', ')}`);
        return;
      }
      case 'checkpoint-saved':
        this.#say(`${this.#stage}: step ${event.step}: saved in ${event.seconds.toFixed(1)} s: ${event.path}`);
        return;
      case 'checkpoint-skipped':
        this.#warn(`checkpoint ${event.path} is damaged and was passed over: ${event.reason}`);
        return;
      case 'samples-skipped':
        this.#warn(`${event.count} samples could not be read`);
        return;
    }
  }

  /** Takes the bar away. */
  stop(): void {
    this.#bar?.stop();
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  #step({ step, loss, samplesPerSecond }: Extract<TrainingEvent, { type: 'step-end' }>): void {
    const now = this.#now();
    const before = this.#lastStep;
    // Steps of one run are told at once: they share the time since the run before.
    if (before && step > before.step && now > before.at) {
      const seconds = (now - before.at) / 1000 / (step - before.step);
      this.#secondsAStep =
        this.#secondsAStep === undefined ? seconds : this.#secondsAStep + freshSpeed * (seconds - this.#secondsAStep);
      this.#lastStep = { at: now, step };
    }
    const left = this.#secondsAStep === undefined ? '' : formatSeconds((this.#steps - step) * this.#secondsAStep);
    const note = [
      `loss ${formatNumber(loss)}`,
      `${formatNumber(samplesPerSecond)} samples/s`,
      ...(left === '' ? [] : [`ETA ${left}`]),
    ].join(' | ');
    this.#bar?.update(step, { note });
    if (this.#bar || (now - this.#lastLine < lineInterval && step < this.#steps)) return;
    this.#lastLine = now;
    this.#say(`${this.#stage}: step ${step}/${this.#steps} | ${note}`);
  }

  #say(line: string): void {
    if (!this.#quiet) this.#write(line);
  }

  #warn(line: string): void {
    this.#write(`warning: ${line}`);
  }

  #write(line: string): void {
    // A bar on the terminal's line would stay in front of the text; the next update draws it anew.
    if (this.#bar?.isActive) this.#stream.write('\r\u001b[K');
    this.#stream.write(`${printable(line, this.#stream)}\n`);
  }
}

function formatNumber(value: number): string {
  return String(Number(value.toPrecision(4)));
}
