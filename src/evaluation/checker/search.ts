/**
 * The search of the checker: squares that may hold an object, and what a sprite in them would explain.
 *
 * Two measures of a fit. To choose squares, what is left unexplained weighs little: templates are a little softer than a sharp
 * picture, up to half a step off, and a large square must only not swallow two objects. To choose among refined fits it weighs
 * much: the right sprite at the right pixel leaves next to nothing.
 */
import { foregroundLevel } from './background.ts';
import { type Canvas, type Fit, fitTemplate } from './fit.ts';
import { areas, silhouetteSide, type Template, unit } from './templates.ts';

/** All templates of a size and softness, the same sprites in the same order. */
export type TemplatesOf = (side: number, passes: number) => readonly Template[];

/** Sprites of a square that are fitted, by their silhouettes. */
const finalists = 20;
/** Of those, the best that are refined. */
const refinedSprites = 3;
/** Squares around the best that are refined beside it. */
const rivals = 4;
/** Least share of a square's pixels that differ from the ground. */
const leastForeground = 0.06;
/** Least share of a sprite that is not hidden by what was found before. */
const leastVisible = 0.45;
/** Weights of what is left unexplained, to choose squares and to choose among refined fits. */
const [lenient, strict] = [1.5, 4];
/** How soft pictures may be, from as drawn to the blur of a coarse tokenizer, and the softness that is tried at first. */
const softnesses = [1, 2, 3];
const middleSoftness = 2;
/** Differences from the ground that noise makes, in levels. */
const noiseLevel = 8;

export interface Square {
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

/** A square that may hold an object. */
export interface Candidate extends Square {
  /** What an object there would explain; until it is fitted, the most that one could. */
  gain: number;
  /** The best of its sprites, as numbers in the list of templates. */
  sprites?: readonly number[];
}

/** A sprite at its place. */
export interface Find extends Square {
  readonly template: Template;
  readonly fit: Fit;
  readonly gain: number;
}

function gainOf(fit: Fit, weight: number): number {
  return fit.visible < leastVisible ? Number.NEGATIVE_INFINITY : fit.before - weight * fit.after;
}

/** 0 on the ground, 1 where the picture plainly differs from it. */
export function foregroundOf({ levels, ground, size }: Canvas): Float32Array {
  return Float32Array.from({ length: size * size }, (_, pixel) => {
    let sum = 0;
    for (let channel = 0; channel < 3; channel++) sum += (levels[channel]![pixel]! - ground[channel]![pixel]!) ** 2;
    return Math.min(1, Math.max(0, Math.sqrt(sum / 3) - noiseLevel) / (foregroundLevel - noiseLevel));
  });
}

/** All squares of these sides with something in them, `step` pixels apart. */
export function candidatesOf(
  canvas: Canvas,
  foreground: Float32Array,
  sides: readonly number[],
  step: number,
): Set<Candidate> {
  const { size } = canvas;
  const found = new Set<Candidate>();
  for (const side of sides) {
    for (let top = 0; top + side <= size; top += step) {
      for (let left = 0; left + side <= size; left += step) {
        const amount = areas(foreground, size, left, top, side).reduce((sum, value) => sum + value, 0);
        if (amount < leastForeground * side * side) continue;
        const square = { left, top, side };
        found.add({ ...square, gain: energyOf(canvas, square) });
      }
    }
  }
  return found;
}

/** The squared difference from the ground that is not explained yet; nothing where it is too little for an object. */
export function energyOf({ size, levels, ground, weight }: Canvas, { left, top, side }: Square): number {
  let sum = 0;
  for (let channel = 0; channel < 3; channel++) {
    const [plane, under] = [levels[channel]!, ground[channel]!];
    for (let y = top; y < top + side; y++) {
      for (let pixel = y * size + left; pixel < y * size + left + side; pixel++) {
        const d = plane[pixel]! - under[pixel]!;
        sum += weight[pixel]! * d * d;
      }
    }
  }
  return sum < leastForeground * side * side * 3 * foregroundLevel ** 2 ? Number.NEGATIVE_INFINITY : sum;
}

export function overlaps(a: Square, b: Square): boolean {
  const apart = (low: number, otherLow: number) => low + a.side <= otherLow || otherLow + b.side <= low;
  return !apart(a.left, b.left) && !apart(a.top, b.top);
}

/** Squares that could be taken for each other: their centres lie within half a side. */
function isRival(a: Square, b: Square): boolean {
  const reach = Math.max(a.side, b.side) / 2;
  const apart = (low: number, otherLow: number) => Math.abs(low + a.side / 2 - otherLow - b.side / 2) > reach;
  return !apart(a.left, b.left) && !apart(a.top, b.top);
}

export class Search {
  readonly candidates: Set<Candidate>;
  readonly #canvas: Canvas;
  readonly #foreground: Float32Array;
  readonly #templatesOf: TemplatesOf;

  constructor(canvas: Canvas, templatesOf: TemplatesOf, sides: readonly number[], step: number) {
    this.#canvas = canvas;
    this.#templatesOf = templatesOf;
    this.#foreground = foregroundOf(canvas);
    this.candidates = candidatesOf(canvas, this.#foreground, sides, step);
  }

  /** The candidate that explains most. Bounds stand for fits until they are the highest: few squares are ever fitted. */
  best(): Candidate | undefined {
    while (true) {
      let best: Candidate | undefined;
      for (const candidate of this.candidates) if (!best || candidate.gain > best.gain) best = candidate;
      if (!best || best.gain <= 0) return undefined;
      if (best.sprites) return best;
      this.#fit(best);
    }
  }

  #fit(candidate: Candidate): void {
    const { left, top, side } = candidate;
    const templates = this.#templatesOf(side, middleSoftness);
    const chosen = likeliest(templates, unit(areas(this.#foreground, this.#canvas.size, left, top, side)));
    const fits = chosen
      .map((index) => ({ index, gain: gainOf(fitTemplate(this.#canvas, templates[index]!, left, top), lenient) }))
      .sort((a, b) => b.gain - a.gain);
    candidate.sprites = fits.slice(0, refinedSprites).map(({ index }) => index);
    candidate.gain = fits[0]!.gain;
  }

  /** A candidate and the best squares around it that could be meant instead. */
  rivalsOf(best: Candidate): Candidate[] {
    const around = [...this.candidates].filter((other) => other !== best && other.gain > 0 && isRival(best, other));
    for (const other of around) if (!other.sprites) this.#fit(other);
    return [best, ...around.sort((a, b) => b.gain - a.gain).slice(0, rivals)];
  }

  /** The object at one of these squares. */
  settle(pool: readonly Candidate[]): Find {
    const finds = pool.flatMap((candidate) =>
      candidate.sprites!.map((index) => this.#climbed(this.#sharpest([index], candidate))),
    );
    const first = surest(finds);
    // Silhouettes chose the sprites so far: the last word is that of all of them.
    return this.#climbed(this.#sharpest(this.#templatesOf(first.side, middleSoftness).keys(), first));
  }

  /** The best of some sprites in every softness at a place. */
  #sharpest(indices: Iterable<number>, { left, top, side }: Square): Find {
    const sprites = [...indices];
    return surest(
      softnesses.flatMap((passes) => {
        const templates = this.#templatesOf(side, passes);
        return sprites.map((index) => this.#at(templates[index]!, left, top));
      }),
    );
  }

  #at(template: Template, left: number, top: number): Find {
    const fit = fitTemplate(this.#canvas, template, left, top);
    return { left, top, side: template.side, template, fit, gain: gainOf(fit, strict) };
  }

  /** Moved pixel by pixel while that helps. */
  #climbed(start: Find): Find {
    let best = start;
    for (let from: Find | undefined; from !== best; ) {
      from = best;
      for (const [dx, dy] of [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
      ] as const) {
        const [left, top] = [from.left + dx, from.top + dy];
        const end = this.#canvas.size - from.side;
        if (left < 0 || top < 0 || left > end || top > end) continue;
        const moved = this.#at(from.template, left, top);
        if (moved.gain > best.gain) best = moved;
      }
    }
    return best;
  }

  /** Takes away what a find covers, and looks again at what overlaps it. */
  cover(find: Find): void {
    const { size, weight } = this.#canvas;
    const { left, top, side, template, fit } = find;
    const alpha = fit.variant === 'outlined' ? template.outlinedAlpha : template.alpha;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) if (alpha[y * side + x]! > 0.02) weight[(top + y) * size + left + x] = 0;
    }
    for (const other of this.candidates) {
      if (!overlaps(find, other)) continue;
      other.sprites = undefined;
      other.gain = energyOf(this.#canvas, other);
    }
  }
}

function surest(finds: readonly Find[]): Find {
  return finds.reduce((best, find) => (find.gain > best.gain ? find : best));
}

/** The templates whose silhouettes are nearest, by number; both flips of one sprite count as two. */
function likeliest(templates: readonly Template[], foreground: Float32Array): number[] {
  const scores = templates.map((template) => {
    let product = 0;
    for (let i = 0; i < silhouetteSide * silhouetteSide; i++) product += template.silhouette[i]! * foreground[i]!;
    return product;
  });
  return [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!).slice(0, finalists);
}
