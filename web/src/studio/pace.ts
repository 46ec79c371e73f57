/** How fast tokens come, and how long it will take. */
export class Pace {
  readonly #started: number;
  readonly #before: number;
  #done = 0;
  #now: number;

  /**
   * @param now milliseconds
   * @param before tokens that were done when the clock began
   */
  constructor(now: number, before = 0) {
    this.#started = now;
    this.#now = now;
    this.#before = before;
    this.#done = before;
  }

  tell(done: number, now: number): void {
    this.#done = done;
    this.#now = now;
  }

  /** Tokens a second; undefined until there is something to divide. */
  get perSecond(): number | undefined {
    const seconds = (this.#now - this.#started) / 1000;
    const count = this.#done - this.#before;
    return seconds > 0 && count > 0 ? count / seconds : undefined;
  }

  /** Whole seconds until `total` are done, at least 1; undefined where that is not known. */
  secondsLeft(total: number): number | undefined {
    const { perSecond } = this;
    if (perSecond === undefined || total <= this.#done) return undefined;
    return Math.max(1, Math.round((total - this.#done) / perSecond));
  }
}
