/** Checkpoints in several safetensors files, tied together by a `*.safetensors.index.json`. */

import { type ByteSource, readBytes } from './byte-source.ts';
import type { TensorEntry } from './entry.ts';
import { CheckpointError, quote } from './error.ts';
import type { Files } from './files.ts';
import { JsonSyntaxError, type JsonValue, parseJson } from './json.ts';
import { readSafetensors } from './safetensors.ts';
import { type Checkpoint, createCheckpoint } from './source.ts';

const maximumIndexLength = 64 * 1024 * 1024;
const indexLimits = { depth: 8, values: 2_000_000 };
/** Each shard is an open file. The largest published models have some 200. */
const maximumShards = 512;

/**
 * Opens a sharded checkpoint by its index.
 *
 * The index comes from a stranger like the rest: a shard is a plain file name in the index's own folder, and each
 * shard must hold exactly the tensors that the index says.
 */
export async function openSafetensorsIndexIn(files: Files, path: string): Promise<Checkpoint> {
  const { shards, metadata } = await readIndex(files, path);
  const sources: ByteSource[] = [];
  try {
    const entries = new Map<string, TensorEntry>();
    const warnings: string[] = [];
    for (const [shard, names] of shards) {
      const source = await files.open(files.join(path, '..', shard));
      sources.push(source);
      const parts = await readSafetensors(source);
      checkAgreement(path, shard, names, parts.entries);
      for (const [name, entry] of parts.entries) entries.set(name, entry);
      for (const [key, value] of parts.metadata) {
        const before = metadata.get(key);
        if (before === undefined) metadata.set(key, value);
        else if (before !== value)
          warnings.push(`${source.file}: metadata ${quote(key)} differs from the files before`);
      }
    }
    return createCheckpoint({ format: 'safetensors', sources, entries, metadata, warnings });
  } catch (error) {
    for (const source of sources) await source[Symbol.asyncDispose]();
    throw error;
  }
}

interface ShardIndex {
  /** Shard file name to the names of its tensors. */
  readonly shards: ReadonlyMap<string, ReadonlySet<string>>;
  readonly metadata: Map<string, string>;
}

async function readIndex(files: Files, path: string): Promise<ShardIndex> {
  const fail = (reason: string, byteOffset?: number): never => {
    throw new CheckpointError(reason, { file: path, ...(byteOffset !== undefined && { byteOffset }) });
  };
  await using source = await files.open(path);
  if (source.size > maximumIndexLength) fail(`an index of ${source.size} bytes, the limit is ${maximumIndexLength}`);
  const bytes = await readBytes(source, 0, source.size);
  let root: JsonValue;
  try {
    root = parseJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), indexLimits);
  } catch (cause) {
    if (cause instanceof JsonSyntaxError) fail(`is not valid JSON: ${cause.message}, at character ${cause.position}`);
    return fail('is not valid UTF-8');
  }
  const map = root instanceof Map ? root.get('weight_map') : undefined;
  if (!(root instanceof Map) || !(map instanceof Map)) return fail('expected an object with "weight_map"');

  const shards = new Map<string, Set<string>>();
  for (const [name, shard] of map) {
    if (typeof shard !== 'string' || !isPlainName(shard)) {
      return fail(`weight_map of ${quote(name)} must be a file name in the same folder, without a path`);
    }
    let names = shards.get(shard);
    if (!names) {
      if (shards.size === maximumShards) fail(`more than ${maximumShards} files`);
      names = new Set();
      shards.set(shard, names);
    }
    names.add(name);
  }
  const metadata = new Map<string, string>();
  const described = root.get('metadata');
  if (described instanceof Map) {
    for (const [key, value] of described) {
      if (typeof value !== 'object') metadata.set(key, String(value));
    }
  } else if (described !== undefined) fail('"metadata" must be an object');
  return { shards, metadata };
}

function isPlainName(name: string): boolean {
  return name.length > 0 && name !== '.' && name !== '..' && !/[/\\:\0]/.test(name);
}

function checkAgreement(
  index: string,
  shard: string,
  expected: ReadonlySet<string>,
  found: ReadonlyMap<string, TensorEntry>,
): void {
  for (const name of expected) {
    if (!found.has(name)) {
      throw new CheckpointError(`says that ${quote(shard)} holds tensor ${quote(name)}, which it does not`, {
        file: index,
      });
    }
  }
  for (const name of found.keys()) {
    if (!expected.has(name)) {
      throw new CheckpointError(`does not place tensor ${quote(name)} in ${quote(shard)}, which holds it`, {
        file: index,
      });
    }
  }
}
