/**
 * Keeps a codebook alive in training: a code that no place has chosen for a while is put where a feature is (random restart,
 * Dhariwal et al. 2020), and use is told with the number of tokens it was counted over.
 *
 * Early on features move fast, and a codebook that lags behind would draw them all to where it began: then a code is dead
 * soon, after a quarter of the steps so far.
 */

import type { TensorValue } from '../../tensor/index.ts';
import { uniform } from '../../tensor/random.ts';

/** Stream of chance; each revival is a draw. */
const stream = 301;

/** Steps without being chosen after which a code is dead, once training is under way. */
const patience = 200;

/** Tokens over which use is counted before it is told. */
const countedTokens = 50_000;

export class CodebookHealth {
  readonly #codes: number;
  readonly #dim: number;
  readonly #seed: number;
  /** Choices of each code since use was told. */
  #counts: Float32Array;
  /** Steps since each code was chosen. */
  #idle: Float32Array;
  /** Features of the last batches, the newest first: `[places, dim]`, twice as many places as codes if there are so many. */
  #features: Float32Array = new Float32Array();

  constructor(codes: number, dim: number, seed: number) {
    this.#codes = codes;
    this.#dim = dim;
    this.#seed = seed;
    this.#counts = new Float32Array(codes);
    this.#idle = new Float32Array(codes);
  }

  /** `codes [...]` int64 chosen in a step, `features [..., dim]` of the same places. */
  observe(codes: TensorValue, features: TensorValue): void {
    for (let code = 0; code < this.#codes; code++) this.#idle[code]!++;
    for (const chosen of codes.data as BigInt64Array) {
      const code = Number(chosen);
      this.#counts[code]!++;
      this.#idle[code] = 0;
    }
    const fresh = features.data as Float32Array;
    const kept = Math.max(0, 2 * this.#codes * this.#dim - fresh.length);
    const joined = new Float32Array(fresh.length + Math.min(kept, this.#features.length));
    joined.set(fresh);
    joined.set(this.#features.subarray(0, joined.length - fresh.length), fresh.length);
    this.#features = joined;
  }

  readonly state = {
    save: (): Record<string, TensorValue> => {
      const vector = (data: Float32Array): TensorValue => ({ dtype: 'float32', shape: [data.length], data });
      return { code_counts: vector(this.#counts), code_idle: vector(this.#idle), features: vector(this.#features) };
    },
    restore: ({ code_counts, code_idle, features }: Readonly<Record<string, TensorValue>>): void => {
      this.#counts = Float32Array.from(code_counts!.data as Float32Array);
      this.#idle = Float32Array.from(code_idle!.data as Float32Array);
      this.#features = Float32Array.from(features!.data as Float32Array);
    },
  };

  /** Moves dead codes of `codebook [codes, dim]` (changed in place) to features of the last batches, drawn by chance. */
  revive(codebook: Float32Array, step: number): number[] {
    const places = this.#features.length / this.#dim;
    if (places === 0) return [];
    const limit = Math.min(patience, Math.floor(step / 4));
    const dead = [...this.#idle.keys()].filter((code) => this.#idle[code]! >= limit);
    for (const code of dead) {
      const place = Math.floor(uniform(this.#seed, stream, step * this.#codes + code) * places);
      codebook.set(this.#features.subarray(place * this.#dim, (place + 1) * this.#dim), code * this.#dim);
      this.#idle[code] = 0;
    }
    return dead;
  }

  /** Moves all codes to features of the last batches: the beginning of a codebook for features that have learned. */
  layOut(codebook: Float32Array, step: number): number[] {
    this.#idle.fill(Number.POSITIVE_INFINITY);
    return this.revive(codebook, step);
  }

  /** Share of codes that were chosen, and the perplexity of the choices; nothing until enough tokens are counted. */
  tell(): Record<string, number> {
    const total = this.#counts.reduce((a, b) => a + b, 0);
    if (total < countedTokens) return {};
    let used = 0;
    let entropy = 0;
    for (const count of this.#counts) {
      if (count === 0) continue;
      used++;
      entropy -= (count / total) * Math.log(count / total);
    }
    this.#counts = new Float32Array(this.#codes);
    return {
      codebook_usage: used / this.#codes,
      codebook_perplexity: Math.exp(entropy),
      codebook_tokens: total,
    };
  }
}
