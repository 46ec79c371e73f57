/** Scenes of all sorts for tests: more varied, and more awkward, than those that training samples. */
import { chanceOf } from './chance.ts';
import { type Background, colours, type Scene, styles, type WorldObject } from './scene.ts';
import { worldClasses } from './vocabulary.ts';

/** Up to `most` things in cells of a grid of four, some larger than a cell; the same seed gives the same scene. */
export function exampleScene(seed: number, most = 8): Scene {
  const chance = chanceOf(seed, 901);
  const style = chance.pick(styles);
  const background: Background = chance.happens(0.7)
    ? { kind: 'plain', colour: chance.pick(colours) }
    : { kind: 'gradient', from: chance.pick(colours), to: chance.pick(colours), angle: chance.pick([0, 90] as const) };
  const cells = chance.shuffle(Array.from({ length: 16 }, (_, i) => i)).slice(0, 1 + chance.below(most));
  const classes = chance.shuffle(worldClasses).slice(0, 1 + chance.below(cells.length));
  const objects = cells.map((cell, z): WorldObject => {
    const side = chance.pick([0.15, 0.2, 0.25, 0.25]);
    const worldClass = z < classes.length ? classes[z]! : chance.pick(classes);
    return {
      class: worldClass.name,
      sprite: chance.pick(worldClass.sprites),
      style,
      colour: worldClass.colourable && chance.happens(0.7) ? chance.pick(colours) : null,
      box: {
        x: ((cell % 4) + 0.5) / 4 - side / 2,
        y: (Math.floor(cell / 4) + 0.5) / 4 - side / 2,
        width: side,
        height: side,
      },
      z,
      flip: chance.happens(0.5),
    };
  });
  // A scene of one thing may show it large.
  if (objects.length === 1 && chance.happens(0.5)) objects[0]!.box = { x: 0.25, y: 0.25, width: 0.5, height: 0.5 };
  return { background, objects };
}
