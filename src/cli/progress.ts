/** The progress bar of a picture: rows drawn, then denoising steps; speed, time left. On standard error, and only on a terminal. */
import { SingleBar } from 'cli-progress';

/** Work that is over sooner needs no bar. */
const patience = 1000;

interface Shown {
  readonly unit: 'row' | 'step';
  readonly value: number;
  readonly total: number;
  readonly note: string;
}

export class PictureProgress implements Disposable {
  readonly #enabled: boolean;
  #bar: SingleBar | undefined;
  #timer: NodeJS.Timeout | undefined;
  #firstRow: { at: number; tokens: number } | undefined;
  #firstStep: { at: number; steps: number } | undefined;
  #shown: Shown = { unit: 'row', value: 0, total: 0, note: 'reading the prompt' };

  constructor(enabled: boolean) {
    this.#enabled = enabled && process.stderr.isTTY === true;
  }

  /** @param rows rows of a picture */
  start(rows: number): void {
    if (!this.#enabled) return;
    this.#shown = { ...this.#shown, total: rows };
    this.#timer = setTimeout(() => this.#begin(), patience);
  }

  /**
   * @param doneTokens of each picture so far
   * @param totalTokens of each picture
   * @param count pictures drawn at once
   */
  update(doneTokens: number, totalTokens: number, rows: number, count: number): void {
    const now = performance.now();
    let { note } = this.#shown;
    // The first row comes with loading and the prompt: speed is measured from its end.
    this.#firstRow ??= { at: now, tokens: doneTokens };
    const seconds = (now - this.#firstRow.at) / 1000;
    const tokens = doneTokens - this.#firstRow.tokens;
    if (tokens > 0 && seconds > 0) {
      const left = Math.ceil(((totalTokens - doneTokens) * seconds) / tokens);
      note = `${((tokens * count) / seconds).toFixed(1)} tokens/s | ETA ${formatSeconds(left)}`;
    }
    if (doneTokens === totalTokens) note = 'decoding';
    this.#show({ unit: 'row', value: Math.floor((doneTokens / totalTokens) * rows), total: rows, note });
  }

  /** The diffusion decoder's part. */
  denoise(doneSteps: number, totalSteps: number): void {
    const now = performance.now();
    // Loading comes before the first step: speed is measured from its end.
    this.#firstStep ??= { at: now, steps: doneSteps };
    const seconds = (now - this.#firstStep.at) / 1000;
    const steps = doneSteps - this.#firstStep.steps;
    const eta = `ETA ${formatSeconds(((totalSteps - doneSteps) * seconds) / Math.max(steps, 1))}`;
    const speed = steps > 0 ? `${(seconds / steps).toFixed(2)} s/step | ${eta}` : 'denoising';
    const note = doneSteps === totalSteps ? 'decoding' : speed;
    this.#show({ unit: 'step', value: doneSteps, total: totalSteps, note });
  }

  #show(shown: Shown): void {
    this.#shown = shown;
    const { unit, value, total, note } = shown;
    this.#bar?.setTotal(total);
    this.#bar?.update(value, { unit, note });
  }

  #begin(): void {
    this.#bar = new SingleBar({
      format: '{unit} {value}/{total} {bar} {note}',
      barsize: 30,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
    });
    const { unit, value, total, note } = this.#shown;
    this.#bar.start(total, value, { unit, note });
  }

  /** Takes the bar away. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** `42 s`, `3 min 05 s`, `2 h 07 min`. */
export function formatSeconds(exact: number): string {
  const seconds = Math.ceil(exact);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
