/**
 * Finds the objects of a picture of the world by making it again (analysis by synthesis): the background first, then, as long
 * as something is left to explain, the sprite, size and place that explain most of it.
 *
 * Coarse to fine. At every square of the profile's sizes, on half its grid, silhouettes of all sprites are compared with the
 * foreground; the likeliest are fitted to the pixels; the best of a picture is moved pixel by pixel, where it leaves doubt with
 * its rivals for the place; the surest is kept, and what it covers is taken away. Places off the grid are found, other sizes
 * only as the nearest one.
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
import { type BackgroundEstimate, estimateBackground } from './background.ts';
import type { Canvas } from './fit.ts';
import { type Candidate, type Find, Search } from './search.ts';
import { blurred, type Sprite, spritesOf, type Template, templateOf } from './templates.ts';

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
/** Finds from this confidence on are kept at once; others wait, in case that something surer is found in their place. */
const sure = 0.95;
/** So many may wait. */
const patience = 4;
/** Squared levels a channel that noise leaves in any fit. */
const noise = 15;

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
    const { grid, sizes } = this.profile;
    const sides = sizes.filter(({ weight }) => weight > 0).map(({ cells }) => Math.round((cells * image.width) / grid));
    const step = Math.max(2, Math.round(image.width / grid / 2));
    const search = new Search(
      canvasOf(image, background),
      (side, passes) => this.#templatesOf(side, passes),
      sides,
      step,
    );
    const objects = this.#objects(search).map((find) => foundObject(find, image.width));
    return { background, objects: objects.sort((a, b) => b.confidence - a.confidence) };
  }

  #objects(search: Search): Find[] {
    const kept: Find[] = [];
    let waiting: { readonly candidate: Candidate; readonly find: Find }[] = [];
    while (kept.length < maxObjects) {
      const candidate = waiting.length < patience ? search.best() : undefined;
      let find = candidate && search.settle([candidate]);
      // Most pictures never need this: it takes several times as long.
      if (candidate && find && confidenceOf(find) < sure) find = search.settle(search.rivalsOf(candidate));
      if (candidate && find && confidenceOf(find) < sure) {
        waiting.push({ candidate, find });
        search.candidates.delete(candidate);
        continue;
      }
      if (!find) {
        const possible = waiting.filter((each) => confidenceOf(each.find) >= this.#floor);
        if (possible.length === 0) break;
        ({ find } = possible.reduce((best, each) => (each.find.gain > best.find.gain ? each : best)));
      }
      kept.push(find);
      for (const each of waiting) if (each.find !== find) search.candidates.add(each.candidate);
      waiting = [];
      search.cover(find);
    }
    return kept;
  }
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

/** Share of the difference from the ground that the sprite explains, noise aside. */
function confidenceOf({ fit: { before, after }, side }: Find): number {
  const unavoidable = 3 * noise * side * side;
  return before <= unavoidable ? 0 : Math.max(0, 1 - Math.max(0, after - unavoidable) / before);
}

function foundObject(find: Find, size: number): FoundObject {
  const { left, top, side, template, fit } = find;
  const { class: name, sprite, style, flip } = template;
  const clipped = fit.centre.map((level) => Math.min(255, Math.max(0, level))) as [number, number, number];
  return {
    class: name,
    sprite,
    style,
    flip,
    confidence: confidenceOf(find),
    colour: nearestColour(clipped),
    own: fit.variant === 'own',
    box: { x1: left, y1: top, x2: left + side, y2: top + side },
    square: { x: left / size, y: top / size, width: side / size, height: side / size },
  };
}
