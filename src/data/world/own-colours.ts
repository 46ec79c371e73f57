/** The colour that most of a sprite has by nature. The table is written by `scripts/build-world-atlas.ts`. */
import { type Colour, type Style, styles } from './scene.ts';

/** Sprite, then its colour in each of `styles`. */
const table = `
1f9cd black orange white black
1f6b6 black blue orange black
1f3c3 black yellow yellow black
1f6b2 white black black white
1f697 red red red red
1f699 blue blue blue black
1f3ce red orange black red
1f3cd black black black black
1f6f5 black red red black
2708 white blue white white
1f6e9 blue red white black
1f68c white black blue black
1f68d white black white black
1f686 blue white white black
1f682 black black black black
1f684 white blue white black
1f685 white white white black
1f69a white white yellow white
1f69b white green white black
1f6fb red red red red
26f5 red orange blue blue
1f6a4 red blue blue blue
1f6a2 red white white blue
1f6f6 brown blue blue blue
1f6e5 white blue blue blue
1f6a6 black black black white
1f6a5 black black black white
1f6d1 red red red red
1f426 blue red red black
1f99c green green red black
1f985 black white brown brown
1f54a white white white white
1f408 orange yellow yellow yellow
1f431 yellow yellow orange yellow
1f415 white brown yellow yellow
1f436 white brown yellow yellow
1f429 white white white white
1f40e yellow brown brown brown
1f434 yellow brown black black
1f411 white white white white
1f40f white white white white
1f404 white black white brown
1f42e white pink pink white
1f418 white white white white
1f43b brown brown brown black
1f993 black black white white
1f992 orange yellow orange yellow
1f392 red red red red
2602 purple purple purple purple
2614 purple purple purple black
1f45c brown purple black black
1f45b red red red purple
1f45d yellow green pink brown
1f9f3 blue blue blue brown
1f94f blue orange blue blue
1f3bf blue white blue black
26bd white white white white
1f3c0 orange orange orange yellow
1f3d0 white white white white
26be white white white white
1f94e yellow yellow green yellow
1f3c8 brown brown black brown
1fa81 orange blue blue pink
1f6f9 black red purple black
1f37e yellow white green black
1f37c white white white blue
1f9f4 white orange pink black
1f377 white white white red
2615 white white white white
1f375 white green white white
1f964 white white white white
1f52a white white white black
1f944 white white white black
1f963 blue red blue white
1f957 white green white white
1f35c white white red red
1f34c white yellow yellow yellow
1f34e red red red red
1f34f green green green green
1f96a white yellow white yellow
1f34a orange orange orange yellow
1f966 green green green green
1f955 orange orange orange yellow
1f32d yellow brown yellow black
1f355 yellow yellow yellow yellow
1f369 brown brown black yellow
1f382 white red yellow yellow
1f370 orange white orange yellow
1fa91 brown brown brown black
1f6cb blue green purple blue
1fab4 green green yellow black
1f6cf blue brown black black
1f6bd white white white white
1f4fa black black white black
1f4bb white white blue white
1f5b1 white white white white
2328 white white white black
1f4f1 black blue black white
1f4d5 red red red red
1f4d7 green green green green
1f4d8 blue blue blue blue
1f4d9 orange orange orange yellow
1f4d6 white white white white
23f0 white white white white
1f552 white white white white
1f570 brown brown black black
1f3fa brown brown brown black
2702 red red red black
1f9f8 brown brown orange black
1faa5 orange blue red black
`;

const bySprite = new Map(
  table
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .map(([sprite, ...own]) => [sprite, own as Colour[]]),
);

/** Of the ten colours the one nearest to most of the sprite's pixels; `undefined` for a sprite that the world lacks. */
export function ownColourOf(style: Style, sprite: string): Colour | undefined {
  return bySprite.get(sprite)?.[styles.indexOf(style)];
}
