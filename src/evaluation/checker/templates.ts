/**
 * What an object of the world adds to a picture, in a form that can be fitted in closed form.
 *
 * A tinted sprite over a background B is (1 − α)·B + s·c + o: its opacity α, its luminance pattern s, the centre c of its colour,
 * and the grey outline o of black and white sprites. All but c belongs to the sprite, so c is a least-squares problem of one
 * unknown a channel: that undoes the luminance pattern. A sprite in its own colours is (1 − α)·B + p with nothing unknown.
 */
import type { Atlas } from '../../data/world/atlas.ts';
import type { WorldProfile } from '../../data/world/profile.ts';
import type { Style } from '../../data/world/scene.ts';
import { stampOf } from '../../data/world/stamp.ts';
import { classNamed, colourCentres } from '../../data/world/vocabulary.ts';

export interface Sprite {
  readonly class: string;
  readonly sprite: string;
  readonly style: Style;
  readonly flip: boolean;
}

export interface Template extends Sprite {
  /** Pixels a side. */
  readonly side: number;
  /** Times that it was softened. */
  readonly passes: number;
  /** `[side, side]`: opacity and luminance pattern of a tinted sprite. */
  readonly alpha: Float32Array;
  readonly shade: Float32Array;
  /** The same with an outline, and the outline's own light. */
  readonly outlinedAlpha: Float32Array;
  readonly outline: Float32Array;
  /** `[3][side, side]`: premultiplied levels of the sprite in its own colours. */
  readonly own: readonly [Float32Array, Float32Array, Float32Array];
  /** Opacity on a coarse grid, of length 1. */
  readonly silhouette: Float32Array;
}

/** Cells a side of the silhouettes that are compared first. */
export const silhouetteSide = 8;

/** All sprites of a profile's classes and styles. */
export function spritesOf(profile: WorldProfile): Sprite[] {
  return profile.classes.flatMap((name) => {
    const { sprites } = classNamed(name);
    const shown = profile.sprites === 'plainest' ? [sprites[0]] : sprites;
    return shown.flatMap((sprite) =>
      profile.styles.flatMap((style) => [false, true].map((flip) => ({ class: name, sprite, style, flip }))),
    );
  });
}

/**
 * @param passes of softening: pictures are read with one, and a tokenizer blurs them further
 */
export function templateOf(atlas: Atlas, sprite: Sprite, side: number, passes: number): Template {
  const { style, flip } = sprite;
  const stamp = (colour: 'brown' | 'black' | null) =>
    stampOf(atlas, style, sprite.sprite, colour, flip, side, side).data;
  // The highlights of no brown sprite are clipped, so that its levels give the pattern exactly.
  const [brown, black, own] = [stamp('brown'), stamp('black'), stamp(null)];
  const brownLevel = colourCentres.brown.reduce((sum, level) => sum + level, 0);
  const blackLevel = colourCentres.black.reduce((sum, level) => sum + level, 0);
  const plane = (value: (at: number) => number) => {
    let result: Float32Array = Float32Array.from({ length: side * side }, (_, pixel) => value(pixel * 4));
    for (let pass = 0; pass < passes; pass++) result = blurred(result, side, side);
    return result;
  };
  const lightOf = (data: Uint8Array, at: number) => data[at]! + data[at + 1]! + data[at + 2]!;
  const shadeAt = (at: number) => lightOf(brown, at) / brownLevel;
  const alpha = plane((at) => brown[at + 3]! / 255);
  return {
    ...sprite,
    side,
    passes,
    alpha,
    shade: plane(shadeAt),
    outlinedAlpha: plane((at) => black[at + 3]! / 255),
    outline: plane((at) => Math.max(0, (lightOf(black, at) - shadeAt(at) * blackLevel) / 3)),
    own: [plane((at) => own[at]!), plane((at) => own[at + 1]!), plane((at) => own[at + 2]!)],
    silhouette: unit(areas(alpha, side, 0, 0, side)),
  };
}

/**
 * Softens by the binomial filter 1 2 1 in both directions, edges repeated. Templates and pictures are both compared so, since
 * a tokenizer loses fine detail and a detail that is half a pixel off should not count twice.
 */
export function blurred(plane: Float32Array, width: number, height: number): Float32Array {
  const across = new Float32Array(plane.length);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      const [left, right] = [x > 0 ? x - 1 : x, x < width - 1 ? x + 1 : x];
      across[row + x] = (plane[row + left]! + 2 * plane[row + x]! + plane[row + right]!) / 4;
    }
  }
  const down = new Float32Array(plane.length);
  for (let y = 0; y < height; y++) {
    const [above, below] = [(y > 0 ? y - 1 : y) * width, (y < height - 1 ? y + 1 : y) * width];
    for (let x = 0; x < width; x++) {
      down[y * width + x] = (across[above + x]! + 2 * across[y * width + x]! + across[below + x]!) / 4;
    }
  }
  return down;
}

/** Sums over the cells of a coarse grid laid on a square of the plane; `stride` is the plane's width. */
export function areas(plane: Float32Array, stride: number, left: number, top: number, side: number): Float32Array {
  const cells = new Float32Array(silhouetteSide * silhouetteSide);
  for (let y = 0; y < side; y++) {
    const cellRow = Math.floor((y * silhouetteSide) / side) * silhouetteSide;
    const row = (top + y) * stride + left;
    for (let x = 0; x < side; x++) cells[cellRow + Math.floor((x * silhouetteSide) / side)]! += plane[row + x]!;
  }
  return cells;
}

/** Scaled to length 1; zeros stay zeros. */
export function unit(values: Float32Array): Float32Array {
  const length = Math.hypot(...values);
  return length === 0 ? values : values.map((value) => value / length);
}
