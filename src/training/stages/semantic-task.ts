/** Before stage 0 in the closed world: the semantic encoder learns what is where. */

import { cellNoun } from '../../data/world/cell-words.ts';
import { thirdOf } from '../../data/world/facts.ts';
import { ownerOf } from '../../data/world/layout.ts';
import { numberWord } from '../../data/world/phrases.ts';
import type { WorldProfile } from '../../data/world/profile.ts';
import { type Box, colours, type Scene } from '../../data/world/scene.ts';
import { cellsOf, columnName, rowName } from '../../data/world/scene-plan.ts';
import type { World } from '../../data/world/world.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { semanticStage } from '../semantic-loss.ts';
import type { TrainingTask } from '../task.ts';
import { PatchBatch } from '../vision-batch.ts';
import { ConversationTokens } from './conversation-tokens.ts';
import { drawnPicture } from './drawn-picture.ts';
import { EvaluationProgram } from './evaluation-program.ts';
import { type SceneSettings, sceneTraining } from './scene-training.ts';

/** What a place counts when it is ground, where a thing counts 1: most places are. */
const groundWeight = 0.1;

export function semanticTask(model: StarModel, world: World, settings: SceneSettings): TrainingTask {
  const { qwen, star } = model.folder;
  const { imageSize, gridSize } = star.pixelEncoder;
  const { batch } = settings;
  const { grid, tokens: places } = drawnPicture(model);
  const side = Math.sqrt(places);
  const tokens = new ConversationTokens(model.chat, places);
  const words = headWords(world.profile, gridSize);
  const heads = Object.entries(words) as [Head, readonly string[]][];
  const shapes = {
    pictures: batch,
    grid,
    heads: Object.fromEntries(heads.map(([head, list]) => [head, list.map((word) => tokens.tokenOf(word))])),
  };
  const stage = semanticStage(qwen, shapes);
  const patches = new PatchBatch(shapes, model.imageProcessor, qwen.vision);
  const frozen = { declareFrozen: model.weights.declare, weightsFolder: model.weights.folder };
  const evaluation = new EvaluationProgram(stage, frozen, model.runtime);

  const feeds = async (scenes: readonly Scene[]): Promise<Record<string, TensorValue>> => {
    const made: Record<string, TensorValue> = {
      patches: patches.fill(scenes.map((scene) => world.render(scene, imageSize))),
    };
    const said = scenes.flatMap((scene) =>
      Array.from({ length: places }, (_, place) => placeOf(scene, side, place, gridSize)),
    );
    for (const [head, list] of heads) {
      const target = (at: number) => {
        const word = said[at]!.words[head];
        return word === undefined ? 0 : list.indexOf(word);
      };
      const weight = (at: number) => (said[at]!.words[head] === undefined ? 0 : said[at]!.thing ? 1 : groundWeight);
      made[`${head}_targets`] = {
        dtype: 'int64',
        shape: [said.length],
        data: BigInt64Array.from(said, (_, at) => BigInt(target(at))),
      };
      made[`${head}_weights`] = {
        dtype: 'float32',
        shape: [said.length],
        data: Float32Array.from(said, (_, at) => weight(at)),
      };
    }
    return made;
  };
  return {
    stage,
    configuration: { ...settings, profile: world.profile, sizes: qwen.vision },
    ...frozen,
    start: (name) => model.weights.read(name),
    ...sceneTraining(
      world,
      settings,
      feeds,
      evaluation,
      heads.map(([head]) => `${head}_accuracy`),
    ),
  };
}

type Head = 'word' | 'colour' | 'style' | 'row' | 'column' | 'count' | 'left' | 'top' | 'right';

/** Where a thing's centre lies, in the base's own words. */
const rowWords = ['top', 'middle', 'bottom'] as const;
const columnWords = ['left', 'middle', 'right'] as const;

/** Rows that are one digit. */
const mostCells = 9;

const spaced = (words: readonly string[]) => words.map((word) => ` ${word}`);

/**
 * What each head may say, tokens as they stand in text. The last three say a thing's cells as its plan does (`c4:e6`): a
 * plan's corners are the column before which a space stands, a row, and the column behind the colon. The last row follows,
 * since things are square, and could not be told from the first. Left out where a row has two digits.
 */
function headWords({ classes, styles, counts }: WorldProfile, grid: number): Readonly<Partial<Record<Head, string[]>>> {
  const numbers = Array.from({ length: Math.max(1, ...counts.map(({ count }) => count)) }, (_, more) => more + 1);
  const cells = Array.from({ length: grid }, (_, at) => at);
  return {
    word: spaced([...classes.map(cellNoun), ...colours]),
    colour: spaced(colours),
    style: spaced(styles),
    row: spaced(rowWords),
    column: spaced(columnWords),
    count: spaced(numbers.map(numberWord)),
    ...(grid > mostCells
      ? {}
      : { left: spaced(cells.map(columnName)), top: cells.map(rowName), right: cells.map(columnName) }),
  };
}

function cellWordsOf(box: Box, grid: number): Partial<Record<Head, string>> {
  if (grid > mostCells) return {};
  const { left, top, right } = cellsOf(box, grid);
  return { left: ` ${columnName(left)}`, top: rowName(top), right: columnName(right) };
}

/** All words that places are named with, each of which must be one token: of pictures' cells too. */
export function placeWords(profile: WorldProfile, grid: number): string[] {
  return [...new Set(Object.values(headWords(profile, grid)).flat())];
}

interface Said {
  readonly words: Readonly<Partial<Record<Head, string>>>;
  readonly thing: boolean;
}

/**
 * What stands in a place of a picture of `side²` tokens: a thing with its noun, how many of its class there are and the cells
 * of the picture's `grid²` that it takes, or the ground with its colour.
 */
function placeOf(scene: Scene, side: number, place: number, grid: number): Said {
  const [row, column] = [Math.floor(place / side), place % side];
  const owner = ownerOf(scene, side, row, column);
  if (owner) {
    const { box, colour, style } = owner;
    const [down, across] = [thirdOf(box.y + box.height / 2), thirdOf(box.x + box.width / 2)];
    return {
      words: {
        word: ` ${cellNoun(owner.class)}`,
        style: ` ${style}`,
        count: ` ${numberWord(scene.objects.filter((object) => object.class === owner.class).length)}`,
        ...cellWordsOf(box, grid),
        ...(colour === null ? {} : { colour: ` ${colour}` }),
        ...(down === null ? {} : { row: ` ${rowWords[down]!}` }),
        ...(across === null ? {} : { column: ` ${columnWords[across]!}` }),
      },
      thing: true,
    };
  }
  const { background } = scene;
  const along = ((background.kind === 'gradient' && background.angle !== 0 ? column : row) + 0.5) / side;
  const colour = background.kind === 'plain' ? background.colour : along < 0.5 ? background.from : background.to;
  return { words: { word: ` ${colour}`, colour: ` ${colour}` }, thing: false };
}
