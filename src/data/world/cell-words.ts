/**
 * A scene as one word a cell, in the order in which a picture's tokens are drawn. A base that has learned to say these
 * words after a prompt knows at every place of a picture what belongs there, before it has ever seen a picture token.
 */
import { ownerOf } from './layout.ts';
import type { Scene } from './scene.ts';
import { isWorldClass } from './vocabulary.ts';

/** A class as one word: its last (`ball`), or its first where the last is a class of its own (`teddy`, `hot`). */
export function cellNoun(name: string): string {
  const words = name.split(' ');
  const last = words.at(-1)!;
  return words.length > 1 && isWorldClass(last) ? words[0]! : last;
}

/**
 * `grid²` words, row by row. Cells of a coloured thing bear its noun and its colour by turns, like a chessboard; other
 * things bear their noun; the background its colour.
 */
export function cellWords(scene: Scene, grid: number): string[] {
  const words: string[] = [];
  for (let row = 0; row < grid; row++) {
    for (let column = 0; column < grid; column++) {
      const owner = ownerOf(scene, grid, row, column);
      if (owner) words.push(owner.colour && (row + column) % 2 === 1 ? owner.colour : cellNoun(owner.class));
      else words.push(groundWord(scene, ((angleOf(scene) === 0 ? row : column) + 0.5) / grid));
    }
  }
  return words;
}

function angleOf({ background }: Scene): number {
  return background.kind === 'gradient' ? background.angle : 0;
}

function groundWord({ background }: Scene, along: number): string {
  if (background.kind === 'plain') return background.colour;
  return along < 0.5 ? background.from : background.to;
}
