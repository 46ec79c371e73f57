/** What stages on scenes of the closed world alone share: scenes without end to learn from, and means over held-out ones. */
import { IndexedStream } from '../../data/indexed-stream.ts';
import type { Scene } from '../../data/world/scene.ts';
import type { World } from '../../data/world/world.ts';
import type { TensorValue } from '../../tensor/index.ts';
import type { TrainingTask } from '../task.ts';
import type { EvaluationProgram } from './evaluation-program.ts';
import { StreamData } from './stream-data.ts';
import { heldOutFrom } from './world-data.ts';

export interface SceneSettings {
  /** Pictures of a step. */
  readonly batch: number;
  readonly seed: number;
  /** Held-out pictures that previews measure. */
  readonly heldOut: number;
}

/** @param measured what previews tell beside the loss: scalars that the stage reports */
export function sceneTraining(
  world: World,
  { batch, seed, heldOut }: SceneSettings,
  feeds: (scenes: readonly Scene[]) => Promise<Record<string, TensorValue>>,
  evaluation: EvaluationProgram,
  measured: readonly string[],
): Required<Pick<TrainingTask, 'openData' | 'preview'>> {
  return {
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
      const means = await evaluation.means(access, await Promise.all(parts), ['loss', ...measured]);
      return { numbers: Object.fromEntries(Object.entries(means).map(([name, mean]) => [`held_out_${name}`, mean])) };
    },
  };
}
