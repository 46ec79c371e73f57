/**
 * What shall stand where, as a line of text that the base can say before a picture is drawn (implicit reasoning):
 * `red apple c4:e6, cat f1:h3, on blue, twemoji`. Cells are named as in a spreadsheet, columns by letters from the left, rows
 * by numbers from the top; a thing takes the cells from its first corner to its last. Then come the ground (`on red down
 * to blue`, `on red right to blue`, `on pure white` for what is cut out), the style, and what is done to the whole picture.
 */
import { DataError } from '../error.ts';
import { genevalPlural } from './captions.ts';
import { type EditTarget, type ImageMap, imageMaps } from './edit-target.ts';
import { type Background, type Box, colours, styles, type WorldObject } from './scene.ts';
import { classNamed, isWorldClass, pluralOf } from './vocabulary.ts';

export interface ScenePlanOptions {
  /** Cells a side, 2 to 26. */
  readonly grid: number;
  /** Things come in the order in which this text first names them; default, and where it does not, row by row. */
  readonly after?: string;
}

const letters = 'abcdefghijklmnopqrstuvwxyz';

/** The plan of a picture. Boxes are rounded to whole cells. */
export function planText({ scene, imageMap, canvas }: EditTarget, { grid, after }: ScenePlanOptions): string {
  const mention = (object: WorldObject) => (after === undefined ? 0 : mentionOf(object.class, after));
  const corner = ({ box }: WorldObject) => Math.round(box.y * grid) * grid + Math.round(box.x * grid);
  const ordered = [...scene.objects].sort((a, b) => mention(a) - mention(b) || corner(a) - corner(b));
  const things = ordered.map((object) => {
    const name = object.colour ? `${object.colour} ${object.class}` : object.class;
    return `${name} ${boxText(object.box, grid)}`;
  });
  const [first] = scene.objects;
  const parts = [
    ...things,
    canvas === 'white' ? 'on pure white' : `on ${groundText(scene.background)}`,
    // Things of a scene have one style.
    ...(first ? [first.style] : []),
    ...(imageMap ? [imageMap] : []),
  ];
  return parts.join(', ');
}

function groundText(background: Background): string {
  if (background.kind === 'plain') return background.colour;
  return `${background.from} ${background.angle === 0 ? 'down' : 'right'} to ${background.to}`;
}

/** The first and last column and row that a box takes, from 0. */
export function cellsOf({ x, y, width, height }: Box, grid: number) {
  const within = (at: number) => Math.min(Math.max(at, 0), grid - 1);
  return {
    left: within(Math.round(x * grid)),
    top: within(Math.round(y * grid)),
    right: within(Math.round((x + width) * grid) - 1),
    bottom: within(Math.round((y + height) * grid) - 1),
  };
}

/** A column from 0 as a plan names it, `c`. */
export function columnName(column: number): string {
  return letters[column]!;
}

/** A row from 0 as a plan names it, `3`. */
export function rowName(row: number): string {
  return `${row + 1}`;
}

function boxText(box: Box, grid: number): string {
  const { left, top, right, bottom } = cellsOf(box, grid);
  return `${columnName(left)}${rowName(top)}:${columnName(right)}${rowName(bottom)}`;
}

/** Where a text first names a class, by one of its plurals or alone; its length where it does not. */
function mentionOf(name: string, text: string): number {
  const forms = [name, pluralOf(name), genevalPlural(name)].map((form) => form.replace(/[^a-z ]/g, ''));
  const found = new RegExp(`\\b(${forms.join('|')})\\b`, 'i').exec(text);
  return found ? found.index : text.length;
}

/**
 * What a plan says, every thing with its plainest sprite.
 * @throws DataError `data_option_invalid` for what is no plan, with the part that is wrong
 */
export function readPlan(text: string, grid: number): EditTarget {
  const objects: WorldObject[] = [];
  let background: Background | undefined;
  let style: WorldObject['style'] = styles[0];
  const more: { imageMap?: ImageMap; canvas?: 'white' } = {};
  for (const part of text.split(', ')) {
    const ground = /^on (?:(\w+) (down|right) to )?(pure )?(\w+)$/.exec(part);
    const thing = /^(.+) ([a-z])(\d+):([a-z])(\d+)$/.exec(part);
    if (ground) {
      background = readGround(part, ground);
      if (ground[3]) more.canvas = 'white';
    } else if (thing) objects.push(readThing(part, thing, objects.length, grid));
    else if (isOneOf(styles, part)) style = part;
    else if (isOneOf(imageMaps, part)) more.imageMap = part;
    else throw wrongPlan(part, 'a thing with its cells, the ground, a style or what is done to the picture');
  }
  if (!background) throw wrongPlan(text, 'a ground, `on blue`');
  return { scene: { background, objects: objects.map((object) => ({ ...object, style })) }, ...more };
}

function readGround(part: string, [, from, way, , last]: RegExpExecArray): Background {
  if (!isOneOf(colours, last)) throw wrongPlan(part, 'a colour of the world');
  if (from === undefined) return { kind: 'plain', colour: last };
  if (!isOneOf(colours, from)) throw wrongPlan(part, 'a colour of the world');
  return { kind: 'gradient', from, to: last, angle: way === 'down' ? 0 : 90 };
}

function readThing(part: string, matched: RegExpExecArray, z: number, grid: number): WorldObject {
  const [, noun = '', left = '', top, right = '', bottom] = matched;
  const [first = '', ...rest] = noun.split(' ');
  const tinted = isOneOf(colours, first) && isWorldClass(rest.join(' '));
  const name = tinted ? rest.join(' ') : noun;
  if (!isWorldClass(name)) throw wrongPlan(part, 'a class of the world');
  const [x, y] = [letters.indexOf(left), Number(top) - 1];
  const [width, height] = [letters.indexOf(right) - x + 1, Number(bottom) - y];
  if (width < 1 || height < 1 || y < 0 || x + width > grid || y + height > grid) {
    throw wrongPlan(part, `cells of a grid of ${grid}`);
  }
  return {
    class: name,
    sprite: classNamed(name).sprites[0],
    style: styles[0],
    colour: tinted ? first : null,
    box: { x: x / grid, y: y / grid, width: width / grid, height: height / grid },
    z,
    flip: false,
  };
}

function isOneOf<T extends string>(list: readonly T[], text: string | undefined): text is T {
  return (list as readonly (string | undefined)[]).includes(text);
}

function wrongPlan(part: string, expected: string): DataError {
  return new DataError('data_option_invalid', `no plan of a scene: '${part}'; expected ${expected}`, { part });
}
