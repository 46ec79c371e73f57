/**
 * Ctrl-C: the first asks the task to end with what it has, the second ends the process.
 * Dispose to let Ctrl-C end the process again.
 */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController();
  readonly #listener: () => void;

  /** @param note said on standard error at the first Ctrl-C */
  constructor(note: string) {
    this.#listener = () => {
      // Without a listener the next SIGINT has its usual effect.
      process.off('SIGINT', this.#listener);
      this.#controller.abort(new Error('SIGINT'));
      process.stderr.write(`\n${note}\n`);
    };
    process.on('SIGINT', this.#listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#listener);
  }
}
