/**
 * Keeps a codebook alive in training: codes that no place chose for a while are put where features are (as in Łańcucki et
 * al. 2020), and use is told with the number of tokens it was counted over.
 */

import type { TensorValue } from '../../tensor/index.ts';
import { uniform } from '../../tensor/random.ts';

/** Stream of chance; each revival is a draw. */
const stream = 301;

export class CodebookHealth {
  readonly #codes: number;
  readonly #dim: number;
  readonly #seed: number;
  /** Choices of each code since the last look. */
  #counts: Float32Array;
  /** Features of the last batch, `[places, dim]`. */
  #features: Float32Array = new Float32Array();

  constructor(codes: number, dim: number, seed: number) {
    this.#codes = codes;
    this.#dim = dim;
    this.#seed = seed;
    this.#counts = new Float32Array(codes);
  }

  /** `codes [...]` int64 chosen, `features [..., dim]` of the same places. */
  observe(codes: TensorValue, features: TensorValue): void {
    for (const code of codes.data as BigInt64Array) this.#counts[Number(code)]!++;
    this.#features = (features.data as Float32Array).slice();
  }

  readonly state = {
    save: (): Record<string, TensorValue> => ({
      code_counts: { dtype: 'float32', shape: [this.#codes], data: this.#counts },
      features: { dtype: 'float32', shape: [this.#features.length / this.#dim, this.#dim], data: this.#features },
    }),
    restore: ({ code_counts, features }: Readonly<Record<string, TensorValue>>): void => {
      this.#counts = Float32Array.from(code_counts!.data as Float32Array);
      this.#features = Float32Array.from(features!.data as Float32Array);
    },
  };

  /**
   * Moves dead codes of `codebook [codes, dim]` (changed in place) to features of the last batch, drawn by chance, and
   * begins to count anew.
   */
  revive(codebook: Float32Array, step: number): { revived: number[]; numbers: Record<string, number> } {
    const total = this.#counts.reduce((a, b) => a + b, 0);
    const dead = [...this.#counts.keys()].filter((code) => this.#counts[code] === 0);
    let entropy = 0;
    for (const count of this.#counts) if (count > 0) entropy -= (count / total) * Math.log(count / total);
    const numbers = {
      codebook_usage: 1 - dead.length / this.#codes,
      codebook_perplexity: Math.exp(entropy),
      codebook_tokens: total,
    };
    const places = this.#features.length / this.#dim;
    if (places > 0) {
      dead.forEach((code, index) => {
        const place = Math.floor(uniform(this.#seed, stream, step * this.#codes + index) * places);
        codebook.set(this.#features.subarray(place * this.#dim, (place + 1) * this.#dim), code * this.#dim);
      });
    }
    this.#counts = new Float32Array(this.#codes);
    return { revived: places > 0 ? dead : [], numbers };
  }
}
