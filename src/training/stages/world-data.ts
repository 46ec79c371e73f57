/** What stages draw from the closed world. Training has the scenes from 0 on, held-out ones lie far above. */

import { IndexedStream } from '../../data/indexed-stream.ts';
import { captionKinds, describeScene } from '../../data/world/captions.ts';
import { chanceOf } from '../../data/world/chance.ts';
import type { Scene } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import type { CaptionedPicture, GenerationData } from './generation-task.ts';
import type { TokenizerData } from './tokenizer-task.ts';

/** Number of the first held-out scene: no training gets so far. */
export const heldOutFrom = 2 ** 40;

/** Streams of chance of this file. */
const streams = { captionKind: 321, wrongClasses: 322 } as const;

export function worldPictures(world: World, seed: number, size: number, heldOut: number): TokenizerData {
  return {
    open: (cursor) => new IndexedStream((index) => world.render(world.scene(seed, index, 'exclude'), size), cursor),
    heldOut: Array.from({ length: heldOut }, (_, index) =>
      world.render(world.scene(seed, heldOutFrom + index, 'any'), size),
    ),
    description: { profile: world.profile },
  };
}

export interface CaptionMix {
  readonly geneval: number;
  readonly free: number;
  readonly dense: number;
}

export interface WorldCaptions {
  readonly seed: number;
  readonly size: number;
  readonly mix: CaptionMix;
  /** Whether a caption fits the program; one that does not becomes one of GenEval's, which are short. */
  readonly fits: (caption: string) => boolean;
}

/** A caption of a scene by number: its kind, too, is chance. */
export function worldCaption(scene: Scene, index: number, { mix, fits }: WorldCaptions): string {
  const chance = chanceOf(index, streams.captionKind);
  const kind = chance.pickWeighted(captionKinds, (each) => mix[each]);
  const caption = describeScene(scene, index, kind);
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
  const { seed, size } = captions;
  const picture = (index: number, scene: Scene): CaptionedPicture => ({
    index,
    image: world.render(scene, size),
    caption: worldCaption(scene, index, captions),
  });
  const numbers = Array.from({ length: heldOut }, (_, index) => heldOutFrom + index);
  const scenes = numbers.map((index) => world.scene(seed, index, 'any'));
  return {
    open: (cursor) => new IndexedStream((index) => picture(index, world.scene(seed, index, 'exclude')), cursor),
    heldOut: scenes.map((scene, at) => picture(numbers[at]!, scene)),
    wrongCaptions: scenes.map((scene, at) =>
      worldCaption(withOtherClasses(scene, numbers[at]!, world.profile.classes), numbers[at]!, captions),
    ),
    prompts,
    description: { profile: world.profile, captions: captions.mix },
  };
}
