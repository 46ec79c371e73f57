/** A scene as a small table of words: a text task that teaches a language model where things are. */
import type { Scene, WorldObject } from './scene.ts';

export interface LayoutOptions {
  /** Says colours too: `red-apple`, and `blue-ground` for the background; the default is false. */
  readonly colours?: boolean;
}

/**
 * The scene laid out in words: `grid` lines of `grid` words from the top left to the bottom right, one word a cell,
 * words apart by a space, lines by a line break. A cell that a thing covers by half or more, or in which its centre
 * lies, bears its noun, `sports-ball` with a hyphen; where several do, the nearest. Others are `empty`.
 */
export function layoutText(scene: Scene, grid: number, { colours = false }: LayoutOptions = {}): string {
  const word = (row: number, column: number) => {
    const owner = ownerOf(scene, grid, row, column);
    if (owner) return [...(colours && owner.colour ? [owner.colour] : []), ...owner.class.split(' ')].join('-');
    if (!colours) return 'empty';
    const { background } = scene;
    if (background.kind === 'plain') return `${background.colour}-ground`;
    const along = ((background.angle === 0 ? row : column) + 0.5) / grid;
    return `${along < 0.5 ? background.from : background.to}-ground`;
  };
  const cells = Array.from({ length: grid }, (_, i) => i);
  return cells.map((row) => cells.map((column) => word(row, column)).join(' ')).join('\n');
}

/** The nearest thing that covers the cell by half or has its centre in it. */
export function ownerOf(scene: Scene, grid: number, row: number, column: number): WorldObject | undefined {
  const [left, top, side] = [column / grid, row / grid, 1 / grid];
  let owner: WorldObject | undefined;
  for (const object of scene.objects) {
    const { x, y, width, height } = object.box;
    const across = Math.min(x + width, left + side) - Math.max(x, left);
    const down = Math.min(y + height, top + side) - Math.max(y, top);
    const covers = across > 0 && down > 0 && across * down >= (side * side) / 2 - 1e-9;
    const centred = Math.floor((x + width / 2) * grid) === column && Math.floor((y + height / 2) * grid) === row;
    if ((covers || centred) && (!owner || object.z >= owner.z)) owner = object;
  }
  return owner;
}
