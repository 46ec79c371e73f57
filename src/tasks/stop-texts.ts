/** What ends an answer before its end token: texts that the caller names. */

/** Watches an answer as it is drawn; what may be the beginning of a stop is held back until it is known not to be. */
export class StopTexts {
  readonly #stops: readonly string[];
  #held = '';
  #met = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Whether a stop has come; whatever follows it is no part of the answer. */
  get met(): boolean {
    return this.#met;
  }

  /** @returns the text that is part of the answer for sure and was not returned before */
  push(text: string): string {
    if (this.#met) return '';
    const seen = this.#held + text;
    const starts = this.#stops.map((stop) => seen.indexOf(stop)).filter((start) => start >= 0);
    this.#met = starts.length > 0;
    const end = this.#met
      ? Math.min(...starts)
      : seen.length - Math.max(0, ...this.#stops.map((stop) => begun(seen, stop)));
    this.#held = this.#met ? '' : seen.slice(end);
    return seen.slice(0, end);
  }

  /** @returns what was held back, at the end of the answer */
  flush(): string {
    return this.#held;
  }
}

/** How many characters at the end of a text are the beginning of a stop that is not whole. */
function begun(text: string, stop: string): number {
  let length = Math.min(text.length, stop.length - 1);
  while (!text.endsWith(stop.slice(0, length))) length--;
  return length;
}
