/** What an edit leads to: another scene, and where a scene cannot say it, what is done to its pixels. */
import type { RgbImage } from '../../image/rgb-image.ts';
import { DataError } from '../error.ts';
import type { Atlas } from './atlas.ts';
import type { Place, Relation } from './facts.ts';
import { backgroundCentres, renderLayers, renderScene } from './render.ts';
import type { Background, Colour, Scene, Style } from './scene.ts';

export const imageMaps = ['greyscale', 'sepia', 'posterise', 'invert', 'pixelate'] as const;
export type ImageMap = (typeof imageMaps)[number];

export interface EditTarget {
  readonly scene: Scene;
  /** Done to the picture of the scene. */
  readonly imageMap?: ImageMap;
  /** The scene's one thing stands on #FFFFFF, which no background is, instead of its background. */
  readonly canvas?: 'white';
}

/** What must be true of a right answer; things are meant by their place in the source's `objects`. */
export type EditOperation =
  | {
      readonly type: 'add';
      readonly class: string;
      /** `null`: any. */
      readonly colour: Colour | null;
      /** Where it must stand; anywhere free when both are absent. */
      readonly relation?: { readonly relation: Relation; readonly reference: number };
      readonly place?: Place;
    }
  | { readonly type: 'remove'; readonly objects: readonly number[] }
  | { readonly type: 'replace'; readonly object: number; readonly class: string; readonly colour: Colour | null }
  | {
      readonly type: 'adjust';
      readonly attribute: 'colour';
      readonly objects: readonly number[];
      readonly colour: Colour;
    }
  | {
      readonly type: 'adjust';
      readonly attribute: 'size';
      readonly object: number;
      readonly change: 'larger' | 'smaller';
    }
  | { readonly type: 'extract'; readonly object: number }
  | { readonly type: 'background'; readonly background: Background }
  | { readonly type: 'style'; readonly style: Style }
  | { readonly type: 'style'; readonly imageMap: ImageMap }
  | { readonly type: 'action'; readonly object: number; readonly sprite: string };

/** Levels a channel that `posterise` leaves. */
const posteriseLevels = 3;
/** Blocks a side that `pixelate` leaves. */
const pixelateBlocks = 16;

/** What a map makes of one pixel. */
const pixelMaps: Readonly<
  Record<Exclude<ImageMap, 'pixelate'>, (red: number, green: number, blue: number) => readonly [number, number, number]>
> = {
  // ITU-R BT.601 luma.
  greyscale: (red, green, blue) => {
    const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    return [luma, luma, luma];
  },
  // The matrix of CSS `sepia(1)` (Filter Effects Module Level 1).
  sepia: (red, green, blue) => [
    0.393 * red + 0.769 * green + 0.189 * blue,
    0.349 * red + 0.686 * green + 0.168 * blue,
    0.272 * red + 0.534 * green + 0.131 * blue,
  ],
  posterise: (...rgb) =>
    rgb.map((level) => (Math.round((level / 255) * (posteriseLevels - 1)) * 255) / (posteriseLevels - 1)) as [
      number,
      number,
      number,
    ],
  invert: (red, green, blue) => [255 - red, 255 - green, 255 - blue],
};

/** The mapped picture; the given one stays as it is. */
export function mapImage(image: RgbImage, map: ImageMap): RgbImage {
  if (map === 'pixelate') return pixelate(image);
  const data = new Uint8Array(image.data.length);
  const change = pixelMaps[map];
  for (let at = 0; at < data.length; at += 3) {
    const changed = change(image.data[at]!, image.data[at + 1]!, image.data[at + 2]!);
    for (let channel = 0; channel < 3; channel++) data[at + channel] = Math.min(255, Math.round(changed[channel]!));
  }
  return { ...image, data };
}

/** Every block in its mean colour. */
function pixelate({ width, height, data }: RgbImage): RgbImage {
  const result = new Uint8Array(data.length);
  const edges = (length: number) => {
    const blocks = Math.min(pixelateBlocks, length);
    return Array.from({ length: blocks + 1 }, (_, i) => Math.round((i * length) / blocks));
  };
  const [columns, rows] = [edges(width), edges(height)];
  for (let j = 0; j + 1 < rows.length; j++) {
    for (let i = 0; i + 1 < columns.length; i++) {
      const count = (columns[i + 1]! - columns[i]!) * (rows[j + 1]! - rows[j]!);
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let y = rows[j]!; y < rows[j + 1]!; y++) {
          for (let x = columns[i]!; x < columns[i + 1]!; x++) sum += data[(y * width + x) * 3 + channel]!;
        }
        const mean = Math.round(sum / count);
        for (let y = rows[j]!; y < rows[j + 1]!; y++) {
          for (let x = columns[i]!; x < columns[i + 1]!; x++) result[(y * width + x) * 3 + channel] = mean;
        }
      }
    }
  }
  return { width, height, data: result };
}

/** Puts #FFFFFF in the place of a plain background, exactly: what of it shines through is known from the thing's opacity. */
function onWhite(scene: Scene, atlas: Atlas, size: number): RgbImage {
  const { background, objects } = scene;
  if (background.kind !== 'plain' || objects.length !== 1) {
    throw new DataError('data_invalid', `a white canvas bears one thing on a plain ground, got ${objects.length}`, {
      objects: objects.length,
      background: background.kind,
    });
  }
  const image = renderScene(scene, atlas, size);
  const { alpha } = renderLayers(scene, atlas, size)[0]!;
  const ground = backgroundCentres[background.colour];
  const data = image.data.map((level, at) => {
    const rest = 255 - alpha[Math.floor(at / 3)]!;
    return level - Math.floor((ground[at % 3]! * rest + 127) / 255) + rest;
  });
  return { ...image, data };
}

/**
 * Draws the target of an edit.
 * @throws as `renderScene`; DataError `data_invalid` when a white canvas bears more or less than one thing
 */
export function renderTarget({ scene, imageMap, canvas }: EditTarget, atlas: Atlas, size: number): RgbImage {
  const image = canvas === 'white' ? onWhite(scene, atlas, size) : renderScene(scene, atlas, size);
  return imageMap === undefined ? image : mapImage(image, imageMap);
}
