/**
 * Combinations that training never shows: those of GenEval's prompts that the world can express. What a scene is said to
 * be is not asked here, only what it shows: `a dog right of a cat` is held out wherever a dog stands right of a cat, also
 * when a caption would say it the other way round.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { relations, relationsBetween } from './facts.ts';
import { type Colour, colours, type Scene } from './scene.ts';

const heldOutSchema = z.strictObject({
  source: z.string(),
  /** By class. */
  colours: z.record(z.string(), z.array(z.enum(colours))),
  /** By class: exactly so many of it. */
  counts: z.record(z.string(), z.array(z.int().min(2))),
  relations: z.array(z.tuple([z.string(), z.enum(relations), z.string()])),
});
export type HeldOut = z.infer<typeof heldOutSchema>;

interface Lookup {
  readonly list: HeldOut;
  readonly relations: ReadonlySet<string>;
}

let lookup: Lookup | undefined;

// Read at first use, not at import: who only draws scenes needs no file.
function heldOut(): Lookup {
  if (lookup === undefined) {
    const file = new URL('../../../assets/world/held-out.json', import.meta.url);
    const list = heldOutSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    lookup = { list, relations: new Set(list.relations.map((triple) => triple.join('|'))) };
  }
  return lookup;
}

/** The whole list, for tests and tables. */
export function heldOutCombinations(): HeldOut {
  return heldOut().list;
}

/** Whether no training scene may show a thing of this class tinted so. */
export function isHeldOutColour(name: string, colour: Colour): boolean {
  return heldOut().list.colours[name]?.includes(colour) ?? false;
}

/** Whether no training scene may show exactly `count` things of this class. */
export function isHeldOutCount(name: string, count: number): boolean {
  return heldOut().list.counts[name]?.includes(count) ?? false;
}

/** Whether a scene shows any held-out combination. Sprites in their own colours have no colour here. */
export function isHeldOut(scene: Scene): boolean {
  const counts = new Map<string, number>();
  for (const object of scene.objects) {
    if (object.colour !== null && isHeldOutColour(object.class, object.colour)) return true;
    counts.set(object.class, (counts.get(object.class) ?? 0) + 1);
  }
  for (const [name, count] of counts) if (isHeldOutCount(name, count)) return true;
  const triples = heldOut().relations;
  return scene.objects.some((a) =>
    scene.objects.some(
      (b) =>
        a !== b && relationsBetween(a.box, b.box).some((relation) => triples.has(`${a.class}|${relation}|${b.class}`)),
    ),
  );
}
