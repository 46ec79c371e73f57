/** What stages draw from the closed world. Training has the scenes from 0 on, held-out ones lie far above. */

import { DataError } from '../../data/error.ts';
import { IndexedStream } from '../../data/indexed-stream.ts';
import { captionKinds, describeScene, isGenevalScene } from '../../data/world/captions.ts';
import { cellWords } from '../../data/world/cell-words.ts';
import { chanceOf } from '../../data/world/chance.ts';
import { type ConversationOptions, shownScene } from '../../data/world/conversations.ts';
import { renderTarget } from '../../data/world/edit-target.ts';
import { type Edit, sampleEdit } from '../../data/world/edits.ts';
import type { Scene } from '../../data/world/scene.ts';
import { planText } from '../../data/world/scene-plan.ts';
import type { World } from '../../data/world/world.ts';
import { TrainingError } from '../error.ts';
import type { CaptionedPicture, GenerationData } from './generation-task.ts';
import type { EditedPicture, InstructionData } from './instruction-task.ts';
import type { TokenizerData } from './tokenizer-task.ts';

/** Number of the first held-out scene: no training gets so far, and 64 times it is still a stream of chance. */
export const heldOutFrom = 2 ** 32;

/** Streams of chance of this file. */
const streams = { captionKind: 321, wrongClasses: 322, edited: 323, planned: 324 } as const;

/** Share of pictures that are results of edits: grey ones, cut-out ones and so on must be drawn too. */
const editedShare = 0.25;

export function worldPictures(world: World, seed: number, size: number, heldOut: number): TokenizerData {
  const picture = (index: number, held: 'exclude' | 'any') => {
    const scene = world.scene(seed, index, held);
    const chance = chanceOf(index, streams.edited);
    const edit = chance.happens(editedShare) ? worldEdit(world, scene, index, held) : undefined;
    return edit ? renderTarget(edit.target, world.atlas, size) : world.render(scene, size);
  };
  return {
    open: (cursor) => new IndexedStream((index) => picture(index, 'exclude'), cursor),
    heldOut: Array.from({ length: heldOut }, (_, index) => picture(heldOutFrom + index, 'any')),
    description: { profile: world.profile, editedShare },
  };
}

/** The options of conversations about a world's scenes. */
export function conversationOptions(world: World, grid: number, heldOut: 'exclude' | 'any'): ConversationOptions {
  return {
    classes: world.profile.classes,
    grid,
    edit: (scene, seed) => {
      const edit = worldEdit(world, scene, seed, heldOut);
      return edit && { instruction: edit.instruction, target: edit.target };
    },
  };
}

/** An edit of the scene by number; undefined where the scene allows none. */
export function worldEdit(world: World, scene: Scene, index: number, heldOut: 'exclude' | 'any'): Edit | undefined {
  try {
    return sampleEdit(scene, index, undefined, { profile: world.profile, heldOut });
  } catch (error) {
    if (error instanceof DataError && error.code === 'data_exhausted') return undefined;
    throw error;
  }
}

export interface CaptionMix {
  readonly geneval: number;
  readonly free: number;
  readonly dense: number;
  /** What the base thinks when it reasons: the plan of the scene. */
  readonly plan: number;
}

export interface WorldCaptions {
  readonly seed: number;
  readonly size: number;
  /** Places of a picture on a side. */
  readonly grid: number;
  readonly mix: CaptionMix;
  /** Whether a caption fits the program; one that does not becomes one of GenEval's, which are short. */
  readonly fits: (caption: string) => boolean;
}

/** A caption of a scene by number: its kind, too, is chance. */
export function worldCaption(scene: Scene, index: number, { mix, grid, fits }: WorldCaptions): string {
  const chance = chanceOf(index, streams.captionKind);
  const kind = chance.pickWeighted([...captionKinds, 'plan' as const], (each) => mix[each]);
  // A prompt that leaves things out would teach to draw what nobody asked for.
  const sayable = kind === 'geneval' && !isGenevalScene(scene) ? 'free' : kind;
  const caption =
    sayable === 'plan'
      ? planText({ scene }, { grid, after: describeScene(scene, index, 'free') })
      : describeScene(scene, index, sayable);
  return fits(caption) ? caption : describeScene(scene, index, 'geneval');
}

/** The same scene with every class replaced by another, the same one for all things of a class. */
export function withOtherClasses(scene: Scene, index: number, classes: readonly string[]): Scene {
  const chance = chanceOf(index, streams.wrongClasses);
  const present = [...new Set(scene.objects.map((object) => object.class))];
  const others = chance.shuffle(classes.filter((name) => !present.includes(name)));
  const other = new Map(present.map((name, at) => [name, others[at % others.length]!]));
  return { ...scene, objects: scene.objects.map((object) => ({ ...object, class: other.get(object.class)! })) };
}

export function worldCaptionedPictures(
  world: World,
  captions: WorldCaptions,
  heldOut: number,
  prompts: readonly string[],
): GenerationData {
  const { seed, size, grid } = captions;
  const picture = (index: number, scene: Scene): CaptionedPicture => ({
    index,
    image: world.render(scene, size),
    caption: worldCaption(scene, index, captions),
    words: cellWords(scene, grid),
  });
  const numbers = Array.from({ length: heldOut }, (_, index) => heldOutFrom + index);
  const scenes = numbers.map((index) => world.scene(seed, index, 'any'));
  // Who learns to draw plans is not asked for bare prompts.
  const planned = captions.mix.plan > 0 ? scenes.slice(0, prompts.length) : [];
  return {
    open: (cursor) => new IndexedStream((index) => picture(index, world.scene(seed, index, 'exclude')), cursor),
    heldOut: scenes.map((scene, at) => picture(numbers[at]!, scene)),
    wrongCaptions: scenes.map((scene, at) =>
      worldCaption(withOtherClasses(scene, numbers[at]!, world.profile.classes), numbers[at]!, captions),
    ),
    prompts: [...planned.map((scene, at) => planText({ scene }, { grid, after: prompts[at]! })), ...prompts].slice(
      0,
      prompts.length,
    ),
    description: { profile: world.profile, captions: captions.mix },
  };
}

/** Batches of `edits` edited pictures and then captioned ones. */
export function worldInstructions(
  world: World,
  captions: WorldCaptions,
  { batch, edits, plans, heldOut, fits }: InstructionMix,
): InstructionData {
  const { seed, size, grid } = captions;
  const sample = (index: number, held: 'exclude' | 'any'): EditedPicture | CaptionedPicture => {
    const place = (index - (index >= heldOutFrom ? heldOutFrom : 0)) % batch;
    if (place >= edits) {
      const scene = world.scene(seed, index, held);
      const words = cellWords(scene, grid);
      return { index, image: world.render(scene, size), caption: worldCaption(scene, index, captions), words };
    }
    // A scene that allows no edit, or only a lengthy one, gives way to another.
    let lengthy = 0;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const scene = world.scene(seed + 1 + attempt, index, held);
      const edit = worldEdit(world, scene, index, held);
      if (!edit) continue;
      const { target } = edit;
      const planned = chanceOf(index, streams.planned).happens(plans);
      const instruction = planned ? planText(target, { grid }) : edit.instruction;
      if (!fits(instruction)) {
        lengthy++;
        continue;
      }
      return {
        index,
        source: world.render(scene, size),
        instruction,
        image: renderTarget(target, world.atlas, size),
        words: cellWords(shownScene(target), grid),
      };
    }
    const why = lengthy > 0 ? `${lengthy} were longer than promptTokens, which must be larger` : 'the world shows none';
    const message = `no edit among ${maxAttempts} scenes: ${why}`;
    throw new TrainingError('training_option_invalid', message);
  };
  const held = Array.from({ length: heldOut }, (_, index) => sample(heldOutFrom + index, 'any'));
  return {
    open: (cursor) => new IndexedStream((index) => sample(index, 'exclude'), cursor),
    heldOut: held,
    shown: held.filter((each) => 'source' in each).slice(0, 8),
    description: { profile: world.profile, captions: captions.mix, plans },
  };
}

/** Scenes that are tried for one edit. */
const maxAttempts = 400;

export interface InstructionMix {
  readonly batch: number;
  readonly edits: number;
  /** Share of edits that are told by the plan of the target, as the base thinks it, and not by their instruction. */
  readonly plans: number;
  /** Held-out samples, a multiple of the batch. */
  readonly heldOut: number;
  /** Whether an instruction fits the program. */
  readonly fits: (instruction: string) => boolean;
}
