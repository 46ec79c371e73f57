/**
 * Saved trainings: folders `step-00001234` with the weights, the optimizer's state and a manifest that has size and
 * SHA-256 of every file. A folder is written under a temporary name and renamed when all of it is on the disk, so a
 * killed process leaves the checkpoints before it as they were.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { syncFolder, writeFileDurably } from '../checkpoint/durable.ts';
import type { TensorEntry } from '../checkpoint/entry.ts';
import { openSafetensors, readEntry } from '../checkpoint/open.ts';
import { type TensorToWrite, writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import type { Cursor } from '../data/stream.ts';
import type { TensorValue } from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import { stateNames } from './step.ts';
import { stepName } from './step-names.ts';

const manifestName = 'manifest.json';
const format = 'starstack-training';

const manifestSchema = z.object({
  format: z.literal(format),
  version: z.literal(1),
  /** Steps done. */
  step: z.int().min(0),
  /** Samples seen. */
  samples: z.int().min(0),
  stage: z.string(),
  seed: z.int(),
  cursor: z.record(z.string(), z.unknown()),
  /** Threads that computed it: another number can give other last bits. */
  threads: z.int(),
  configurationHash: z.string(),
  configuration: z.record(z.string(), z.unknown()),
  files: z.record(z.string().regex(/^[a-z_]+\.safetensors$/), z.object({ bytes: z.int(), sha256: z.string() })),
});

export type TrainingManifest = z.output<typeof manifestSchema>;

/** Where a training stands, without its tensors. */
export interface TrainingPlace {
  readonly step: number;
  readonly samples: number;
  readonly stage: string;
  readonly seed: number;
  readonly cursor: Cursor;
  readonly threads: number;
  /** What decides the results, as plain JSON. */
  readonly configuration: Readonly<Record<string, unknown>>;
}

/** A tensor that is read when it is written. */
export interface StateTensor {
  readonly name: string;
  readonly dtype: TensorToWrite['dtype'];
  readonly shape: readonly number[];
  readonly read: () => Promise<TensorValue>;
}

const taskPrefix = 'task.';

/** The files of a saved training, and how the names in them relate to those of the state. Names without prefix go to `optimizer`. */
const files = [
  { file: 'weights.safetensors', prefix: stateNames.weight },
  { file: 'average.safetensors', prefix: stateNames.average },
  { file: 'task.safetensors', prefix: taskPrefix },
  { file: 'optimizer.safetensors', prefix: '' },
] as const;

/**
 * Saves a training as `step-...` in `folder`, which is made where it is missing, and removes all but the newest `keep`.
 *
 * `weights.safetensors` and, where there is one, `average.safetensors` have the stage's own names: other programs load
 * them as they are.
 * @returns the folder's path and the bytes of its files
 * @throws CheckpointError or the system's error when the disk refuses; the checkpoints before are as they were
 */
export async function saveTraining(
  folder: string,
  place: TrainingPlace,
  tensors: readonly StateTensor[],
  keep: number,
): Promise<{ readonly path: string; readonly bytes: number }> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, stepName(place.step));
  const temporary = join(folder, `.${stepName(place.step)}.tmp`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary);
  try {
    const written: Record<string, { bytes: number; sha256: string }> = {};
    const left = new Set(tensors);
    for (const { file, prefix } of files) {
      const own = [...left].filter(({ name }) => name.startsWith(prefix));
      for (const tensor of own) left.delete(tensor);
      if (own.length === 0) continue;
      await writeSafetensors(
        join(temporary, file),
        own.map(({ name, dtype, shape, read }) => ({
          name: name.slice(prefix.length),
          dtype,
          shape,
          data: async () => (await read()).data,
        })),
        { format: 'pt' },
      );
      written[file] = await measureFile(join(temporary, file));
    }
    const manifest: TrainingManifest = {
      format,
      version: 1,
      ...place,
      configuration: JSON.parse(canonicalJson(place.configuration)) as Record<string, unknown>,
      configurationHash: configurationHash(place.configuration),
      files: written,
    };
    await writeFileDurably(join(temporary, manifestName), [Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)]);
    // A damaged one of the same step would be in the way.
    await removeTraining(folder, stepName(place.step));
    await rename(temporary, path);
    await syncFolder(folder);
    const bytes = Object.values(written).reduce((sum, file) => sum + file.bytes, 0);
    await removeOld(folder, keep);
    return { path, bytes };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** Names of the saved trainings in a folder, the newest first; none where the folder is missing. */
export async function listSavedTrainings(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const stepOf = (name: string) => Number(name.slice('step-'.length));
  return names.filter((name) => /^step-\d{8,}$/.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
}

/** A saved training that was read whole. */
export interface SavedTraining {
  readonly path: string;
  readonly manifest: TrainingManifest;
  /** Reads a tensor by its name in the state; throws TrainingError `saved_training_invalid` for one that it does not have. */
  readonly read: (name: string) => Promise<TensorValue>;
  /** Names of the task's own tensors. */
  readonly taskNames: readonly string[];
}

/**
 * Opens the newest saved training whose files are whole.
 * @param skipped is told of each damaged one that was passed over, newest first
 * @returns undefined where there is none
 */
export async function openNewestTraining(
  folder: string,
  skipped: (path: string, reason: string) => void,
): Promise<SavedTraining | undefined> {
  for (const name of await listSavedTrainings(folder)) {
    const path = join(folder, name);
    try {
      return await openTraining(path);
    } catch (error) {
      if (!(error instanceof TrainingError) || error.code !== 'saved_training_invalid') throw error;
      skipped(path, String(error.details.reason));
    }
  }
  return undefined;
}

/**
 * Opens a saved training and checks every byte of it.
 * @throws TrainingError `saved_training_invalid`, with the file and what is wrong with it
 */
export async function openTraining(path: string): Promise<SavedTraining> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new TrainingError('saved_training_invalid', `${path}: ${reason}`, { path, reason }, { cause });
  };
  let text: string;
  try {
    text = await readFile(join(path, manifestName), 'utf8');
  } catch (cause) {
    return refuse(`${manifestName} cannot be read (${(cause as Error).message})`, cause);
  }
  let manifest: TrainingManifest;
  try {
    manifest = manifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    return refuse(`${manifestName} is damaged (${(cause as Error).message.split('\n')[0]})`, cause);
  }
  for (const [file, expected] of Object.entries(manifest.files)) {
    const got = await measureFile(join(path, file)).catch((cause) => refuse(`${file} cannot be read`, cause));
    if (got.bytes !== expected.bytes) refuse(`${file} has ${got.bytes} bytes, expected ${expected.bytes}`);
    if (got.sha256 !== expected.sha256) refuse(`${file} is damaged: its SHA-256 is not the manifest's`);
  }
  const entries = new Map<string, TensorEntry>();
  for (const { file, prefix } of files) {
    if (!manifest.files[file]) continue;
    await using checkpoint = await openSafetensors(join(path, file));
    for (const entry of checkpoint.entries.values()) entries.set(`${prefix}${entry.name}`, entry);
  }
  return {
    path,
    manifest,
    read: async (name) => {
      const entry = entries.get(name);
      if (entry) return await readEntry(entry);
      throw refuse(`it has no tensor ${name}`);
    },
    taskNames: [...entries.keys()]
      .filter((name) => name.startsWith(taskPrefix))
      .map((name) => name.slice(taskPrefix.length)),
  };
}

/**
 * Takes a damaged one out of the row, as `damaged-step-...`: counted among the newest, it would push out sound ones.
 */
export async function setAside(path: string): Promise<void> {
  const aside = join(dirname(path), `damaged-${basename(path)}`);
  await rm(aside, { recursive: true, force: true });
  await rename(path, aside);
}

/** Removes what killed processes left half written. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (/^\.step-\d+(\.old)?\.tmp$/.test(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** SHA-256 of a configuration, whatever the order of its keys. */
export function configurationHash(configuration: unknown): string {
  return createHash('sha256').update(canonicalJson(configuration)).digest('hex');
}

/** Keys whose values differ, as paths `a.b.0`, sorted. */
export function differingKeys(a: unknown, b: unknown, path = ''): string[] {
  if (canonicalJson(a) === canonicalJson(b)) return [];
  const isTree = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
  if (!isTree(a) || !isTree(b) || Array.isArray(a) !== Array.isArray(b)) return [path];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return keys.flatMap((key) => differingKeys(a[key], b[key], path === '' ? key : `${path}.${key}`));
}

function canonicalJson(value: unknown): string {
  const sorted = (_: string, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : // JSON has no infinities.
        typeof inner === 'number' && !Number.isFinite(inner)
        ? String(inner)
        : inner;
  return JSON.stringify(value, sorted) ?? 'undefined';
}

async function removeOld(folder: string, keep: number): Promise<void> {
  for (const name of (await listSavedTrainings(folder)).slice(keep)) await removeTraining(folder, name);
}

/** Under another name first: a folder that is half removed must not look like a checkpoint. */
async function removeTraining(folder: string, name: string): Promise<void> {
  const doomed = join(folder, `.${name}.old.tmp`);
  await rm(doomed, { recursive: true, force: true });
  try {
    await rename(join(folder, name), doomed);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await rm(doomed, { recursive: true, force: true });
}

async function measureFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  const { size } = await stat(path);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer);
  return { bytes: size, sha256: hash.digest('hex') };
}
