/**
 * Reading PyTorch checkpoints: the ZIP archives that `torch.save` writes since version 1.6, without Python.
 *
 * The file may come from a stranger: nothing in it is executed (see `pickle.ts`, `torch-pickle.ts`, `zip.ts`).
 */

import { dtypes } from '../tensor/dtype.ts';
import { type ByteSource, readBytes } from './byte-source.ts';
import { elementCount, isContiguous, spannedElements, type TensorEntry } from './entry.ts';
import { CheckpointError, type CheckpointErrorCode, quote } from './error.ts';
import type { Files } from './files.ts';
import { latin1 } from './latin1.ts';
import { maximumPickleLength, unpickle } from './pickle.ts';
import { describe, holdsTensor, OpaqueObject, PickleDict, PickledTensor, type PickleValue } from './pickle-value.ts';
import { type Checkpoint, type CheckpointParts, createCheckpoint } from './source.ts';
import { torchPickleRules } from './torch-pickle.ts';
import { readZip, type ZipMember } from './zip.ts';

export interface TorchOptions {
  /** Refuse a file that names any Python object a checkpoint does not need, even where it is inert. Default: false. */
  readonly strictPickle?: boolean;
}

/** Text records are a few bytes long. */
const maximumTextLength = 1024;

/**
 * Opens a PyTorch checkpoint that is a state dict, or a dict with one under `state_dict`.
 *
 * Other values of the file are not read; `metadata` and `warnings` tell what they are.
 *
 * @throws CheckpointError for TorchScript, the format before PyTorch 1.6, big-endian storages, and any broken rule.
 */
export async function openTorchCheckpointIn(
  files: Files,
  path: string,
  options: TorchOptions = {},
): Promise<Checkpoint> {
  const source = await files.open(path);
  try {
    return createCheckpoint(await readTorchCheckpoint(source, options));
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}

/** Reads and checks everything but the tensors' bytes. */
export async function readTorchCheckpoint(source: ByteSource, options: TorchOptions = {}): Promise<CheckpointParts> {
  await refuseOtherFormats(source);
  const archive = await openArchive(source);
  const byteOrder = await readText(source, archive.get('byteorder'));
  if (byteOrder !== undefined && byteOrder !== 'little') {
    const supported = byteOrder === 'big' ? 'checkpoint_unsupported' : 'checkpoint_invalid';
    fail(
      source,
      `its numbers are stored ${quote(byteOrder)}-endian; save it again on a little-endian machine`,
      supported,
    );
  }

  const pickle = archive.get('data.pkl')!;
  if (pickle.size > maximumPickleLength) {
    fail(source, `data.pkl has ${pickle.size} bytes, the limit is ${maximumPickleLength}`, undefined, pickle.offset);
  }
  const unknownGlobals = new Set<string>();
  const root = unpickle(
    await readBytes(source, pickle.offset, pickle.size),
    { file: source.file, offset: pickle.offset },
    torchPickleRules({
      recordSize: (key) => archive.get(`data/${key}`)?.size,
      strictPickle: options.strictPickle ?? false,
      findings: { unknownGlobals },
    }),
  );
  const warnings: string[] = [];
  if (unknownGlobals.size > 0) {
    warnings.push(`Python objects were left unread: ${list(unknownGlobals)}`);
  }
  const dict = findStateDict(source, root, warnings);
  const entries = readStateDict(source, dict, archive, warnings);

  const metadata = new Map([['byteorder', byteOrder ?? 'little']]);
  const version = await readText(source, archive.get('version'));
  if (version !== undefined) metadata.set('version', version.trim());
  return { format: 'pytorch', sources: [source], entries, metadata, warnings };
}

function fail(source: ByteSource, reason: string, code?: CheckpointErrorCode, byteOffset?: number): never {
  throw new CheckpointError(reason, {
    file: source.file,
    ...(code && { code }),
    ...(byteOffset !== undefined && { byteOffset }),
  });
}

/** Says what a file is that `torch.load` would read and this reader does not. */
async function refuseOtherFormats(source: ByteSource): Promise<void> {
  const start = await readBytes(source, 0, Math.min(4, source.size));
  if (start[0] === 0x50 && start[1] === 0x4b && start[2] === 3 && start[3] === 4) return;
  if (start[0] === 0x80) {
    const reason = 'is a bare pickle, the format before PyTorch 1.6; load and save it again with a newer PyTorch';
    fail(source, reason, 'checkpoint_unsupported', 0);
  }
  fail(source, 'is not a PyTorch checkpoint: it does not start as a ZIP archive', undefined, 0);
}

/** Lists the archive's members by their names inside of its one top folder. */
async function openArchive(source: ByteSource): Promise<Map<string, ZipMember>> {
  const members = await readZip(source);
  const archive = new Map<string, ZipMember>();
  let top: string | undefined;
  for (const [name, member] of members) {
    const slash = name.indexOf('/');
    const folder = name.slice(0, Math.max(slash, 0));
    top ??= folder;
    if (slash < 0 || folder !== top) fail(source, `member ${quote(name)} is outside of the folder ${quote(top)}`);
    archive.set(name.slice(slash + 1), member);
  }
  if (archive.has('constants.pkl')) {
    const reason = 'is a TorchScript program, not a checkpoint; save the state dict of the module instead';
    fail(source, reason, 'checkpoint_unsupported');
  }
  if (!archive.has('data.pkl')) fail(source, 'is a ZIP archive without data.pkl, so not a PyTorch checkpoint');
  return archive;
}

async function readText(source: ByteSource, member: ZipMember | undefined): Promise<string | undefined> {
  if (!member) return undefined;
  if (member.size > maximumTextLength) {
    fail(
      source,
      `${quote(member.name)} has ${member.size} bytes, the limit is ${maximumTextLength}`,
      undefined,
      member.offset,
    );
  }
  return latin1(await readBytes(source, member.offset, member.size));
}

function list(names: Iterable<string>): string {
  const all = [...names].map((name) => quote(name));
  return all.length > 10 ? `${all.slice(0, 10).join(', ')} and ${all.length - 10} more` : all.join(', ');
}

function keyName(key: PickleValue): string {
  return typeof key === 'string' ? key : describe(key);
}

function findStateDict(source: ByteSource, root: PickleValue, warnings: string[]): PickleDict {
  if (!(root instanceof PickleDict)) {
    return fail(
      source,
      `holds ${describe(root)}, expected a state dict or a dict with "state_dict"`,
      'checkpoint_unsupported',
    );
  }
  if (!root.entries.has('state_dict')) return root;
  const dict = root.entries.get('state_dict')!;
  if (!(dict instanceof PickleDict)) {
    return fail(source, `its "state_dict" is ${describe(dict)}, expected a dict of tensors`, 'checkpoint_unsupported');
  }
  const others = [...root.entries.keys()].filter((key) => key !== 'state_dict').map(keyName);
  if (others.length > 0) warnings.push(`beside "state_dict" were left unread: ${list(others)}`);
  return dict;
}

function readStateDict(
  source: ByteSource,
  dict: PickleDict,
  archive: ReadonlyMap<string, ZipMember>,
  warnings: string[],
): Map<string, TensorEntry> {
  const entries = new Map<string, TensorEntry>();
  const others: string[] = [];
  for (const [key, value] of dict.entries) {
    if (value instanceof PickledTensor && typeof key === 'string') {
      entries.set(key, toEntry(source, key, value, archive));
    } else if (value instanceof OpaqueObject && value.holdsTensor) {
      const reason = `${quote(keyName(key))} is a tensor inside of ${quote(value.callee.path)}, which is not read here`;
      fail(source, reason, 'checkpoint_unsupported');
    } else if (holdsTensor(value)) {
      const reason = `${quote(keyName(key))} is ${describe(value)} that holds tensors, expected a tensor under a string`;
      fail(source, reason, 'checkpoint_unsupported');
    } else others.push(keyName(key));
  }
  if (entries.size === 0) fail(source, 'holds no tensor where a state dict would have them', 'checkpoint_unsupported');
  if (others.length > 0)
    warnings.push(`values of the state dict that are no tensors were left unread: ${list(others)}`);
  return entries;
}

function toEntry(
  source: ByteSource,
  name: string,
  tensor: PickledTensor,
  archive: ReadonlyMap<string, ZipMember>,
): TensorEntry {
  const { dtype, shape, strides } = tensor;
  const { bytes } = dtypes[dtype];
  const record = archive.get(`data/${tensor.storage.key}`)!;
  const offset = record.offset + tensor.offset * bytes;
  const place = { name, dtype, shape, file: source.file, offset };
  return isContiguous(shape, strides)
    ? { ...place, byteLength: elementCount(shape)! * bytes }
    : { ...place, byteLength: spannedElements(shape, strides)! * bytes, strides };
}
