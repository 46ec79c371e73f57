/** Where a training starts: at its beginning, or where a checkpoint stands. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cursor } from '../data/stream.ts';
import type { TensorValue } from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import type { CompleteSettings } from './recipe.ts';
import {
  configurationHash,
  differingKeys,
  listSavedTrainings,
  openNewestTraining,
  removeLeftovers,
  type SavedTraining,
  setAside,
} from './saved-training.ts';
import { stateNames } from './step.ts';
import type { TrainingTask } from './task.ts';
import type { TrainingEvent } from './training-events.ts';

export interface StartingPoint {
  /** Steps done. */
  readonly step: number;
  readonly samples: number;
  /** Undefined: the beginning of the data. */
  readonly cursor: Cursor | undefined;
  readonly resumedFrom: string | undefined;
  readonly warnings: readonly string[];
  /** The state's tensor of this name. */
  readonly read: (name: string) => Promise<TensorValue>;
}

/** What decides a training's results: compared when it is resumed. */
export function trainingConfiguration(task: TrainingTask, settings: CompleteSettings): Record<string, unknown> {
  const { stage, configuration, maintainEvery } = task;
  // These decide when something is shown or saved, or how steps are packed; never what they compute.
  const { saveEvery, keep, previewEvery, logEvery, stepsPerRun, steps, ...deciding } = settings;
  return {
    stage: stage.name,
    trained: Object.fromEntries(stage.trained),
    data: Object.fromEntries(stage.data.map(({ name, dtype, shape }) => [name, { dtype, shape }])),
    // Where the learning rate does not fall towards an end, a training may be made longer.
    settings: settings.schedule === 'constant' ? deciding : { ...deciding, steps },
    maintainEvery: task.maintain ? (maintainEvery ?? null) : null,
    task: configuration ?? {},
  };
}

/**
 * Finds the starting point in `folder`, and hands the task its state.
 * @throws TrainingError `training_exists`, `configuration_differs`, `training_option_invalid`, `saved_training_invalid`
 * where there are checkpoints and all of them are damaged
 */
export async function* resumeTraining(
  task: TrainingTask,
  settings: CompleteSettings,
  configuration: Readonly<Record<string, unknown>>,
  options: { folder: string; resume?: boolean | undefined; allowChanges?: boolean | undefined },
  threads: number,
): AsyncGenerator<TrainingEvent, StartingPoint, undefined> {
  const { folder, resume = false, allowChanges = false } = options;
  const checkpoints = join(folder, 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  await removeLeftovers(checkpoints);
  if (!resume && (await listSavedTrainings(checkpoints)).length > 0) {
    const message = `${folder} has the checkpoints of a training: resume it, or name another folder`;
    throw new TrainingError('training_exists', message, { folder });
  }
  const skipped: { path: string; reason: string }[] = [];
  const saved = await openNewestTraining(checkpoints, (path, reason) => skipped.push({ path, reason }));
  if (!saved && skipped.length > 0) {
    const { path, reason } = skipped[0]!;
    const message = `${folder} has no sound checkpoint to go on from; the newest, ${path}: ${reason}`;
    throw new TrainingError('saved_training_invalid', message, { folder, skipped });
  }
  for (const { path, reason } of skipped) {
    await setAside(path);
    yield { type: 'checkpoint-skipped', path, reason };
  }
  if (!saved) return beginning(task);

  const { manifest, path } = saved;
  const warnings: string[] = [];
  if (manifest.configurationHash !== configurationHash(configuration)) {
    const keys = differingKeys(manifest.configuration, configuration);
    const message = `${path} was made with another configuration; what differs: ${keys.join(', ')}`;
    if (!allowChanges) throw new TrainingError('configuration_differs', message, { path, keys });
    warnings.push(message);
  }
  if (manifest.threads !== threads) {
    warnings.push(`${path} was computed with ${manifest.threads} threads, now ${threads}: last bits can differ`);
  }
  if (manifest.step % settings.stepsPerRun !== 0) {
    throw new TrainingError(
      'training_option_invalid',
      `stepsPerRun is ${settings.stepsPerRun}: expected a divisor of ${manifest.step}, the step of ${path}`,
      { path },
    );
  }
  if (task.state) {
    const names = saved.taskNames;
    const values = await Promise.all(names.map((name) => saved.read(`task.${name}`)));
    task.state.restore(Object.fromEntries(names.map((name, index) => [name, values[index]!])));
  }
  const { step, samples, cursor } = manifest;
  return { step, samples, cursor, resumedFrom: path, warnings, read: (name) => readSaved(saved, name) };
}

function beginning(task: TrainingTask): StartingPoint {
  const read = async (name: string): Promise<TensorValue> => {
    if (name === stateNames.updates) return { dtype: 'int64', shape: [], data: BigInt64Array.of(0n) };
    const { weight, average } = stateNames;
    const prefix = Object.values(stateNames).find((entry) => name.startsWith(entry))!;
    const parameter = name.slice(prefix.length);
    const shape = task.stage.trained.get(parameter)!;
    const starts = prefix === weight || prefix === average;
    const count = shape.reduce((product, size) => product * size, 1);
    const data = starts ? await task.start(parameter, shape) : new Float32Array(count);
    return { dtype: 'float32', shape, data };
  };
  return { step: 0, samples: 0, cursor: undefined, resumedFrom: undefined, warnings: [], read };
}

/** An average that was not kept before starts from the weights. */
async function readSaved(saved: SavedTraining, name: string): Promise<TensorValue> {
  const { average, weight } = stateNames;
  const missing = name.startsWith(average) && !saved.manifest.files['average.safetensors'];
  return saved.read(missing ? `${weight}${name.slice(average.length)}` : name);
}
