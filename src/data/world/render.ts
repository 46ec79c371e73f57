/**
 * Scenes as pixels. The same scene gives the same bytes everywhere; a scene at 64 pixels is the area average of the same
 * scene at 128, but for rounding, where its boxes lie on whole pixels in both.
 */
import { checkSize, type RgbImage } from '../../image/rgb-image.ts';
import type { Atlas, Stamp } from './atlas.ts';
import { type Background, type Box, type Colour, colours, type Scene, type WorldObject } from './scene.ts';
import { stampOf } from './stamp.ts';
import { colourCentres, type Rgb } from './vocabulary.ts';

/** How far a background's colour is drawn towards mid-grey. */
const muting = 0.25;

/**
 * Colours of backgrounds: the ten centres, muted, so that a sprite that is red by nature stays visible on red, and so that
 * backgrounds never equal a tinted object. Each stays nearest to its own name among the backgrounds.
 */
export const backgroundCentres = Object.fromEntries(
  colours.map((colour) => [
    colour,
    colourCentres[colour].map((level) => Math.round(level + (128 - level) * muting)) as unknown as Rgb,
  ]),
) as Readonly<Record<Colour, Rgb>>;

function paintBackground(data: Uint8Array, background: Background, size: number): void {
  const from = backgroundCentres[background.kind === 'plain' ? background.colour : background.from];
  const to = background.kind === 'plain' ? from : backgroundCentres[background.to];
  const across = background.kind === 'gradient' && background.angle === 90;
  for (let step = 0; step < size; step++) {
    const share = (step + 0.5) / size;
    const [red, green, blue] = from.map((level, i) => Math.round(level + (to[i]! - level) * share)) as [
      number,
      number,
      number,
    ];
    const stride = across ? size * 3 : 3;
    for (let i = 0, at = across ? step * 3 : step * size * 3; i < size; i++, at += stride) {
      data[at] = red;
      data[at + 1] = green;
      data[at + 2] = blue;
    }
  }
}

/** Where a box lies in pixels: its edges on the nearest whole ones, at least one pixel wide. */
function pixelBox(box: Box, size: number): { left: number; top: number; width: number; height: number } {
  const left = Math.round(box.x * size);
  const top = Math.round(box.y * size);
  const width = Math.max(1, Math.round((box.x + box.width) * size) - left);
  const height = Math.max(1, Math.round((box.y + box.height) * size) - top);
  return { left, top, width, height };
}

interface Placed {
  /** Position in `scene.objects`. */
  readonly index: number;
  readonly left: number;
  readonly top: number;
  readonly stamp: Stamp;
}

/** Farthest first. */
function place(objects: readonly WorldObject[], atlas: Atlas, size: number): Placed[] {
  return objects
    .map((object, index) => ({ object, index }))
    .sort((a, b) => a.object.z - b.object.z || a.index - b.index)
    .map(({ object, index }) => {
      const { left, top, width, height } = pixelBox(object.box, size);
      const { style, sprite, colour, flip } = object;
      return { index, left, top, stamp: stampOf(atlas, style, sprite, colour, flip, width, height) };
    });
}

/** Calls `visit` with (offset in the stamp, pixel of the picture) for the part of the stamp inside the picture. */
function overlapping({ left, top, stamp }: Placed, size: number, visit: (from: number, pixel: number) => void): void {
  const [firstColumn, lastColumn] = [Math.max(0, -left), Math.min(stamp.width, size - left)];
  const [firstRow, lastRow] = [Math.max(0, -top), Math.min(stamp.height, size - top)];
  for (let row = firstRow; row < lastRow; row++) {
    let from = (row * stamp.width + firstColumn) * 4;
    let pixel = (top + row) * size + left + firstColumn;
    for (let column = firstColumn; column < lastColumn; column++, from += 4, pixel++) visit(from, pixel);
  }
}

/**
 * Draws a scene.
 * @param size side of the picture in pixels, from 1
 * @throws DataError `data_not_found` when the atlas lacks a sprite
 * @throws ImageError `image_invalid` when the size is not valid
 */
export function renderScene(scene: Scene, atlas: Atlas, size: number): RgbImage {
  checkSize(size, size, 'renderScene');
  const data = new Uint8Array(size * size * 3);
  paintBackground(data, scene.background, size);
  for (const placed of place(scene.objects, atlas, size)) {
    const sprite = placed.stamp.data;
    overlapping(placed, size, (from, pixel) => {
      const alpha = sprite[from + 3]!;
      if (alpha === 0) return;
      const rest = 255 - alpha;
      const at = pixel * 3;
      data[at] = sprite[from]! + Math.floor((data[at]! * rest + 127) / 255);
      data[at + 1] = sprite[from + 1]! + Math.floor((data[at + 1]! * rest + 127) / 255);
      data[at + 2] = sprite[from + 2]! + Math.floor((data[at + 2]! * rest + 127) / 255);
    });
  }
  return { width: size, height: size, data };
}

/** What one object covers. */
export interface Layer {
  /** Opacity of the object alone, 0..255: `[size, size]`. */
  readonly alpha: Uint8Array;
  /** The same after what nearer objects hide. */
  readonly visible: Uint8Array;
  /** Share of the object's opacity that is inside the picture and not hidden, 0..1. */
  readonly visibleFraction: number;
  /** The smallest box around pixels that are at least half opaque, hidden or not; `null` when there are none. */
  readonly bounds: Box | null;
}

function boundsOf(alpha: Uint8Array, size: number): Box | null {
  let [left, top, right, bottom] = [size, size, -1, -1];
  for (let pixel = 0; pixel < alpha.length; pixel++) {
    if (alpha[pixel]! < 128) continue;
    const [column, row] = [pixel % size, Math.floor(pixel / size)];
    left = Math.min(left, column);
    right = Math.max(right, column);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
  }
  if (right < 0) return null;
  return { x: left / size, y: top / size, width: (right + 1 - left) / size, height: (bottom + 1 - top) / size };
}

/**
 * What each object covers and how much of it can be seen, in the order of `scene.objects`.
 * @param size as in `renderScene`; same errors
 */
export function renderLayers(scene: Scene, atlas: Atlas, size: number): Layer[] {
  checkSize(size, size, 'renderLayers');
  const layers = new Array<Layer>(scene.objects.length);
  /** What is not yet covered by nearer objects, 0..1. */
  const free = new Float64Array(size * size).fill(1);
  for (const placed of place(scene.objects, atlas, size).reverse()) {
    const alpha = new Uint8Array(size * size);
    const visible = new Uint8Array(size * size);
    const sprite = placed.stamp.data;
    let seen = 0;
    overlapping(placed, size, (from, pixel) => {
      const level = sprite[from + 3]!;
      alpha[pixel] = level;
      visible[pixel] = Math.round(level * free[pixel]!);
      seen += level * free[pixel]!;
      free[pixel]! *= 1 - level / 255;
    });
    let whole = 0;
    for (let at = 3; at < sprite.length; at += 4) whole += sprite[at]!;
    const visibleFraction = whole === 0 ? 0 : seen / whole;
    layers[placed.index] = { alpha, visible, visibleFraction, bounds: boundsOf(alpha, size) };
  }
  return layers;
}
