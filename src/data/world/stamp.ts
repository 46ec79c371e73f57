/**
 * A sprite made ready to be laid over a picture: tinted, outlined, scaled and mirrored. All in sRGB levels, as browsers and
 * Pillow do, in plain arithmetic: the same bytes on every machine.
 */
import type { Atlas, Stamp } from './atlas.ts';
import type { Colour, Style } from './scene.ts';
import { colourCentres } from './vocabulary.ts';

/** The outline of black and white sprites, in pixels of the atlas's square. */
const outlineWidth = 2;
const outlineLevel = 128;
/** Brighter than this many medians is as bright; else highlights of dark sprites clip and pink turns white. */
const brightest = 1.3;
/** Added to both sides of the ratio, so that nearly black sprites keep a shape instead of dividing by zero. */
const luminanceFloor = 8;

function luminance(pixels: Uint8Array, at: number): number {
  return 0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!;
}

/** Median over pixels that are at least half opaque, to whole levels. */
function medianLuminance(pixels: Uint8Array): number {
  const histogram = new Uint32Array(256);
  let opaque = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at + 3]! < 128) continue;
    histogram[Math.round(luminance(pixels, at))]!++;
    opaque++;
  }
  let [level, below] = [0, histogram[0]!];
  while (level < 255 && below <= opaque >> 1) below += histogram[++level]!;
  return level;
}

/**
 * Recolours in place and keeps the drawing: centre × (0.45 + 0.55·L / median L). The median pixel gets the centre itself.
 */
export function tint(pixels: Uint8Array, colour: Colour): void {
  const median = medianLuminance(pixels) + luminanceFloor;
  const centre = colourCentres[colour];
  for (let at = 0; at < pixels.length; at += 4) {
    const shade = 0.45 + 0.55 * Math.min((luminance(pixels, at) + luminanceFloor) / median, brightest);
    for (let channel = 0; channel < 3; channel++) {
      pixels[at + channel] = Math.min(255, Math.round(centre[channel]! * shade));
    }
  }
}

/** Premultiplied planes-in-one, `[side, side, 4]`, levels 0..255 as floats. */
function premultiply(pixels: Uint8Array): Float64Array {
  const out = new Float64Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 4) {
    const alpha = pixels[at + 3]!;
    for (let channel = 0; channel < 3; channel++) out[at + channel] = (pixels[at + channel]! * alpha) / 255;
    out[at + 3] = alpha;
  }
  return out;
}

/** Lays the sprite over its own silhouette, grown by `outlineWidth` and mid-grey. */
function outline(sprite: Float64Array, side: number): void {
  const reach = outlineWidth;
  const disc: [number, number][] = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) if (x * x + y * y <= reach * reach + 1) disc.push([x, y]);
  }
  const grown = new Float64Array(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const alpha = sprite[(y * side + x) * 4 + 3]!;
      if (alpha === 0) continue;
      for (const [dx, dy] of disc) {
        const [column, row] = [x + dx, y + dy];
        if (column < 0 || row < 0 || column >= side || row >= side) continue;
        const at = row * side + column;
        if (grown[at]! < alpha) grown[at] = alpha;
      }
    }
  }
  for (let at = 0; at < grown.length; at++) {
    const under = (grown[at]! * (255 - sprite[at * 4 + 3]!)) / 255;
    for (let channel = 0; channel < 3; channel++) sprite[at * 4 + channel]! += (under * outlineLevel) / 255;
    sprite[at * 4 + 3]! += under;
  }
}

/** Which source positions make up each target position: exact areas when shrinking, linear when growing. */
function weightsFor(from: number, to: number): { first: Int32Array; weights: Float64Array[] } {
  const scale = from / to;
  const first = new Int32Array(to);
  const weights: Float64Array[] = [];
  for (let target = 0; target < to; target++) {
    if (scale >= 1) {
      const [start, end] = [target * scale, (target + 1) * scale];
      const low = Math.floor(start);
      const high = Math.min(from, Math.ceil(end - 1e-9));
      const share = Float64Array.from(
        { length: high - low },
        (_, i) => (Math.min(end, low + i + 1) - Math.max(start, low + i)) / scale,
      );
      first[target] = low;
      weights.push(share);
    } else {
      const centre = Math.min(Math.max((target + 0.5) * scale - 0.5, 0), from - 1);
      const low = Math.min(Math.floor(centre), Math.max(from - 2, 0));
      first[target] = low;
      weights.push(from === 1 ? Float64Array.of(1) : Float64Array.of(1 - (centre - low), centre - low));
    }
  }
  return { first, weights };
}

function resample(source: Float64Array, side: number, width: number, height: number): Float64Array {
  const across = weightsFor(side, width);
  const wide = new Float64Array(side * width * 4);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < width; column++) {
      const weights = across.weights[column]!;
      for (let tap = 0; tap < weights.length; tap++) {
        const from = (row * side + across.first[column]! + tap) * 4;
        const to = (row * width + column) * 4;
        for (let channel = 0; channel < 4; channel++) wide[to + channel]! += source[from + channel]! * weights[tap]!;
      }
    }
  }
  const down = weightsFor(side, height);
  const out = new Float64Array(width * height * 4);
  for (let row = 0; row < height; row++) {
    const weights = down.weights[row]!;
    for (let tap = 0; tap < weights.length; tap++) {
      const from = (down.first[row]! + tap) * width * 4;
      const to = row * width * 4;
      for (let value = 0; value < width * 4; value++) out[to + value]! += wide[from + value]! * weights[tap]!;
    }
  }
  return out;
}

function makeStamp(
  atlas: Atlas,
  style: Style,
  sprite: string,
  colour: Colour | null,
  flip: boolean,
  width: number,
  height: number,
): Stamp {
  const pixels = atlas.pixels(style, sprite);
  if (colour !== null) tint(pixels, colour);
  const full = premultiply(pixels);
  if (colour === 'black' || colour === 'white') outline(full, atlas.index.cell);
  const scaled = resample(full, atlas.index.cell, width, height);
  const data = new Uint8Array(width * height * 4);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (row * width + (flip ? width - 1 - column : column)) * 4;
      const to = (row * width + column) * 4;
      for (let channel = 0; channel < 4; channel++) data[to + channel] = Math.round(scaled[from + channel]!);
    }
  }
  return { width, height, data };
}

/**
 * The stamp of a sprite in pixels; made once and then remembered by the atlas.
 * @throws DataError `data_not_found` when the atlas lacks the sprite
 */
export function stampOf(
  atlas: Atlas,
  style: Style,
  sprite: string,
  colour: Colour | null,
  flip: boolean,
  width: number,
  height: number,
): Stamp {
  const key = `${style} ${sprite} ${colour} ${flip} ${width} ${height}`;
  return atlas.stamps.get(key, () => makeStamp(atlas, style, sprite, colour, flip, width, height));
}
