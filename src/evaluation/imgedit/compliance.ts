/** s1 of an edit: what the checker reads in the result, against what was asked and what was to stay. */

import type { EditOperation } from '../../data/world/edit-target.ts';
import type { Edit } from '../../data/world/edits.ts';
import { placeOf, plainlyLarger, relationsBetween } from '../../data/world/facts.ts';
import type { Background, Box, Colour, Scene, Style, WorldObject } from '../../data/world/scene.ts';
import type { FoundObject } from '../checker/checker.ts';
import type { Compliance, Outcome } from './mapping.ts';

/** Distance of two centres in units of the first box. */
function offset(a: Box, b: Box): number {
  const dx = Math.abs(a.x + a.width / 2 - b.x - b.width / 2) / a.width;
  const dy = Math.abs(a.y + a.height / 2 - b.y - b.height / 2) / a.height;
  return Math.max(dx, dy);
}

/** As drawn: a sixth of an object and a tenth of a side. */
const near = 1 / 6;
const half = 0.5;
const sameSize = 1.1;
/** One step of the sizes: from 16 pixels to 24. */
const sizeStep = 1.6;

const sizeRatio = (a: Box, b: Box) => Math.max(a.width / b.width, b.width / a.width);

type Match = { readonly found: FoundObject; readonly slip: boolean };

/** Takes the found object of this class that stands at the box, if one does. */
function take(pool: FoundObject[], box: Box, accepts: (found: FoundObject) => boolean): Match | undefined {
  const index = pool
    .map((found, i) => ({ i, found, distance: offset(box, found.square) }))
    .filter(({ found, distance }) => distance <= half && accepts(found))
    .sort((a, b) => a.distance - b.distance)[0]?.i;
  if (index === undefined) return undefined;
  const [found] = pool.splice(index, 1) as [FoundObject];
  const slip = offset(box, found.square) > near || sizeRatio(box, found.square) > sameSize;
  return sizeRatio(box, found.square) <= sizeStep ? { found, slip } : undefined;
}

/** Whether a find shows the colour that an object has; own colours are not asked for. */
const coloured = (found: FoundObject, colour: Colour | null) => colour === null || found.colour === colour;

/** Indices of the source's objects that an operation may touch. */
function touched(operation: EditOperation, source: Scene): readonly number[] {
  if (operation.type === 'remove') return operation.objects;
  if (operation.type === 'adjust' && operation.attribute === 'colour') return operation.objects;
  if (operation.type === 'extract') return [...source.objects.keys()].filter((i) => i !== operation.object);
  return 'object' in operation ? [operation.object] : [];
}

export function sameBackground(a: Background, b: Background): boolean {
  if (a.kind === 'plain' && b.kind === 'plain') return a.colour === b.colour;
  if (a.kind === 'plain' || b.kind === 'plain') return false;
  return a.from === b.from && a.to === b.to && a.angle === b.angle;
}

/**
 * Compares a reading with what was asked for.
 * @param objects those of the reading that the judge counts
 */
export function complianceOf(
  source: Scene,
  { operations }: Pick<Edit, 'operations'>,
  background: Background,
  canvas: 'white' | undefined,
  objects: readonly FoundObject[],
): Compliance {
  const pool = [...objects];
  const concerned = new Set(operations.flatMap((operation) => touched(operation, source)));
  let slips = 0;
  let collateral = 0;
  let lost = 0;
  for (const [index, object] of source.objects.entries()) {
    if (concerned.has(index)) continue;
    const match = take(pool, object.box, (found) => found.class === object.class);
    if (!match) lost++;
    if (!match || !coloured(match.found, object.colour)) collateral++;
    else if (match.slip) slips++;
  }
  const outcomes = operations.map((operation) => outcomeOf(operation, source, pool, objects, background, canvas));
  // What is left belongs to nothing that was asked for; what was to go and is still there is the outcome's own fault.
  const leftovers = pool.filter(
    (found) => ![...concerned].some((index) => offset(source.objects[index]!.box, found.square) <= half),
  );
  collateral += leftovers.length;
  const groundAsked = operations.some(({ type }) => type === 'background' || type === 'extract');
  const groundLost = !groundAsked && (canvas === 'white' || !sameBackground(background, source.background));
  if (groundLost) collateral++;
  const staying = source.objects.length - concerned.size;
  return { outcomes, slips, collateral, unrelated: staying === 0 ? groundLost : lost === staying };
}

function outcomeOf(
  operation: EditOperation,
  source: Scene,
  pool: FoundObject[],
  all: readonly FoundObject[],
  background: Background,
  canvas: 'white' | undefined,
): Outcome {
  switch (operation.type) {
    case 'add':
      return added(operation, source, pool);
    case 'remove':
      return removed(operation.objects, source, pool);
    case 'replace':
      return replaced(operation, source, pool);
    case 'adjust':
      return operation.attribute === 'colour'
        ? recoloured(operation.objects, operation.colour, source, pool, all)
        : resized(source.objects[operation.object]!, operation.change, pool);
    case 'extract':
      return extracted(operation.object, source, pool, all, background, canvas);
    case 'background': {
      if (canvas === 'white' || sameBackground(background, source.background)) return 'none';
      return sameBackground(background, operation.background) ? 'right' : 'value';
    }
    case 'style':
      return 'style' in operation ? restyled(operation.style, all) : 'none';
    case 'action': {
      const person = source.objects[operation.object]!;
      const match = take(pool, person.box, (found) => found.class === person.class);
      if (!match || match.found.sprite === person.sprite) return 'none';
      if (match.found.sprite !== operation.sprite) return 'value';
      return match.slip ? 'slip' : 'right';
    }
  }
}

function added(operation: EditOperation & { type: 'add' }, source: Scene, pool: FoundObject[]): Outcome {
  const index = pool.findIndex((found) => found.class === operation.class);
  if (index < 0) return 'none';
  const [found] = pool.splice(index, 1) as [FoundObject];
  const { relation, place } = operation;
  const stands =
    (relation === undefined ||
      relationsBetween(found.square, source.objects[relation.reference]!.box).includes(relation.relation)) &&
    (place === undefined || placeOf(found.square) === place);
  if (!stands) return 'place';
  return coloured(found, operation.colour) ? 'right' : 'value';
}

function removed(indices: readonly number[], source: Scene, pool: readonly FoundObject[]): Outcome {
  const still = indices.filter((index) => {
    const { box, class: name } = source.objects[index]!;
    return pool.some((found) => found.class === name && offset(box, found.square) <= half);
  });
  // Something else in its place is no removal either.
  const occupied = indices.some((index) =>
    pool.some((found) => offset(source.objects[index]!.box, found.square) <= half),
  );
  if (still.length === indices.length) return 'none';
  return still.length === 0 && !occupied ? 'right' : 'value';
}

function replaced(operation: EditOperation & { type: 'replace' }, source: Scene, pool: FoundObject[]): Outcome {
  const old = source.objects[operation.object]!;
  const match = take(pool, old.box, (found) => found.class === operation.class);
  if (match) {
    if (!coloured(match.found, operation.colour)) return 'value';
    return match.slip ? 'slip' : 'right';
  }
  const index = pool.findIndex((found) => found.class === operation.class);
  if (index >= 0) {
    pool.splice(index, 1);
    return 'place';
  }
  const there = pool.find((found) => offset(old.box, found.square) <= half);
  return there && there.class !== old.class ? 'value' : 'none';
}

function recoloured(
  indices: readonly number[],
  colour: Colour,
  source: Scene,
  pool: FoundObject[],
  all: readonly FoundObject[],
): Outcome {
  const matches = indices.map((index) => {
    const object = source.objects[index]!;
    return { object, match: take(pool, object.box, (found) => found.class === object.class) };
  });
  const done = matches.filter(({ match }) => match && match.found.colour === colour && !match.found.own);
  if (done.length === indices.length) return done.some(({ match }) => match!.slip) ? 'slip' : 'right';
  const changed = matches.some(({ object, match }) => match && differs(object, match.found));
  if (done.length > 0 || changed) return 'value';
  const others = new Set(matches.map(({ match }) => match?.found));
  const taken = all.some(
    (found) => !others.has(found) && found.colour === colour && !source.objects.some((o) => isSame(o, found)),
  );
  return taken ? 'place' : 'none';
}

/** Whether an object no longer shows the colour that it had. */
function differs({ colour }: WorldObject, found: FoundObject): boolean {
  return colour === null ? !found.own : found.colour !== colour;
}

function isSame(object: WorldObject, found: FoundObject): boolean {
  return object.class === found.class && offset(object.box, found.square) <= half && !differs(object, found);
}

function resized(object: WorldObject, change: 'larger' | 'smaller', pool: FoundObject[]): Outcome {
  const index = pool
    .map((found, i) => ({ i, found, distance: offset(object.box, found.square) }))
    .filter(({ found, distance }) => found.class === object.class && distance <= 1)
    .sort((a, b) => a.distance - b.distance)[0]?.i;
  if (index === undefined) return 'none';
  const [{ square }] = pool.splice(index, 1) as [FoundObject];
  const ratio = (square.width * square.height) / (object.box.width * object.box.height);
  const grown = change === 'larger' ? ratio : 1 / ratio;
  if (grown >= plainlyLarger) return 'right';
  if (grown > sameSize) return 'slip';
  return grown < 1 / sameSize ? 'value' : 'none';
}

/** The object itself is among those to stay: its loss is collateral. Here: the others gone, the ground white. */
function extracted(
  index: number,
  source: Scene,
  pool: readonly FoundObject[],
  all: readonly FoundObject[],
  background: Background,
  canvas: 'white' | undefined,
): Outcome {
  const kept = source.objects[index]!;
  if (!all.some((found) => found.class === kept.class && offset(kept.box, found.square) <= half)) return 'none';
  const others = pool.length;
  const white = canvas === 'white';
  const whitish = background.kind === 'plain' && background.colour === 'white' && source.objects.length >= 1;
  if (others === 0 && white) return 'right';
  if (others === 0 && whitish) return 'slip';
  return white || (others === 0 && source.objects.length > 1) ? 'value' : 'none';
}

function restyled(style: Style, all: readonly FoundObject[]): Outcome {
  if (all.length === 0) return 'none';
  const done = all.filter((found) => found.style === style).length;
  return done === all.length ? 'right' : done > 0 ? 'value' : 'none';
}
