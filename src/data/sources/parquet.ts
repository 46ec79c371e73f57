/**
 * Samples from Parquet files. A row can only be had with its whole group, so the order shuffles groups, and mixes the
 * rows of as many groups as are held in memory at once.
 */
import { DataError } from '../error.ts';
import { chooseCaption } from './captions.ts';
import { openFolder, readInside } from './inside.ts';
import type { ParquetOptions } from './options.ts';
import { fingerprintOf, type SampleIndex } from './order.ts';
import { openParquet, type ParquetFile } from './parquet-file.ts';
import { permutedIndex } from './permutation.ts';
import { loadPicture } from './picture.ts';
import type { ImageTextSample } from './sample.ts';
import { listShards } from './shards.ts';

/** Streams of the permutation; groups of one epoch and rows of its windows must not share theirs. */
const windowsPerEpoch = 2 ** 16;

interface Group {
  readonly file: ParquetFile;
  readonly name: string;
  /** Its number in the file. */
  readonly number: number;
  readonly rows: number;
  /** Its first row, counted in the file, and in all files. */
  readonly startInFile: number;
  readonly start: number;
}

type Rows = Promise<Record<string, unknown>[]>;

/** The rows of a folder's Parquet files; the footers are read at once, the rows when their turn comes. */
export async function indexParquet(options: ParquetOptions): Promise<SampleIndex<ImageTextSample>> {
  const { imageColumn, captionColumn, seed, groupsAtOnce, maxGroupBytes, maxImageBytes } = options;
  const root = await openFolder(options.folder);
  const shards = await listShards(options.folder, options.files, '.parquet');
  const groups: Group[] = [];
  let count = 0;
  for (const { name, path } of shards) {
    const file = await openParquet(path, [imageColumn, captionColumn], maxGroupBytes);
    for (const [number, { rows, start }] of file.groups.entries()) {
      if (rows === 0) continue;
      groups.push({ file, name, number, rows, startInFile: start, start: count });
      count += rows;
    }
  }
  const rowsOf = cacheOf(groupsAtOnce);
  const windows = new Windows(groups, groupsAtOnce, seed);

  const source = (at: number) => {
    const group = groupOf(groups, at);
    return `${group.name}:${at - group.start + group.startInFile}`;
  };

  return {
    count,
    fingerprint: fingerprintOf(['parquet', shards.map(({ name, size }) => [name, size]), count, groupsAtOnce]),
    shuffled: (position, epoch) => windows.row(position, epoch),
    source,
    async load(at, place) {
      const group = groupOf(groups, at);
      // Before anything is awaited: loads begin in the order of draws, so a group is asked for while it is held.
      const rows = rowsOf(group);
      const row = (await rows)[at - group.start]!;
      const caption = chooseCaption(captionOf(row[captionColumn]), seed, place);
      const bytes = await bytesOf(row[imageColumn], (path) => readInside(root, path, maxImageBytes));
      const image = await loadPicture(bytes, options, place);
      return { image, caption, source: source(at) };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** The last group that starts at or before a row. */
function groupOf(groups: readonly Group[], row: number): Group {
  let [low, high] = [0, groups.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (groups[middle]!.start <= row) low = middle;
    else high = middle - 1;
  }
  return groups[low]!;
}

/** The rows of the groups asked for last. A group that failed is kept too: it fails once, not once a row. */
function cacheOf(size: number): (group: Group) => Rows {
  const held = new Map<Group, Rows>();
  return (group) => {
    const rows = held.get(group) ?? group.file.readGroup(group.number);
    rows.catch(() => undefined);
    held.delete(group);
    held.set(group, rows);
    for (const oldest of held.keys()) {
      if (held.size <= size) break;
      held.delete(oldest);
    }
    return rows;
  };
}

/** The order of rows: groups shuffled, cut into windows of a few groups, and each window's rows shuffled. */
class Windows {
  readonly #groups: readonly Group[];
  readonly #width: number;
  readonly #seed: number;
  #epoch = -1;
  /** The epoch's groups, and the first position of each window. */
  #order: Group[] = [];
  #starts: number[] = [];

  constructor(groups: readonly Group[], width: number, seed: number) {
    this.#groups = groups;
    this.#width = width;
    this.#seed = seed;
  }

  row(position: number, epoch: number): number {
    if (epoch !== this.#epoch) this.#arrange(epoch);
    let window = 0;
    for (let high = this.#starts.length - 1; window < high; ) {
      const middle = Math.ceil((window + high) / 2);
      if (this.#starts[middle]! <= position) window = middle;
      else high = middle - 1;
    }
    const members = this.#order.slice(window * this.#width, (window + 1) * this.#width);
    const rows = members.reduce((sum, group) => sum + group.rows, 0);
    const stream = windowsPerEpoch + ((epoch * this.#starts.length + window) % (2 ** 32 - windowsPerEpoch));
    let at = permutedIndex(rows, position - this.#starts[window]!, this.#seed, stream);
    for (const group of members) {
      if (at < group.rows) return group.start + at;
      at -= group.rows;
    }
    throw new Error(`position ${position} lies in no group`);
  }

  #arrange(epoch: number): void {
    const count = this.#groups.length;
    this.#order = Array.from(
      { length: count },
      (_, at) => this.#groups[permutedIndex(count, at, this.#seed, epoch % windowsPerEpoch)]!,
    );
    this.#starts = [];
    let position = 0;
    for (const [at, group] of this.#order.entries()) {
      if (at % this.#width === 0) this.#starts.push(position);
      position += group.rows;
    }
    this.#epoch = epoch;
  }
}

function captionOf(value: unknown): string | string[] | undefined {
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (typeof value === 'string') return value;
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
}

async function bytesOf(value: unknown, read: (path: string) => Promise<Uint8Array>): Promise<Uint8Array> {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'object' && value !== null) {
    const { bytes, path } = value as { bytes?: unknown; path?: unknown };
    if (bytes instanceof Uint8Array) return bytes;
    if (typeof path === 'string') return read(path);
  }
  throw new DataError('data_invalid', 'no picture: expected bytes, or {bytes, path}');
}
