/**
 * Keeps a codebook alive in training: a code that no place has chosen for a while is put where a feature is (random restart,
 * Dhariwal et al. 2020), and use is told with the number of tokens it was counted over. Features are drawn by their squared
 * distance from their code (k-means++, Arthur & Vassilvitskii 2007): drawn alike, four fifths of the codes would be
 * spent on the grounds of pictures, where one would do.
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
  /** Code of each of those places. */
  #chosen: Float32Array = new Float32Array();

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
    const chosen = Float32Array.from(codes.data as BigInt64Array, Number);
    for (const code of chosen) {
      this.#counts[code]!++;
      this.#idle[code] = 0;
    }
    this.#chosen = before(chosen, this.#chosen, 2 * this.#codes);
    this.#features = before(features.data as Float32Array, this.#features, 2 * this.#codes * this.#dim);
  }

  readonly state = {
    save: (): Record<string, TensorValue> => {
      const vector = (data: Float32Array): TensorValue => ({ dtype: 'float32', shape: [data.length], data });
      return {
        code_counts: vector(this.#counts),
        code_idle: vector(this.#idle),
        features: vector(this.#features),
        chosen: vector(this.#chosen),
      };
    },
    restore: ({ code_counts, code_idle, features, chosen }: Readonly<Record<string, TensorValue>>): void => {
      this.#chosen = Float32Array.from(chosen!.data as Float32Array);
      this.#counts = Float32Array.from(code_counts!.data as Float32Array);
      this.#idle = Float32Array.from(code_idle!.data as Float32Array);
      this.#features = Float32Array.from(features!.data as Float32Array);
    },
  };

  /**
   * Moves dead codes of `codebook [codes, dim]` (changed in place) to features of the last batches, drawn by chance, and with
   * them twins: codes that lie nearer to one chosen more often than places lie to their codes on average. A plain ground would
   * keep dozens of codes that look alike, and what chooses among them is noise to whatever learns to predict them.
   * @returns the codes that were moved
   */
  revive(codebook: Float32Array, step: number): number[] {
    if (this.#chosen.length === 0) return [];
    const limit = Math.min(patience, Math.floor(step / 4));
    const distances = Float64Array.from(this.#chosen, (code, place) => this.#distance(codebook, code, place));
    const twins = this.#twins(codebook, distances.reduce((a, b) => a + b, 0) / distances.length);
    const moved = [...this.#idle.keys()].filter((code) => this.#idle[code]! >= limit || twins.has(code));
    if (moved.length === 0) return [];
    const places = this.#draw(distances, moved.length, step);
    moved.forEach((code, index) => {
      this.#move(codebook, code, places[index]!);
    });
    return moved;
  }

  /** Of the codes of the last batches those within `reach` (squared) of one chosen more often that is no twin itself. */
  #twins(codebook: Float32Array, reach: number): Set<number> {
    const counts = new Map<number, number>();
    for (const code of this.#chosen) counts.set(code, (counts.get(code) ?? 0) + 1);
    const kept: number[] = [];
    const twins = new Set<number>();
    for (const [code] of [...counts].sort(([a, often], [b, oftener]) => oftener - often || a - b)) {
      const near = kept.some((other) => squaredDistance(codebook, code, codebook, other, this.#dim, reach) < reach);
      if (near) twins.add(code);
      else kept.push(code);
    }
    return twins;
  }

  /**
   * Lays all codes over features of the last batches: the beginning of a codebook for features that have learned. Begins
   * with a few, and adds a quarter at a time by what is farthest from all so far.
   */
  layOut(codebook: Float32Array, step: number): number[] {
    if (this.#chosen.length === 0) return [];
    const distances = new Float64Array(this.#chosen.length).fill(Number.MAX_VALUE / this.#chosen.length);
    for (let laid = 0; laid < this.#codes; ) {
      const count = Math.min(this.#codes - laid, Math.max(Math.ceil(laid / 4), 16));
      for (const place of this.#draw(distances, count, step + laid)) this.#move(codebook, laid++, place);
      for (let place = 0; place < distances.length; place++) {
        for (let code = laid - count; code < laid; code++) {
          distances[place] = Math.min(distances[place]!, this.#distance(codebook, code, place));
        }
      }
    }
    return [...this.#idle.keys()];
  }

  #distance(codebook: Float32Array, code: number, place: number): number {
    return squaredDistance(this.#features, place, codebook, code, this.#dim);
  }

  /** Places drawn by their weights; a place may come more than once. */
  #draw(weights: Float64Array, count: number, step: number): number[] {
    const upTo = new Float64Array(weights.length);
    let total = 0;
    weights.forEach((weight, place) => {
      total += weight;
      upTo[place] = total;
    });
    return Array.from({ length: count }, (_, index) => {
      const target = uniform(this.#seed, stream, step * this.#codes + index) * total;
      let [low, high] = [0, upTo.length - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (upTo[middle]! > target) high = middle;
        else low = middle + 1;
      }
      return low;
    });
  }

  #move(codebook: Float32Array, code: number, place: number): void {
    codebook.set(this.#features.subarray(place * this.#dim, (place + 1) * this.#dim), code * this.#dim);
    this.#idle[code] = 0;
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

/** Between row `i` of `a` and row `j` of `b`; once it is over `most`, only that it is. */
function squaredDistance(
  a: Float32Array,
  i: number,
  b: Float32Array,
  j: number,
  dim: number,
  most = Number.POSITIVE_INFINITY,
): number {
  let sum = 0;
  for (let axis = 0; axis < dim && sum <= most; axis++) sum += (a[i * dim + axis]! - b[j * dim + axis]!) ** 2;
  return sum;
}

/** The newest in front, at most `length` together. */
function before(fresh: Float32Array, old: Float32Array, length: number): Float32Array {
  const joined = new Float32Array(Math.max(fresh.length, Math.min(length, fresh.length + old.length)));
  joined.set(fresh);
  joined.set(old.subarray(0, joined.length - fresh.length), fresh.length);
  return joined;
}
