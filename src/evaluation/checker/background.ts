/**
 * The background of a picture of the world: plain, a gradient, or the pure white of an extraction. Every background that the
 * renderer can paint is tried; the one that most pixels lie near wins, whatever stands in front of it.
 */

import { backgroundCentres } from '../../data/world/render.ts';
import { type Background, colours } from '../../data/world/scene.ts';
import type { Rgb } from '../../data/world/vocabulary.ts';
import type { RgbImage } from '../../image/rgb-image.ts';

export interface BackgroundEstimate {
  readonly background: Background;
  /** Pure #FFFFFF, which is no background of a scene; `background` is then plain white. */
  readonly canvas?: 'white';
  /** Share of pixels near it, in [0, 1]. */
  readonly share: number;
  /** `[3, size, size]`, levels. */
  readonly planes: readonly [Float32Array, Float32Array, Float32Array];
}

/** A difference from the background beyond so many levels a channel (root mean square) is an object's. */
export const foregroundLevel = 22;

interface Hypothesis {
  readonly background: Background;
  readonly canvas?: 'white';
  readonly from: Rgb;
  readonly to: Rgb;
  readonly across: boolean;
}

const hypotheses: readonly Hypothesis[] = [
  ...colours.map((colour): Hypothesis => {
    const centre = backgroundCentres[colour];
    return { background: { kind: 'plain', colour }, from: centre, to: centre, across: false };
  }),
  ...colours.flatMap((from) =>
    colours
      .filter((to) => to !== from)
      .flatMap((to) =>
        ([0, 90] as const).map(
          (angle): Hypothesis => ({
            background: { kind: 'gradient', from, to, angle },
            from: backgroundCentres[from],
            to: backgroundCentres[to],
            across: angle === 90,
          }),
        ),
      ),
  ),
  {
    background: { kind: 'plain', colour: 'white' },
    canvas: 'white',
    from: [255, 255, 255],
    to: [255, 255, 255],
    across: false,
  },
];

/** Squared distance to the hypothesis, cut off, over every `step`-th pixel of both directions. */
function costOf({ width, height, data }: RgbImage, { from, to, across }: Hypothesis, step: number): number {
  const limit = 3 * foregroundLevel ** 2;
  let cost = 0;
  for (let y = step >> 1; y < height; y += step) {
    for (let x = step >> 1; x < width; x += step) {
      const share = across ? (x + 0.5) / width : (y + 0.5) / height;
      const at = (y * width + x) * 3;
      const red = data[at]! - from[0] - (to[0] - from[0]) * share;
      const green = data[at + 1]! - from[1] - (to[1] - from[1]) * share;
      const blue = data[at + 2]! - from[2] - (to[2] - from[2]) * share;
      const distance = red * red + green * green + blue * blue;
      cost += distance < limit ? distance : limit;
    }
  }
  return cost;
}

function best(image: RgbImage, list: readonly Hypothesis[], step: number): Hypothesis[] {
  return list
    .map((hypothesis) => ({ hypothesis, cost: costOf(image, hypothesis, step) }))
    .sort((a, b) => a.cost - b.cost)
    .map(({ hypothesis }) => hypothesis);
}

/** The background of a picture; coarse to fine. */
export function estimateBackground(image: RgbImage): BackgroundEstimate {
  const { width, height, data } = image;
  const coarse = Math.max(1, Math.round(Math.min(width, height) / 16));
  const finalists = best(image, hypotheses, coarse).slice(0, 8);
  const chosen = best(image, finalists, Math.max(1, coarse >> 1))[0]!;
  const size = width * height;
  const planes = [new Float32Array(size), new Float32Array(size), new Float32Array(size)] as const;
  const limit = 3 * foregroundLevel ** 2;
  const offset = [0, 0, 0];
  let near = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const share = chosen.across ? (x + 0.5) / width : (y + 0.5) / height;
      const pixel = y * width + x;
      let distance = 0;
      for (let channel = 0; channel < 3; channel++) {
        const level = chosen.from[channel]! + (chosen.to[channel]! - chosen.from[channel]!) * share;
        planes[channel]![pixel] = level;
        distance += (data[pixel * 3 + channel]! - level) ** 2;
      }
      if (distance >= limit) continue;
      near++;
      for (let channel = 0; channel < 3; channel++)
        offset[channel]! += data[pixel * 3 + channel]! - planes[channel]![pixel]!;
    }
  }
  // A decoder may paint the whole ground a little off: what all of it shares is no object.
  for (const [channel, plane] of planes.entries()) {
    const shift = near === 0 ? 0 : offset[channel]! / near;
    for (let pixel = 0; pixel < size; pixel++) plane[pixel]! += shift;
  }
  const { background, canvas } = chosen;
  return { background, ...(canvas ? { canvas } : {}), share: near / size, planes };
}
