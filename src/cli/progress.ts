/** The progress bar of a picture: rows drawn, tokens a second, time left. On standard error, and only on a terminal. */
import { SingleBar } from 'cli-progress';

/** Work that is over sooner needs no bar. */
const patience = 1000;

export class PictureProgress implements Disposable {
  readonly #enabled: boolean;
  #bar: SingleBar | undefined;
  #timer: NodeJS.Timeout | undefined;
  #firstRow: { at: number; tokens: number } | undefined;
  #rows = 0;
  #note = 'reading the prompt';

  constructor(enabled: boolean) {
    this.#enabled = enabled && process.stderr.isTTY === true;
  }

  /** @param rows rows of a picture */
  start(rows: number): void {
    if (!this.#enabled) return;
    this.#timer = setTimeout(() => this.#show(rows), patience);
  }

  /**
   * @param doneTokens of each picture so far
   * @param totalTokens of each picture
   * @param count pictures drawn at once
   */
  update(doneTokens: number, totalTokens: number, rows: number, count: number): void {
    const now = performance.now();
    this.#rows = Math.floor((doneTokens / totalTokens) * rows);
    // The first row comes with loading and the prompt: speed is measured from its end.
    this.#firstRow ??= { at: now, tokens: doneTokens };
    const seconds = (now - this.#firstRow.at) / 1000;
    const tokens = doneTokens - this.#firstRow.tokens;
    if (tokens > 0 && seconds > 0) {
      const left = Math.ceil(((totalTokens - doneTokens) * seconds) / tokens);
      this.#note = `${((tokens * count) / seconds).toFixed(1)} tokens/s | ETA ${formatSeconds(left)}`;
    }
    this.#bar?.update(this.#rows, { note: this.#note });
  }

  #show(rows: number): void {
    this.#bar = new SingleBar({
      format: 'row {value}/{total} {bar} {note}',
      barsize: 30,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
    });
    this.#bar.start(rows, this.#rows, { note: this.#note });
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
