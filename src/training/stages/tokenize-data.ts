/** Writes the pictures of a stage down as codes, once, so that no epoch has to encode them again. */
import path from 'node:path';
import { DataError } from '../../data/error.ts';
import { type OneReading, readEditPairsOnce, readImageTextOnce } from '../../data/sources/open.ts';
import type { EditPairConfig, ImageTextConfig } from '../../data/sources/options.ts';
import type { EditPairSample, ImageTextSample } from '../../data/sources/sample.ts';
import { isTokenSet } from '../../data/sources/token-manifest.ts';
import { createTokenWriter, resumeTokenWriter, type TokenWriter } from '../../data/sources/token-writer.ts';
import { openTokens } from '../../data/sources/tokens.ts';
import type { Cursor, SkippedSample } from '../../data/stream.ts';
import type { DeviceRequest } from '../../runtime/index.ts';
import { StarModel } from '../../tasks/star-model.ts';
import { TrainingError } from '../error.ts';
import { PictureCodes, tokenizerFingerprint } from './picture-codes.ts';
import { noStage } from './plan.ts';
import { squared } from './real-data.ts';
import type { TrainingRecipe } from './recipe.ts';

/** The stages that learn from codes. */
export const codedStages = ['generation', 'instruction'] as const;
export type CodedStage = (typeof codedStages)[number];

export interface TokenizeOptions {
  /** The sets are folders in it, by their field in the recipe: `data/train`, `editData/heldOut`. */
  readonly folder: string;
  /** The model's folder, in place of one that the recipe names. */
  readonly model?: string | undefined;
  /** Go on with sets that were not finished, and leave those that were. Default: refuse folders that hold something. */
  readonly resume?: boolean | undefined;
  readonly threads?: number | undefined;
  readonly device?: DeviceRequest | undefined;
  /** Stops after the batch that is going; what was coded is saved. */
  readonly signal?: AbortSignal | undefined;
}

/** What coding tells; `field` is the set's place in the stage's recipe, such as `data.train`. */
export type TokenizeEvent =
  | {
      readonly type: 'set-started';
      readonly field: string;
      readonly folder: string;
      /** Samples that an earlier run has coded. */
      readonly samples: number;
      /** Samples in all, broken ones too; undefined where nobody has counted them. */
      readonly total: number | undefined;
      readonly warnings: readonly string[];
    }
  | { readonly type: 'samples-coded'; readonly field: string; readonly samples: number }
  | { readonly type: 'sample-skipped'; readonly field: string; readonly skipped: SkippedSample }
  | ({ readonly type: 'set-finished' } & TokenizedSet);

export interface TokenizedSet {
  readonly field: string;
  readonly folder: string;
  readonly samples: number;
  /** Samples of this run that could not be used. */
  readonly skipped: number;
}

export interface TokenizeResult {
  readonly stage: CodedStage;
  /** Fingerprint of the tokenizer: training with another one is refused. */
  readonly tokenizer: string;
  /** Sets that are whole. */
  readonly sets: readonly TokenizedSet[];
  readonly stopped: 'finished' | 'aborted';
}

/**
 * Codes the pictures of a stage's `data` and `editData` with the model's tokenizer. Samples stand in the data's own
 * order, cut and scaled as the stage would; what the recipe leaves to chance is decided once. Fields of kind `tokens`
 * are left as they are.
 * @throws TrainingError for a stage without pictures of its own and for a recipe without a model; DataError for data
 * that cannot be read and folders that hold something; CheckpointError where files cannot be written
 */
export async function* tokenizeStage(
  recipe: TrainingRecipe,
  stage: CodedStage,
  options: TokenizeOptions,
): AsyncGenerator<TokenizeEvent, TokenizeResult, undefined> {
  const settings = recipe.stages[stage];
  if (!settings) throw noStage(recipe, stage);
  const modelFolder = options.model ?? (typeof recipe.model === 'string' ? recipe.model : undefined);
  if (modelFolder === undefined) {
    const message =
      'the recipe makes a new model, whose tokenizer has learned nothing: name the folder of a trained one';
    throw new TrainingError('training_option_invalid', message);
  }
  const jobs = jobsOf(recipe, stage);
  await using model = await StarModel.open(modelFolder, { device: options.device ?? 'cpu', threads: options.threads });
  const tokenizer = await tokenizerFingerprint(model);
  const sets: TokenizedSet[] = [];
  for (const job of jobs) {
    if (options.signal?.aborted) break;
    const set = yield* tokenizeSet(job, model, tokenizer, { ...settings, ...options });
    if (!set) break;
    sets.push(set);
    yield { type: 'set-finished', ...set };
  }
  return { stage, tokenizer, sets, stopped: sets.length < jobs.length ? 'aborted' : 'finished' };
}

/** One set to be made. */
type Job = { readonly field: string } & (
  | { readonly edits: false; readonly config: ImageTextConfig }
  | { readonly edits: true; readonly config: EditPairConfig }
);

function jobsOf(recipe: TrainingRecipe, stage: CodedStage): Job[] {
  const { data } = recipe.stages[stage]!;
  const editData = stage === 'instruction' ? recipe.stages.instruction!.editData : undefined;
  const jobs: Job[] = [];
  for (const which of ['train', 'heldOut'] as const) {
    const drawn = data?.[which];
    if (drawn && drawn.kind !== 'tokens') jobs.push({ field: `data.${which}`, edits: false, config: drawn });
    const edited = editData?.[which];
    if (edited && edited.kind !== 'tokens') jobs.push({ field: `editData.${which}`, edits: true, config: edited });
  }
  if (jobs.length > 0) return jobs;
  const message =
    data || editData
      ? `the data of stage ${stage} is coded already`
      : `stage ${stage} has no data in the recipe: it learns from the closed world, whose pictures are made, not read`;
  throw new TrainingError('training_option_invalid', message);
}

interface SetOptions extends TokenizeOptions {
  readonly batch: number;
  readonly seed: number;
}

/** A sample that waits for its codes, and the place in the stream after it. */
interface Waiting {
  readonly sample: ImageTextSample | EditPairSample;
  readonly after: Cursor;
}

/** @returns the set, or nothing where it was stopped before its end */
async function* tokenizeSet(
  job: Job,
  model: StarModel,
  tokenizer: string,
  { folder: parent, resume = false, batch, seed, signal }: SetOptions,
): AsyncGenerator<TokenizeEvent, TokenizedSet | undefined, undefined> {
  const { field, edits } = job;
  const folder = path.join(parent, ...field.split('.'));
  const { numTokens, codebookSize, imageSize } = model.folder.star.pixelEncoder;
  const writerOptions = { tokenizer, edits, tokens: numTokens, vocabulary: codebookSize };
  if (resume && (await isTokenSet(folder))) {
    const { count } = await openTokens(folder, { tokenizer, edits, verify: false });
    return { field, folder, samples: count, skipped: 0 };
  }
  const { writer, cursor } = resume
    ? await resumeTokenWriter(folder, writerOptions)
    : { writer: await createTokenWriter(folder, writerOptions), cursor: undefined };
  const { stream, count: total } = await openOnce(job, imageSize, seed, cursor);
  await using reading = stream;
  const warnings = chanceOf(job);
  yield { type: 'set-started', field, folder, samples: writer.samples, total, warnings };

  const codes = new PictureCodes(model);
  let skipped = 0;
  /** Samples that the stream could not read so far. */
  let read = 0;
  for (let ended = false; !ended && !signal?.aborted; ) {
    const waiting: Waiting[] = [];
    while (waiting.length < batch && !ended) {
      // One by one: the set remembers the place after each.
      const [sample] = await reading.next(1);
      if (sample) waiting.push({ sample, after: reading.cursor() });
      else ended = true;
    }
    const unread = reading.skippedCount - read;
    read = reading.skippedCount;
    const unusable = [...(unread > 0 ? reading.skipped.slice(-unread) : []), ...(await addAll(writer, codes, waiting))];
    skipped += unusable.length;
    for (const each of unusable) yield { type: 'sample-skipped', field, skipped: each };
    yield { type: 'samples-coded', field, samples: writer.samples };
    if (ended) {
      await writer.finish();
      return { field, folder, samples: writer.samples, skipped };
    }
  }
  await writer.flush();
  return undefined;
}

function openOnce(
  job: Job,
  size: number,
  seed: number,
  cursor: Cursor | undefined,
): Promise<OneReading<ImageTextSample | EditPairSample>> {
  return job.edits
    ? readEditPairsOnce(squared(job.config, size, seed), cursor)
    : readImageTextOnce(squared(job.config, size, seed), cursor);
}

/** All pictures of the samples in one run of the tokenizer. @returns what could not be written */
async function addAll(writer: TokenWriter, codes: PictureCodes, waiting: readonly Waiting[]): Promise<SkippedSample[]> {
  const after = waiting.map(({ sample }) => ('image' in sample ? sample.image : sample.after));
  const before = waiting.flatMap(({ sample }) => ('before' in sample ? [sample.before] : []));
  const made = await codes.of([...after, ...before]);
  const unusable: SkippedSample[] = [];
  for (const [at, { sample, after: place }] of waiting.entries()) {
    const own = { codes: made[at]! };
    const tokenized =
      'image' in sample
        ? { ...own, prompt: sample.caption }
        : {
            ...own,
            prompt: sample.instruction,
            before: { codes: made[waiting.length + at]!, image: sample.before },
          };
    try {
      await writer.add(tokenized, place);
    } catch (error) {
      if (!(error instanceof DataError) || error.code !== 'data_invalid') throw error;
      unusable.push({ source: sample.source, reason: error.message });
    }
  }
  return unusable;
}

/** What a set decides once that a training would decide anew in every epoch. */
function chanceOf({ field, config: { square } }: Job): string[] {
  const chances = [...(square?.crop === 'random' ? ['the crop'] : []), ...(square?.flip ? ['mirroring'] : [])];
  return chances.length === 0 ? [] : [`${field}: ${chances.join(' and ')} is decided once for each picture`];
}
