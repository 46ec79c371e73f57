/** Before stage 0 in the closed world: the semantic encoder learns what is where. */

import { IndexedStream } from '../../data/indexed-stream.ts';
import { cellNoun } from '../../data/world/cell-words.ts';
import { ownerOf } from '../../data/world/layout.ts';
import { type Colour, colours, type Scene } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import { semanticStage } from '../semantic-loss.ts';
import type { TrainingTask } from '../task.ts';
import { PatchBatch } from '../vision-batch.ts';
import { ConversationTokens } from './conversation-tokens.ts';
import { drawnPicture } from './drawn-picture.ts';
import { EvaluationProgram } from './evaluation-program.ts';
import { StreamData } from './stream-data.ts';
import { heldOutFrom } from './world-data.ts';

export interface SemanticSettings {
  /** Pictures of a step. */
  readonly batch: number;
  readonly seed: number;
  /** Held-out pictures that previews measure. */
  readonly heldOut: number;
}

/** What a place counts when it is ground, where a thing counts 1: most places are. */
const groundWeight = 0.1;

export function semanticTask(model: StarModel, world: World, settings: SemanticSettings): TrainingTask {
  const { qwen, star } = model.folder;
  const { imageSize } = star.pixelEncoder;
  const { batch, seed, heldOut } = settings;
  const { grid, tokens: places } = drawnPicture(model);
  const side = Math.sqrt(places);
  const tokens = new ConversationTokens(model.chat, places);
  const words = [...world.profile.classes.map(cellNoun), ...colours];
  const shapes = {
    pictures: batch,
    grid,
    words: words.map((word) => tokens.wordOf(word)),
    colours: colours.map((colour) => tokens.wordOf(colour)),
  };
  const stage = semanticStage(qwen, shapes);
  const patches = new PatchBatch(shapes, model.imageProcessor, qwen.vision);
  const frozen = { declareFrozen: model.weights.declare, weightsFolder: model.weights.folder };
  const evaluation = new EvaluationProgram(stage, frozen, model.runtime);

  const feeds = async (scenes: readonly Scene[]): Promise<Record<string, TensorValue>> => {
    const targets = { word: new BigInt64Array(batch * places), colour: new BigInt64Array(batch * places) };
    const weights = { word: new Float32Array(batch * places), colour: new Float32Array(batch * places) };
    scenes.forEach((scene, index) => {
      for (let place = 0; place < places; place++) {
        const at = index * places + place;
        const said = placeOf(scene, side, place);
        targets.word[at] = BigInt(words.indexOf(said.word));
        weights.word[at] = said.thing ? 1 : groundWeight;
        if (said.colour === null) continue;
        targets.colour[at] = BigInt(colours.indexOf(said.colour));
        weights.colour[at] = said.thing ? 1 : groundWeight;
      }
    });
    const vector = (data: BigInt64Array | Float32Array): TensorValue => ({
      dtype: data instanceof Float32Array ? 'float32' : 'int64',
      shape: [data.length],
      data,
    });
    return {
      patches: patches.fill(scenes.map((scene) => world.render(scene, imageSize))),
      word_targets: vector(targets.word),
      word_weights: vector(weights.word),
      colour_targets: vector(targets.colour),
      colour_weights: vector(weights.colour),
    };
  };
  return {
    stage,
    configuration: { ...settings, profile: world.profile, sizes: qwen.vision },
    ...frozen,
    start: (name) => model.weights.read(name),
    openData: (cursor) =>
      StreamData.open(
        (at) => new IndexedStream((index) => world.scene(seed, index, 'exclude'), at),
        batch,
        feeds,
        cursor,
      ),
    preview: async (access) => {
      const scenes = Array.from({ length: heldOut }, (_, index) => world.scene(seed, heldOutFrom + index, 'any'));
      const parts = Array.from({ length: Math.floor(heldOut / batch) }, (_, at) =>
        feeds(scenes.slice(at * batch, (at + 1) * batch)),
      );
      const results = await evaluation.run(access, await Promise.all(parts));
      const mean = (name: string) =>
        results.reduce((sum, result) => sum + (result[name]!.data as Float32Array)[0]!, 0) / results.length;
      return {
        numbers: {
          held_out_loss: mean('loss'),
          held_out_word_accuracy: mean('word_accuracy'),
          held_out_colour_accuracy: mean('colour_accuracy'),
        },
      };
    },
  };
}

/** What stands in a place of a picture of `side²` tokens: a thing by its noun, or the ground by its colour. */
function placeOf(scene: Scene, side: number, place: number): { word: string; colour: Colour | null; thing: boolean } {
  const [row, column] = [Math.floor(place / side), place % side];
  const owner = ownerOf(scene, side, row, column);
  if (owner) return { word: cellNoun(owner.class), colour: owner.colour, thing: true };
  const { background } = scene;
  if (background.kind === 'plain') return { word: background.colour, colour: background.colour, thing: false };
  const along = ((background.angle === 0 ? row : column) + 0.5) / side;
  const colour = along < 0.5 ? background.from : background.to;
  return { word: colour, colour, thing: false };
}
