/**
 * Finds the objects of a picture of the world by making it again (analysis by synthesis): the background first, then, as long
 * as something is left to explain, the sprite, size and place that explain most of it.
 *
 * Coarse to fine. At every square of the profile's sizes, on half its grid, silhouettes of all sprites are compared with the
 * foreground; the likeliest are fitted to the pixels; the best of a picture is moved pixel by pixel, kept, and what it covers
 * is taken away. Places and sizes off the grid by a few pixels are found, other sizes only as the nearest one.
 *
 * The box of a detection is the sprite's square, as in the scenes' own relations, not the tight one.
 */

import type { Atlas } from '../../data/world/atlas.ts';
import type { WorldProfile } from '../../data/world/profile.ts';
import type { Box, Colour, Style } from '../../data/world/scene.ts';
import { nearestColour } from '../../data/world/vocabulary.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { EvaluationError } from '../error.ts';
import type { DecisionOptions, Detection } from '../geneval/decision.ts';
import { type BackgroundEstimate, estimateBackground, foregroundLevel } from './background.ts';
import { type Canvas, type Fit, fitTemplate } from './fit.ts';
import {
  areas,
  blurred,
  type Sprite,
  silhouetteSide,
  spritesOf,
  type Template,
  templateOf,
  unit,
} from './templates.ts';

/** An object that was found. */
export interface FoundObject extends Detection, Sprite {
  readonly colour: Colour;
  /** In its own colours: `colour` is then what it looks like, and nothing was asked for. */
  readonly own: boolean;
  readonly style: Style;
  /** The sprite's square, in units of the picture's side. */
  readonly square: Box;
}

export interface Reading {
  readonly background: BackgroundEstimate;
  /** The surest first. */
  readonly objects: readonly FoundObject[];
}

export interface CheckerOptions {
  /** Finds below it are not given. Default 0.5: what decides is the judge's threshold. */
  readonly floor?: number;
}

/**
 * Confidence from which on an object counts, fixed on the calibration split (`validation.ts`) before any model's picture was
 * seen, and the same for counting: GenEval's 0.3 and 0.9 are Mask2Former's and mean nothing here.
 */
export const checkerThreshold = 0.85;

export const checkerDecision: DecisionOptions = {
  threshold: checkerThreshold,
  countingThreshold: checkerThreshold,
};

const maxObjects = 16;
/** Sprites of a square that are fitted, by their silhouettes. */
const finalists = 20;
/** Least share of a square's pixels that differ from the ground. */
const leastForeground = 0.06;
/** Least share of a sprite that is not hidden by what was found before. */
const leastVisible = 0.45;
/** What is left unexplained weighs so much more than what is explained: a large square must not swallow two objects. */
const leftover = 1.5;
/** How soft pictures may be, from as drawn to the blur of a coarse tokenizer, and the softness that is tried at first. */
const softnesses = [1, 2, 3];
const middleSoftness = 2;
/** Differences from the ground that noise makes, in levels. */
const noiseLevel = 8;
/** Squared levels a channel that noise leaves in any fit. */
const noise = 15;

/** A square that may hold an object. */
interface Candidate {
  left: number;
  top: number;
  readonly side: number;
  /** What an object there would explain; until it is fitted, the most that one could. */
  gain: number;
  fitted?: Fitted;
}

interface Fitted {
  readonly template: Template;
  readonly fit: Fit;
  readonly gain: number;
}

export class Checker {
  readonly profile: WorldProfile;
  readonly #atlas: Atlas;
  readonly #floor: number;
  readonly #sprites: readonly Sprite[];
  readonly #templates = new Map<string, readonly Template[]>();

  constructor(atlas: Atlas, profile: WorldProfile, { floor = 0.5 }: CheckerOptions = {}) {
    this.#atlas = atlas;
    this.profile = profile;
    this.#floor = floor;
    this.#sprites = spritesOf(profile);
  }

  /** How reports name it. */
  get name(): string {
    return `analysis by synthesis, world '${this.profile.name}', confidence above ${checkerThreshold}`;
  }

  /** Templates of a size and softness, made when first needed. */
  #templatesOf(side: number, passes: number): readonly Template[] {
    const key = `${side} ${passes}`;
    const known = this.#templates.get(key);
    if (known) return known;
    const made = this.#sprites.map((sprite) => templateOf(this.#atlas, sprite, side, passes));
    this.#templates.set(key, made);
    return made;
  }

  /**
   * Reads a picture.
   * @param image square
   * @throws EvaluationError `evaluation_mismatch` when it is not square
   */
  read(image: RgbImage): Reading {
    if (image.width !== image.height) {
      throw new EvaluationError(
        'evaluation_mismatch',
        `checker: expected a square picture, got ${image.width} x ${image.height}`,
      );
    }
    const background = estimateBackground(image);
    const canvas = canvasOf(image, background);
    const foreground = foregroundOf(canvas);
    const candidates = this.#candidates(canvas, foreground);
    const objects: FoundObject[] = [];
    while (objects.length < maxObjects) {
      const best = this.#nextBest(canvas, foreground, candidates);
      if (!best) break;
      const found = this.#refined(canvas, best);
      const confidence = confidenceOf(found.fit, found.template.side);
      if (confidence >= this.#floor) objects.push(foundObject(best, found, confidence, canvas.size));
      // What is not kept is taken away nevertheless, or it would be found again.
      cover(canvas, best, found);
      candidates.delete(best);
      for (const other of candidates) {
        if (!overlaps(best, other)) continue;
        other.fitted = undefined;
        other.gain = energyOf(canvas, other);
      }
    }
    return { background, objects: objects.sort((a, b) => b.confidence - a.confidence) };
  }

  /** All squares with something in them. */
  #candidates(canvas: Canvas, foreground: Float32Array): Set<Candidate> {
    const { size } = canvas;
    const { grid, sizes } = this.profile;
    const found = new Set<Candidate>();
    const step = Math.max(2, Math.round(size / grid / 2));
    for (const { cells, weight } of sizes) {
      if (weight === 0) continue;
      const side = Math.round((cells * size) / grid);
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

  /** The candidate that explains most. Bounds stand for fits until they are the highest: few squares are ever fitted. */
  #nextBest(canvas: Canvas, foreground: Float32Array, candidates: Set<Candidate>): Candidate | undefined {
    while (true) {
      let best: Candidate | undefined;
      for (const candidate of candidates) if (!best || candidate.gain > best.gain) best = candidate;
      if (!best || best.gain <= 0) return undefined;
      if (best.fitted) return best;
      const cells = unit(areas(foreground, canvas.size, best.left, best.top, best.side));
      best.fitted = fitted(canvas, likeliest(this.#templatesOf(best.side, middleSoftness), cells), best.left, best.top);
      best.gain = best.fitted.gain;
    }
  }

  /** Moves a candidate while that helps, and then asks all sprites of its size at its final place. */
  #refined(canvas: Canvas, candidate: Candidate): Fitted {
    const { side } = candidate;
    const { template } = candidate.fitted!;
    let { gain } = candidate.fitted!;
    for (let moved = true, round = 0; moved && round < 4; round++) {
      moved = false;
      for (const [dx, dy] of [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
      ] as const) {
        const [left, top] = [candidate.left + dx, candidate.top + dy];
        if (left < 0 || top < 0 || left + side > canvas.size || top + side > canvas.size) continue;
        const there = fitted(canvas, [template], left, top);
        if (there.gain <= gain) continue;
        ({ gain } = there);
        Object.assign(candidate, { left, top });
        moved = true;
      }
    }
    const all = softnesses.flatMap((passes) => this.#templatesOf(side, passes));
    return fitted(canvas, all, candidate.left, candidate.top);
  }
}

type Square = Pick<Candidate, 'left' | 'top' | 'side'>;

function overlaps(a: Square, b: Square): boolean {
  const apart = (low: number, otherLow: number) => low + a.side <= otherLow || otherLow + b.side <= low;
  return !apart(a.left, b.left) && !apart(a.top, b.top);
}

/** The squared difference from the ground that is not explained yet; nothing where it is too little for an object. */
function energyOf({ size, levels, ground, weight }: Canvas, { left, top, side }: Square): number {
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

function canvasOf(image: RgbImage, { planes }: BackgroundEstimate): Canvas {
  const size = image.width;
  const level = (channel: number) =>
    blurred(
      Float32Array.from({ length: size * size }, (_, pixel) => image.data[pixel * 3 + channel]!),
      size,
      size,
    );
  return {
    size,
    levels: [level(0), level(1), level(2)],
    ground: planes,
    weight: new Float32Array(size * size).fill(1),
  };
}

/** 0 on the ground, 1 where the picture plainly differs from it. */
function foregroundOf({ levels, ground, size }: Canvas): Float32Array {
  return Float32Array.from({ length: size * size }, (_, pixel) => {
    let sum = 0;
    for (let channel = 0; channel < 3; channel++) sum += (levels[channel]![pixel]! - ground[channel]![pixel]!) ** 2;
    return Math.min(1, Math.max(0, Math.sqrt(sum / 3) - noiseLevel) / (foregroundLevel - noiseLevel));
  });
}

/** The templates whose silhouettes are nearest; both flips of one sprite count as two. */
function likeliest(templates: readonly Template[], foreground: Float32Array): Template[] {
  const scores = templates.map((template) => {
    let product = 0;
    for (let i = 0; i < silhouetteSide * silhouetteSide; i++) product += template.silhouette[i]! * foreground[i]!;
    return product;
  });
  const order = scores.map((_, index) => index).sort((a, b) => scores[b]! - scores[a]!);
  return order.slice(0, finalists).map((index) => templates[index]!);
}

function fitted(canvas: Canvas, templates: readonly Template[], left: number, top: number): Fitted {
  let best: Fitted | undefined;
  for (const template of templates) {
    const fit = fitTemplate(canvas, template, left, top);
    const gain = fit.visible < leastVisible ? Number.NEGATIVE_INFINITY : fit.before - leftover * fit.after;
    if (!best || gain > best.gain) best = { template, fit, gain };
  }
  return best!;
}

/** Share of the difference from the ground that the sprite explains, noise aside. */
function confidenceOf({ before, after }: Fit, side: number): number {
  const unavoidable = 3 * noise * side * side;
  return before <= unavoidable ? 0 : Math.max(0, 1 - Math.max(0, after - unavoidable) / before);
}

/** Takes away what a find covers. */
function cover(canvas: Canvas, { left, top }: Square, { template, fit }: Fitted): void {
  const { side } = template;
  const alpha = fit.variant === 'outlined' ? template.outlinedAlpha : template.alpha;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      if (alpha[y * side + x]! > 0.02) canvas.weight[(top + y) * canvas.size + left + x] = 0;
    }
  }
}

function foundObject({ left, top }: Square, { template, fit }: Fitted, confidence: number, size: number): FoundObject {
  const { class: name, sprite, style, flip, side } = template;
  const clipped = fit.centre.map((level) => Math.min(255, Math.max(0, level))) as [number, number, number];
  return {
    class: name,
    sprite,
    style,
    flip,
    confidence,
    colour: nearestColour(clipped),
    own: fit.variant === 'own',
    box: { x1: left, y1: top, x2: left + side, y2: top + side },
    square: { x: left / size, y: top / size, width: side / size, height: side / size },
  };
}
