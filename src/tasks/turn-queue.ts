/** Who may use a model: one request at a time, the others wait in order, and their number is bounded. */

interface Waiter {
  readonly begin: () => void;
  readonly onPosition: ((position: number) => void) | undefined;
}

export class TurnQueue {
  /** Requests that may run or wait. */
  readonly limit: number;
  readonly #full: (retryAfter: number) => Error;
  readonly #waiting: Waiter[] = [];
  #running = false;
  /** Of the latest runs. */
  #meanSeconds = 1;

  /** @param full what is thrown when there is no room; told the seconds after which there may be some, 1 to 60 */
  constructor(limit: number, full: (retryAfter: number) => Error) {
    this.limit = limit;
    this.#full = full;
  }

  /** Requests that wait. */
  get depth(): number {
    return this.#waiting.length;
  }

  /** Requests that run: 0 or 1. */
  get running(): number {
    return this.#running ? 1 : 0;
  }

  /**
   * Runs a job when its turn comes.
   * @param onPosition told how many are before the job, when it must wait and each time that changes
   * @throws what `full` makes, at once when there is no room; the signal's reason when it aborts before the
   * turn has come. A job that has begun must heed the signal itself.
   */
  async run<Result>(
    signal: AbortSignal,
    job: () => Promise<Result>,
    onPosition?: (position: number) => void,
  ): Promise<Result> {
    signal.throwIfAborted();
    if (this.depth + this.running >= this.limit) {
      throw this.#full(Math.min(60, Math.max(1, Math.ceil(this.#meanSeconds))));
    }
    if (this.#running) await this.#turn(signal, onPosition);
    this.#running = true;
    const started = performance.now();
    try {
      return await job();
    } finally {
      this.#meanSeconds += ((performance.now() - started) / 1000 - this.#meanSeconds) / 4;
      this.#running = false;
      this.#waiting.shift()?.begin();
      this.#tellPositions();
    }
  }

  #turn(signal: AbortSignal, onPosition: Waiter['onPosition']): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason as Error);
        this.#tellPositions();
      };
      const waiter: Waiter = {
        begin: () => {
          signal.removeEventListener('abort', leave);
          // Now, and not when the promise is heard: nobody may slip in between.
          this.#running = true;
          resolve();
        },
        onPosition,
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiter);
      onPosition?.(this.#waiting.length);
    });
  }

  #tellPositions(): void {
    for (const [index, { onPosition }] of this.#waiting.entries()) onPosition?.(index + 1);
  }
}
