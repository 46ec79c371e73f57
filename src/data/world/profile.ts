/** Which scenes are sampled: a world's classes, looks, sizes and mixture as data. */
import { z } from 'zod';
import { colours, styles } from './scene.ts';
import { isWorldClass, worldClasses } from './vocabulary.ts';

const share = z.number().min(0).max(1);
const weight = z.number().nonnegative();

/** At least one weight is above zero. */
const weighs = (list: readonly number[]) => list.some((value) => value > 0);

export const worldProfileSchema = z.strictObject({
  name: z.string().min(1),
  classes: z
    .array(z.string().refine(isWorldClass, 'not a class of the world'))
    .min(2)
    .refine((names) => new Set(names).size === names.length, 'a class twice'),
  styles: z.array(z.enum(styles)).min(1).describe('A scene has one style.'),
  sprites: z.enum(['plainest', 'all']).describe("Only each class's plainest sprite, or all of its sprites."),
  colours: z.array(z.enum(colours)).min(2),
  colouredShare: share.describe('Chance that an object is tinted where the kind of scene does not decide it.'),
  grid: z.int().min(2).max(64).describe("Objects' edges lie on multiples of 1/grid of the side."),
  sizes: z
    .array(z.strictObject({ cells: z.int().min(1), weight }))
    .min(1)
    .refine((list) => weighs(list.map((size) => size.weight)), 'no weight')
    .describe("Objects' sides in units of 1/grid."),
  maxOverlap: share.describe("The most that two boxes may share, of the smaller one's area."),
  counts: z
    .array(z.strictObject({ count: z.int().min(2).max(6), weight }))
    .refine((list) => weighs(list.map((size) => size.weight)), 'no weight')
    .describe('How many objects counting and mixed scenes have; the other kinds have one or two.'),
  kinds: z
    .strictObject({
      single: weight.describe('One object.'),
      counting: weight.describe('Two or more of one class, one sprite and one colour, nothing else.'),
      relation: weight.describe("Two classes in exactly one of GenEval's four relations."),
      colours: weight.describe('Two classes in two colours.'),
      mixed: weight.describe('Two or more of any.'),
    })
    .refine((kinds) => weighs(Object.values(kinds)), 'no weight')
    .describe('The mixture of kinds of scenes.'),
  repeatShare: share.describe('Chance that a further object of a mixed scene is of a class that is there already.'),
  affinity: z
    .number()
    .min(1)
    .describe(
      'How many times likelier a class is beside one of its own kind (`companionsOf`): POPE needs such habits.',
    ),
  background: z.strictObject({ colours: z.array(z.enum(colours)).min(2), gradientShare: share }),
  flipShare: share.describe('Chance that an object is mirrored.'),
});
export type WorldProfile = z.infer<typeof worldProfileSchema>;

/** Everything: all classes, sprites, styles and colours; for pictures from 128 pixels on. */
export const fullWorld: WorldProfile = {
  name: 'full',
  classes: worldClasses.map(({ name }) => name),
  styles: [...styles],
  sprites: 'all',
  colours: [...colours],
  colouredShare: 0.6,
  grid: 16,
  sizes: [
    { cells: 3, weight: 1 },
    { cells: 4, weight: 2 },
    { cells: 5, weight: 2 },
    { cells: 6, weight: 2 },
    { cells: 8, weight: 1 },
  ],
  maxOverlap: 0.1,
  counts: [
    { count: 2, weight: 3 },
    { count: 3, weight: 3 },
    { count: 4, weight: 3 },
    { count: 5, weight: 2 },
    { count: 6, weight: 1 },
  ],
  kinds: { single: 2, counting: 2, relation: 2, colours: 2, mixed: 2 },
  repeatShare: 0.25,
  affinity: 6,
  background: { colours: [...colours], gradientShare: 0.3 },
  flipShare: 0.5,
};

/** A world for 64 pixels: 30 classes of 24 pixels, in two styles, on a grid of 8 pixels and four plain backgrounds. */
export const nanoWorld: WorldProfile = {
  ...fullWorld,
  name: 'nano',
  classes: [
    'bicycle',
    'car',
    'airplane',
    'broccoli',
    'boat',
    'traffic light',
    'couch',
    'bird',
    'cat',
    'dog',
    'elephant',
    'giraffe',
    'teddy bear',
    'umbrella',
    'suitcase',
    'sports ball',
    'kite',
    'bottle',
    'wine glass',
    'cup',
    'banana',
    'apple',
    'carrot',
    'pizza',
    'donut',
    'cake',
    'chair',
    'tv',
    'clock',
    'scissors',
  ],
  styles: ['noto', 'twemoji'],
  sprites: 'plainest',
  grid: 8,
  sizes: [{ cells: 3, weight: 1 }],
  maxOverlap: 0,
  flipShare: 0,
  background: { colours: ['green', 'blue', 'pink', 'white'], gradientShare: 0 },
  counts: [
    { count: 2, weight: 2 },
    { count: 3, weight: 2 },
    { count: 4, weight: 2 },
  ],
};
