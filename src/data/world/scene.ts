/**
 * A scene of the closed world as data: everything that is to be seen is in it, so that captions, questions, edits and
 * scores are exact. Lengths are in units of the scene's side: a scene has no resolution.
 */
import { z } from 'zod';

/** GenEval's ten colours. */
export const colours = [
  'red',
  'orange',
  'yellow',
  'green',
  'blue',
  'purple',
  'pink',
  'brown',
  'black',
  'white',
] as const;
export type Colour = (typeof colours)[number];

/** Houses whose emoji are the sprites. */
export const styles = ['noto', 'twemoji', 'fluent', 'openmoji'] as const;
export type Style = (typeof styles)[number];

const fraction = z.number().min(-1).max(2);

export const boxSchema = z.strictObject({
  /** Left and top edge. */
  x: fraction,
  y: fraction,
  width: z.number().positive().max(2),
  height: z.number().positive().max(2),
});
export type Box = z.infer<typeof boxSchema>;

export const worldObjectSchema = z.strictObject({
  /** GenEval's name of the object, `sports ball` say. */
  class: z.string().min(1),
  /** Code points of the emoji in lower-case hexadecimal, joined by `-`: `1f34e`. */
  sprite: z.string().regex(/^[0-9a-f]+(-[0-9a-f]+)*$/),
  style: z.enum(styles),
  /** `null` leaves the sprite its own colours. */
  colour: z.enum(colours).nullable(),
  /** Where the sprite's square is drawn. */
  box: boxSchema,
  /** Higher is nearer; equal ones in order. */
  z: z.int(),
  /** Mirrored left to right. */
  flip: z.boolean(),
});
export type WorldObject = z.infer<typeof worldObjectSchema>;

export const backgroundSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('plain'), colour: z.enum(colours) }),
  /** From the top (0 degrees) or the left (90) to the other side. */
  z.strictObject({
    kind: z.literal('gradient'),
    from: z.enum(colours),
    to: z.enum(colours),
    angle: z.union([z.literal(0), z.literal(90)]),
  }),
]);
export type Background = z.infer<typeof backgroundSchema>;

export const sceneSchema = z.strictObject({
  background: backgroundSchema,
  objects: z.array(worldObjectSchema).max(16),
});
export type Scene = z.infer<typeof sceneSchema>;
