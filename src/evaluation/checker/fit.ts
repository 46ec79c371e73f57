/** How well a sprite at a place explains a picture: the squared error that it leaves, with its colour fitted. */
import type { Rgb } from '../../data/world/vocabulary.ts';
import type { Template } from './templates.ts';

/** A picture as the search sees it; planes are `[size, size]`. */
export interface Canvas {
  readonly size: number;
  /** Softened levels. */
  readonly levels: readonly [Float32Array, Float32Array, Float32Array];
  readonly ground: readonly [Float32Array, Float32Array, Float32Array];
  /** 1 where nothing is explained yet, 0 under what was found. */
  readonly weight: Float32Array;
}

/** `tinted` and `outlined` fit a colour, `own` has none. */
export type Variant = 'tinted' | 'outlined' | 'own';

export interface Fit {
  readonly variant: Variant;
  /** Squared error in levels² over the square: with the ground alone, and with the sprite. */
  readonly before: number;
  readonly after: number;
  /** What the tint's centre must be; for `own` that of the tinted variant. */
  readonly centre: Rgb;
  /** Share of the sprite's opacity that is not yet explained by others. */
  readonly visible: number;
}

/** A little beyond 0..255, for noise: no colour lies farther. */
const inGamut = (level: number) => level > -40 && level < 300;

/** A fit by the best of the three variants, of a template whose square lies inside the picture. */
export function fitTemplate(canvas: Canvas, template: Template, left: number, top: number): Fit {
  const { size, levels, ground, weight } = canvas;
  const { side, alpha, shade, outlinedAlpha, outline, own } = template;
  let before = 0;
  let ownAfter = 0;
  let shadeSquares = 0;
  let opacity = 0;
  let free = 0;
  const after = [0, 0];
  const centres = [
    [0, 0, 0],
    [0, 0, 0],
  ];
  for (let channel = 0; channel < 3; channel++) {
    const [plane, under, ownPlane] = [levels[channel]!, ground[channel]!, own[channel]!];
    let tintSquares = 0;
    let tintProducts = 0;
    let lineSquares = 0;
    let lineProducts = 0;
    shadeSquares = 0;
    for (let y = 0, at = 0; y < side; y++) {
      let pixel = (top + y) * size + left;
      for (let x = 0; x < side; x++, at++, pixel++) {
        const w = weight[pixel]!;
        const a = alpha[at]!;
        if (channel === 0) {
          opacity += a;
          free += a * w;
        }
        if (w === 0) continue;
        const [b, s] = [under[pixel]!, shade[at]!];
        const d = plane[pixel]! - b;
        before += w * d * d;
        const tint = d + a * b;
        tintSquares += w * tint * tint;
        tintProducts += w * s * tint;
        const line = d + outlinedAlpha[at]! * b - outline[at]!;
        lineSquares += w * line * line;
        lineProducts += w * s * line;
        shadeSquares += w * s * s;
        const rest = tint - ownPlane[at]!;
        ownAfter += w * rest * rest;
      }
    }
    if (shadeSquares > 0) {
      after[0]! += tintSquares - (tintProducts * tintProducts) / shadeSquares;
      after[1]! += lineSquares - (lineProducts * lineProducts) / shadeSquares;
      centres[0]![channel] = tintProducts / shadeSquares;
      centres[1]![channel] = lineProducts / shadeSquares;
    }
  }
  const visible = opacity === 0 ? 0 : free / opacity;
  const [tinted, outlined] = centres as unknown as [Rgb, Rgb];
  // A fitted colour has three more numbers to please the picture with than a sprite's own: it must be better by some.
  const options: readonly [Variant, number, Rgb][] = [
    ['own', ownAfter, tinted],
    ['tinted', tinted.every(inGamut) ? after[0]! * 1.05 : Number.POSITIVE_INFINITY, tinted],
    ['outlined', outlined.every(inGamut) && extreme(outlined) ? after[1]! * 1.05 : Number.POSITIVE_INFINITY, outlined],
  ];
  const [variant, left0, centre] = options.reduce((best, option) => (option[1] < best[1] ? option : best));
  return { variant, before, after: left0, centre, visible };
}

/** Only black and white sprites have an outline: a centre that is nearly grey, and dark or bright. */
function extreme(rgb: Rgb): boolean {
  const [low, high] = [Math.min(...rgb), Math.max(...rgb)];
  return high - low < 50 && (high < 110 || low > 180);
}
