/** The sprites of the closed world in memory, and the memory of what was drawn from them. Pure: runs in browsers too. */
import { z } from 'zod';
import { DataError } from '../error.ts';
import { type Style, styles } from './scene.ts';

/** `assets/world/atlas.json`: where the sprites lie on every style's sheet. */
export const atlasIndexSchema = z.strictObject({
  /** Side of a sprite's square, in pixels. */
  cell: z.int().min(1),
  /** Empty pixels at each edge of the square, at least. */
  margin: z.int().min(0),
  /** Squares a row. */
  columns: z.int().min(1),
  styles: z.array(z.enum(styles)),
  /** In the sheet's order, row by row. */
  sprites: z.array(z.string()),
});
export type AtlasIndex = z.infer<typeof atlasIndexSchema>;

/** An 8-bit RGBA picture, not premultiplied: `[height, width, 4]`. */
export interface Sheet {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A sprite as it is laid over a picture. */
export interface Stamp {
  readonly width: number;
  readonly height: number;
  /** RGBA, 8 bits, premultiplied: `[height, width, 4]`. */
  readonly data: Uint8Array;
}

export interface Atlas {
  readonly index: AtlasIndex;
  /**
   * The sprite's square, RGBA, not premultiplied: `[cell, cell, 4]`; a copy.
   * Throws `DataError` (`data_not_found`).
   */
  pixels(style: Style, sprite: string): Uint8Array;
  /** Finished stamps by what they show; whoever draws fills it. */
  readonly stamps: StampMemory;
}

/** Keeps stamps until they weigh too much; then all go, since scenes visit them evenly. */
export class StampMemory {
  readonly #stamps = new Map<string, Stamp>();
  readonly #limit: number;
  #bytes = 0;

  /** `limit`: the most bytes kept. */
  constructor(limit = 192 * 2 ** 20) {
    this.#limit = limit;
  }

  /** The stamp of this key, made by `make` the first time. */
  get(key: string, make: () => Stamp): Stamp {
    const kept = this.#stamps.get(key);
    if (kept !== undefined) return kept;
    const stamp = make();
    this.#bytes += stamp.data.length;
    if (this.#bytes > this.#limit) {
      this.#stamps.clear();
      this.#bytes = stamp.data.length;
    }
    this.#stamps.set(key, stamp);
    return stamp;
  }
}

/**
 * An atlas of decoded sheets.
 * @throws DataError `data_invalid` when a sheet is missing or too small for the index
 */
export function createAtlas(index: AtlasIndex, sheets: ReadonlyMap<Style, Sheet>): Atlas {
  const { cell, columns, sprites } = index;
  const rows = Math.ceil(sprites.length / columns);
  for (const style of index.styles) {
    const sheet = sheets.get(style);
    if (sheet === undefined || sheet.width < columns * cell || sheet.height < rows * cell) {
      throw new DataError(
        'data_invalid',
        `the sheet of '${style}' must have at least ${columns * cell} x ${rows * cell} pixels, ` +
          `got ${sheet === undefined ? 'none' : `${sheet.width} x ${sheet.height}`}`,
        { style },
      );
    }
  }
  const places = new Map(sprites.map((sprite, place) => [sprite, place]));
  return {
    index,
    stamps: new StampMemory(),
    pixels: (style, sprite) => {
      const [sheet, place] = [sheets.get(style), places.get(sprite)];
      if (sheet === undefined || place === undefined) {
        throw new DataError('data_not_found', `the atlas has no sprite ${sprite} in style '${style}'`, {
          style,
          sprite,
        });
      }
      const pixels = new Uint8Array(cell * cell * 4);
      const [left, top] = [(place % columns) * cell, Math.floor(place / columns) * cell];
      for (let row = 0; row < cell; row++) {
        const start = ((top + row) * sheet.width + left) * 4;
        pixels.set(sheet.data.subarray(start, start + cell * 4), row * cell * 4);
      }
      return pixels;
    },
  };
}
