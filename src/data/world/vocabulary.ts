/**
 * The classes of the closed world: GenEval's objects (COCO's 80 names) that have an emoji of their own. Of the 80, 56 have
 * one and 6 a recognisable stand-in; 18 have none (fire hydrant) or are only drawn with something else (fork with knife).
 */
import { DataError } from '../error.ts';
import { type Colour, colours } from './scene.ts';

export interface WorldClass {
  /** GenEval's name: `sports ball`. */
  readonly name: string;
  /** `sports balls`; equals `name` where both are the same (`sheep`). */
  readonly plural: string;
  /** The class's row in GenEval's `object_names.txt`, 0..79. */
  readonly index: number;
  /** Code points of emoji that show it, in lower-case hexadecimal; the first is the plainest. Every style has all. */
  readonly sprites: readonly [string, ...string[]];
  /** False where a colour word would be odd: GenEval never colours a person. */
  readonly colourable: boolean;
}

/** `[index in GenEval's list, name, sprites]`. Sprites that show less or more than the object are left out. */
const table: readonly (readonly [number, string, string])[] = [
  [0, 'person', '1f9cd 1f6b6 1f3c3'],
  [1, 'bicycle', '1f6b2'],
  [2, 'car', '1f697 1f699 1f3ce'],
  [3, 'motorcycle', '1f3cd 1f6f5'],
  [4, 'airplane', '2708 1f6e9'],
  [5, 'bus', '1f68c 1f68d'],
  [6, 'train', '1f686 1f682 1f684 1f685'],
  [7, 'truck', '1f69a 1f69b 1f6fb'],
  [8, 'boat', '26f5 1f6a4 1f6a2 1f6f6 1f6e5'],
  [9, 'traffic light', '1f6a6 1f6a5'],
  [11, 'stop sign', '1f6d1'],
  [14, 'bird', '1f426 1f99c 1f985 1f54a'],
  [15, 'cat', '1f408 1f431'],
  [16, 'dog', '1f415 1f436 1f429'],
  [17, 'horse', '1f40e 1f434'],
  [18, 'sheep', '1f411 1f40f'],
  [19, 'cow', '1f404 1f42e'],
  [20, 'elephant', '1f418'],
  [21, 'bear', '1f43b'],
  [22, 'zebra', '1f993'],
  [23, 'giraffe', '1f992'],
  [24, 'backpack', '1f392'],
  [25, 'umbrella', '2602 2614'],
  [26, 'handbag', '1f45c 1f45b 1f45d'],
  [28, 'suitcase', '1f9f3'],
  [29, 'frisbee', '1f94f'],
  [30, 'skis', '1f3bf'],
  [32, 'sports ball', '26bd 1f3c0 1f3d0 26be 1f94e 1f3c8'],
  [33, 'kite', '1fa81'],
  [36, 'skateboard', '1f6f9'],
  [39, 'bottle', '1f37e 1f37c 1f9f4'],
  [40, 'wine glass', '1f377'],
  [41, 'cup', '2615 1f375 1f964'],
  [43, 'knife', '1f52a'],
  [44, 'spoon', '1f944'],
  [45, 'bowl', '1f963 1f957 1f35c'],
  [46, 'banana', '1f34c'],
  [47, 'apple', '1f34e 1f34f'],
  [48, 'sandwich', '1f96a'],
  [49, 'orange', '1f34a'],
  [50, 'broccoli', '1f966'],
  [51, 'carrot', '1f955'],
  [52, 'hot dog', '1f32d'],
  [53, 'pizza', '1f355'],
  [54, 'donut', '1f369'],
  [55, 'cake', '1f382 1f370'],
  [56, 'chair', '1fa91'],
  [57, 'couch', '1f6cb'],
  [58, 'potted plant', '1fab4'],
  [59, 'bed', '1f6cf'],
  [61, 'toilet', '1f6bd'],
  [62, 'tv', '1f4fa'],
  [63, 'laptop', '1f4bb'],
  [64, 'computer mouse', '1f5b1'],
  [66, 'computer keyboard', '2328'],
  [67, 'cell phone', '1f4f1'],
  [73, 'book', '1f4d5 1f4d7 1f4d8 1f4d9 1f4d6'],
  [74, 'clock', '23f0 1f552 1f570'],
  [75, 'vase', '1f3fa'],
  [76, 'scissors', '2702'],
  [77, 'teddy bear', '1f9f8'],
  [79, 'toothbrush', '1faa5'],
];

/** Plurals that no rule gives; GenEval's own rule would write `persons`, `sheeps` and `skises`. */
const irregular: Readonly<Record<string, string>> = {
  person: 'people',
  sheep: 'sheep',
  skis: 'skis',
  scissors: 'scissors',
  knife: 'knives',
  broccoli: 'broccoli',
  'computer mouse': 'computer mice',
};

function regularPlural(name: string): string {
  if (/(s|x|z|ch|sh)$/.test(name)) return `${name}es`;
  return `${name}s`;
}

/** All 62 classes, in GenEval's order. */
export const worldClasses: readonly WorldClass[] = table.map(([index, name, sprites]) => ({
  name,
  plural: irregular[name] ?? regularPlural(name),
  index,
  sprites: sprites.split(' ') as [string, ...string[]],
  colourable: name !== 'person',
}));

const byName = new Map(worldClasses.map((worldClass) => [worldClass.name, worldClass]));

/** Whether the world has a class of this name. */
export function isWorldClass(name: string): boolean {
  return byName.has(name);
}

/**
 * The class of a GenEval name.
 * @throws DataError `data_not_found`
 */
export function classNamed(name: string): WorldClass {
  const found = byName.get(name);
  if (found === undefined) {
    throw new DataError('data_not_found', `the world has no class '${name}'; it has ${[...byName.keys()].join(', ')}`, {
      name,
    });
  }
  return found;
}

/**
 * `dogs` for `dog`.
 * @throws DataError `data_not_found`
 */
export function pluralOf(name: string): string {
  return classNamed(name).plural;
}

/** `a dog`, `an apple`, `an orange dog`: GenEval's rule, `an` before a, e, i, o and u. Takes any words. */
export function withArticle(words: string): string {
  return `${/^[aeiou]/i.test(words) ? 'an' : 'a'} ${words}`;
}

export type Rgb = readonly [red: number, green: number, blue: number];

/** The ten colours' centres, 8-bit sRGB: Twemoji's own swatches. */
export const colourCentres: Readonly<Record<Colour, Rgb>> = {
  red: [0xdd, 0x2e, 0x44],
  orange: [0xf4, 0x90, 0x0c],
  yellow: [0xfd, 0xcb, 0x58],
  green: [0x78, 0xb1, 0x59],
  blue: [0x55, 0xac, 0xee],
  purple: [0xaa, 0x8e, 0xd6],
  pink: [0xf4, 0xab, 0xba],
  brown: [0xc1, 0x69, 0x4f],
  black: [0x31, 0x37, 0x3d],
  white: [0xe6, 0xe7, 0xe8],
};

/** CIELAB (D65, 2 degrees) of 8-bit sRGB: IEC 61966-2-1 and CIE 15. */
export function labOf([red, green, blue]: Rgb): readonly [lightness: number, a: number, b: number] {
  const linear = (level: number) => {
    const c = level / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  const [r, g, b] = [linear(red), linear(green), linear(blue)];
  const f = (t: number) => (t > (6 / 29) ** 3 ? Math.cbrt(t) : t / (3 * (6 / 29) ** 2) + 4 / 29);
  const x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
  const y = f(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
  const z = f((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** The colour whose centre lies nearest in CIELAB; `centres` can be other ones, the backgrounds' say. */
export function nearestColour(rgb: Rgb, centres: Readonly<Record<Colour, Rgb>> = colourCentres): Colour {
  const lab = labOf(rgb);
  const distance = (colour: Colour) => Math.hypot(...labOf(centres[colour]).map((value, i) => value - lab[i]!));
  return colours.reduce((best, colour) => (distance(colour) < distance(best) ? colour : best));
}
