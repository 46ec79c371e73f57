/**
 * The training loop: batches in, steps in a runtime's worker, checkpoints out. It is a generator of events, so that the
 * caller shows progress and previews as it likes.
 *
 * A training's folder: `checkpoints/step-...` (see saved-training.ts), `metrics.jsonl`, `tensorboard/`, `previews/`, and
 * `failed-step-....safetensors`, the batch of a step that was not finite.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import type { Cursor } from '../data/stream.ts';
import { type RemoteTensor, Runtime, type Session } from '../runtime/index.ts';
import type { TensorValue } from '../tensor/index.ts';
import { BatchReader, type RunBatches, stackBatches } from './batches.ts';
import { TrainingError } from './error.ts';
import { TrainingJournal } from './journal.ts';
import { type MeasuredStep, measuredSteps } from './measured.ts';
import { type CompleteSettings, completeSettings, type TrainerSettings } from './recipe.ts';
import { resumeTraining, type StartingPoint, trainingConfiguration } from './resume.ts';
import { saveTraining } from './saved-training.ts';
import { learningRateAt } from './schedule.ts';
import { compileTrainingStep } from './step.ts';
import { stepName } from './step-names.ts';
import type { TrainingTask } from './task.ts';
import type { TrainingEvent, TrainingResult } from './training-events.ts';
import { disposeResults, TrainingState } from './training-state.ts';

export interface TrainOptions {
  /** Made where it is missing. */
  readonly folder: string;
  /**
   * Go on from the newest sound checkpoint in the folder; without one the training begins. Default: false, and a folder
   * that has checkpoints is refused.
   */
  readonly resume?: boolean | undefined;
  /** Go on though the configuration is not the checkpoint's. Default: false. */
  readonly allowChanges?: boolean | undefined;
  /** Default: one on the CPU, for the time of the training. */
  readonly runtime?: Runtime | undefined;
  /** Stops after the run that is going: the training is saved and ends with `stopped: 'aborted'`. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Trains until `settings.steps` steps are done.
 *
 * With the same task, settings and number of threads, a training that was killed at any moment and resumed gives the
 * same losses and weights, bit for bit, as one that was not. Leaving the loop over the events early stops the training
 * without saving; abort the signal instead.
 *
 * @throws TrainingError `training_option_invalid`, `training_exists`, `configuration_differs` (with the keys),
 * `batch_invalid`; what the data or a preview throws, after saving; `step_not_finite` when loss or gradients of a step were not finite: then the update was not made, the
 * state before the run is saved, and the batch lies in the folder (`details.batch`).
 */
export async function* train(
  task: TrainingTask,
  settings: TrainerSettings,
  options: TrainOptions,
): AsyncGenerator<TrainingEvent, TrainingResult, undefined> {
  const complete = completeSettings(settings);
  const { stepsPerRun, accumulate } = complete;
  checkMaintenance(task, stepsPerRun);
  const configuration = trainingConfiguration(task, complete);
  await using owned = options.runtime ? undefined : await Runtime.create({ device: 'cpu' });
  const runtime = options.runtime ?? owned!;

  const start = yield* resumeTraining(task, complete, configuration, options, runtime.threads);
  const program = compileTrainingStep(task.stage, task.declareFrozen, {
    steps: stepsPerRun,
    accumulate,
    optimizer: {
      beta1: complete.beta1,
      beta2: complete.beta2,
      weightDecay: complete.weightDecay,
      clipNorm: complete.clipNorm,
      averageDecay: complete.ema,
      matrices: complete.optimizer,
    },
  });
  const kept = program.outputs.map(({ name }) => name).filter((name) => name.startsWith('next.'));
  await using session = await runtime.load(program, { weightsFolder: task.weightsFolder, keep: kept });
  await using state = await TrainingState.upload(task.stage, complete.ema > 0, runtime, start.read);
  const data = await task.openData(start.cursor);
  await using reader = new BatchReader(data, task.stage, stepsPerRun * accumulate);
  await using journal = await TrainingJournal.open(options.folder, start.step);
  const training = new Training({
    ...{ task, settings: complete, configuration, folder: options.folder, threads: runtime.threads },
    ...{ session, state, journal, kept },
    start: { ...start, cursor: start.cursor ?? data.cursor() },
  });
  const { step, resumedFrom, warnings } = start;
  yield { type: 'training-started', step, steps: complete.steps, resumedFrom, warnings };

  while (training.step < complete.steps && !options.signal?.aborted) {
    const began = performance.now();
    const batches = yield* training.savingOnError(() => reader.next());
    const running = training.run(batches);
    if (training.step + stepsPerRun < complete.steps) reader.readAhead();
    const measured = await running;
    const failed = measured.find(({ applied }) => !applied);
    if (failed) return yield* training.fail(failed, batches);
    yield* training.report(measured, batches, (performance.now() - began) / 1000);
    yield* training.between();
  }
  yield* training.saveIfNew();
  const stopped = training.step < complete.steps ? 'aborted' : 'finished';
  return { step: training.step, stopped, checkpoint: training.savedPath! };
}

interface TrainingParts {
  readonly task: TrainingTask;
  readonly settings: CompleteSettings;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly folder: string;
  readonly threads: number;
  readonly session: Session;
  readonly state: TrainingState;
  readonly journal: TrainingJournal;
  /** Names of the outputs that are the next run's state. */
  readonly kept: readonly string[];
  readonly start: StartingPoint & { readonly cursor: Cursor };
}

/** Where a training stands, and what is done with it. */
class Training {
  readonly #parts: TrainingParts;
  #cursor: Cursor;
  #samples: number;
  #skipped = 0;
  #results: Readonly<Record<string, TensorValue | RemoteTensor>> = {};
  step: number;
  savedStep: number | undefined;
  savedPath: string | undefined;

  constructor(parts: TrainingParts) {
    this.#parts = parts;
    const { step, cursor, samples, resumedFrom } = parts.start;
    this.step = step;
    this.#cursor = cursor;
    this.#samples = samples;
    this.savedPath = resumedFrom;
    if (resumedFrom !== undefined) this.savedStep = step;
  }

  /** Runs the program; the state is the old one until `report` takes the results over. */
  async run({ batches }: RunBatches): Promise<MeasuredStep[]> {
    const { task, settings, session, state, kept } = this.#parts;
    const { stepsPerRun, accumulate } = settings;
    const rates = Float32Array.from({ length: stepsPerRun }, (_, index) => learningRateAt(this.step + index, settings));
    const feeds = {
      ...Object.fromEntries(state.tensors),
      ...stackBatches(task.stage, batches, accumulate === 1 ? [stepsPerRun] : [stepsPerRun, accumulate]),
      learning_rate: { dtype: 'float32' as const, shape: [stepsPerRun], data: rates },
    };
    this.#results = await session.run(feeds, { keep: kept });
    return measuredSteps(this.#results, stepsPerRun);
  }

  /** Takes the results of the run over and tells of its steps. */
  async *report(
    measured: readonly MeasuredStep[],
    { cursor, samples, skippedCount }: RunBatches,
    seconds: number,
  ): AsyncGenerator<TrainingEvent, void, undefined> {
    const { task, settings, state, journal } = this.#parts;
    await state.advance(this.#results);
    this.#cursor = cursor;
    this.#samples += samples;
    const samplesPerSecond = samples / seconds;
    const first = this.step;
    this.step += measured.length;
    for (const [index, { loss, gradientNorm, numbers, reported }] of measured.entries()) {
      const step = first + index + 1;
      const learningRate = learningRateAt(step - 1, settings);
      task.observe?.(reported, step);
      if (step % settings.logEvery === 0 || step === settings.steps) {
        const common = { loss, gradient_norm: gradientNorm, learning_rate: learningRate };
        await journal.numbers(step, 'step', { ...numbers, ...common, samples_per_second: samplesPerSecond });
      }
      yield { type: 'step-end', step, loss, gradientNorm, learningRate, samplesPerSecond, reported: numbers };
    }
    if (skippedCount > this.#skipped) {
      yield { type: 'samples-skipped', step: this.step, count: skippedCount - this.#skipped };
      this.#skipped = skippedCount;
    }
  }

  /** Maintenance, preview and saving, where it is their turn. */
  async *between(): AsyncGenerator<TrainingEvent, void, undefined> {
    const { task, settings, state, journal } = this.#parts;
    const { step } = this;
    const due = (every: number | undefined) => every !== undefined && every > 0 && step % every === 0;
    if (task.maintain && due(task.maintainEvery)) {
      const numbers = await task.maintain(state.access(), step);
      await journal.numbers(step, 'maintain', numbers);
      yield { type: 'maintenance-end', step, numbers };
    }
    // Before saving: a training that is killed in a preview makes it again.
    if (task.preview && due(settings.previewEvery)) {
      const show = () => task.preview!(state.previewAccess(), step);
      const { pictures = [], numbers = {} } = yield* this.savingOnError(show);
      await journal.numbers(step, 'preview', numbers);
      const path = pictures.length > 0 ? await journal.pictures(step, pictures) : undefined;
      yield { type: 'preview-available', step, path, numbers };
    }
    if (due(settings.saveEvery)) yield await this.save();
  }

  async *saveIfNew(): AsyncGenerator<TrainingEvent, void, undefined> {
    if (this.savedStep !== this.step) yield await this.save();
  }

  /** What is not the fault of the weights must not cost the steps since the last checkpoint: saves, then throws. */
  async *savingOnError<T>(action: () => Promise<T>): AsyncGenerator<TrainingEvent, T, undefined> {
    try {
      return await action();
    } catch (error) {
      yield* this.saveIfNew();
      throw error;
    }
  }

  async save(): Promise<TrainingEvent> {
    const { task, settings, configuration, folder, threads, state, journal } = this.#parts;
    const began = performance.now();
    // The log is on the disk before the checkpoint that it leads to.
    await journal.sync();
    const tensors = [...state.tensors].map(([name, { dtype, shape }]) => ({
      ...{ name, dtype, shape },
      read: () => state.read(name),
    }));
    const own = Object.entries(task.state?.save() ?? {}).map(([name, value]) => ({
      ...{ name: `task.${name}`, dtype: value.dtype, shape: value.shape },
      read: async () => value,
    }));
    const place = {
      ...{ step: this.step, samples: this.#samples, stage: task.stage.name, seed: settings.seed },
      ...{ cursor: this.#cursor, threads, configuration },
    };
    const { path, bytes } = await saveTraining(join(folder, 'checkpoints'), place, [...tensors, ...own], settings.keep);
    this.savedStep = this.step;
    this.savedPath = path;
    return { type: 'checkpoint-saved', step: this.step, path, bytes, seconds: (performance.now() - began) / 1000 };
  }

  /** Saves the batch of a step that was not finite and the state before its run, and throws. */
  async *fail(failed: MeasuredStep, { batches }: RunBatches): AsyncGenerator<TrainingEvent, never, undefined> {
    const { task, settings, folder } = this.#parts;
    const { accumulate } = settings;
    await disposeResults(this.#results);
    const step = this.step + failed.index + 1;
    const own = batches.slice(failed.index * accumulate, (failed.index + 1) * accumulate);
    const batch = join(folder, `failed-${stepName(step)}.safetensors`);
    await mkdir(folder, { recursive: true });
    const feeds = stackBatches(task.stage, own, accumulate === 1 ? [] : [accumulate]);
    await writeSafetensors(
      batch,
      Object.entries(feeds).map(([name, value]) => ({ name, ...value })),
    );
    yield* this.saveIfNew();
    const { loss, gradientNorm } = failed;
    throw new TrainingError(
      'step_not_finite',
      `step ${step}: loss ${loss}, gradient norm ${gradientNorm}: expected finite numbers. The update was not made; the ` +
        `training stands saved at step ${this.step} in ${this.savedPath}, the batch in ${batch}`,
      { step, loss, gradientNorm, batch, checkpoint: this.savedPath, savedStep: this.step },
    );
  }
}

function checkMaintenance({ maintainEvery }: TrainingTask, stepsPerRun: number): void {
  if (maintainEvery === undefined) return;
  if (Number.isSafeInteger(maintainEvery) && maintainEvery >= 1 && maintainEvery % stepsPerRun === 0) return;
  throw new TrainingError(
    'training_option_invalid',
    `maintainEvery is ${maintainEvery}: expected a multiple of stepsPerRun, which is ${stepsPerRun}`,
  );
}
