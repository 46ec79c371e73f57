/**
 * A strict reader of ZIP archives whose members are stored, not compressed: the container of PyTorch checkpoints.
 *
 * After PKWARE's APPNOTE 6.3.10 (ZIP64 included). We are the only reader of what is listed here, so anything that two
 * readers could understand differently is refused: local headers that contradict the central directory, overlapping
 * members, bytes before or after the archive, repeated names, encryption, several disks. The CRC-32 of members is not
 * checked, because PyTorch can be told not to compute it.
 */

import { type ByteSource, readBytes } from './byte-source.ts';
import { CheckpointError, quote } from './error.ts';

/** One member of an archive; its bytes lie at `offset` as they are. */
export interface ZipMember {
  /** Full name, with forward slashes. */
  readonly name: string;
  /** Where its first byte lies in the archive. */
  readonly offset: number;
  readonly size: number;
}

/** Far more than the largest models have tensors; each member costs two small reads. */
const maximumMembers = 100_000;
const maximumDirectoryLength = 64 * 1024 * 1024;

const signature = {
  local: 0x04034b50,
  descriptor: 0x08074b50,
  central: 0x02014b50,
  end: 0x06054b50,
  end64: 0x06064b50,
  end64Locator: 0x07064b50,
} as const;

const flag = { encrypted: 1 << 0, descriptor: 1 << 3, patch: 1 << 5, strong: 1 << 6, masked: 1 << 13 } as const;
const refusedFlags = flag.encrypted | flag.patch | flag.strong | flag.masked;

/** Lengths of the fixed parts. */
const endLength = 22;
const locatorLength = 20;
const end64Length = 56;
const centralLength = 46;
const localLength = 30;

interface Directory {
  readonly offset: number;
  readonly length: number;
  readonly count: number;
}

interface CentralRecord extends Omit<ZipMember, 'offset'> {
  readonly nameBytes: Uint8Array;
  readonly crc: number;
  readonly flags: number;
  readonly headerOffset: number;
  /** Where the record itself lies, for messages. */
  readonly at: number;
}

/** Lists the members of an archive by name, each checked against its local header. */
export async function readZip(source: ByteSource): Promise<Map<string, ZipMember>> {
  const directory = await readEnd(source);
  const records = await readDirectory(source, directory);
  const members = new Map<string, ZipMember>();
  let position = 0;
  for (const record of [...records].sort((a, b) => a.headerOffset - b.headerOffset)) {
    if (record.headerOffset < position) fail(source, record.at, `member ${quote(record.name)} overlaps another`);
    const { offset, end } = await readLocalHeader(source, record, directory.offset);
    if (members.has(record.name)) fail(source, record.at, `member ${quote(record.name)} is there twice`);
    members.set(record.name, { name: record.name, offset, size: record.size });
    position = end;
  }
  return members;
}

function fail(source: ByteSource, byteOffset: number, reason: string, code?: 'checkpoint_unsupported'): never {
  throw new CheckpointError(reason, { file: source.file, byteOffset, ...(code && { code }) });
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A 64-bit field as a number; what lies beyond 2^53 is beyond any file too. */
function unsigned64(source: ByteSource, data: DataView, position: number, at: number): number {
  const value = data.getBigUint64(position, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) fail(source, at + position, `a 64-bit field of ${value}`);
  return Number(value);
}

/** Reads the end record, which must be the file's last bytes, and the ZIP64 one before it where there is one. */
async function readEnd(source: ByteSource): Promise<Directory> {
  const at = source.size - endLength;
  if (at < 0) fail(source, 0, `a ZIP archive has at least ${endLength} bytes, this has ${source.size}`);
  const end = view(await readBytes(source, at, endLength));
  if (end.getUint32(0, true) !== signature.end || end.getUint16(20, true) !== 0) {
    fail(source, at, 'no ZIP end record in the last 22 bytes: the file is cut, or something was added to it');
  }
  const short = { count: end.getUint16(10, true), length: end.getUint32(12, true), offset: end.getUint32(16, true) };
  if (end.getUint16(4, true) !== end.getUint16(6, true)) fail(source, at, 'an archive on several disks');
  if (end.getUint16(8, true) !== short.count) fail(source, at, 'an archive on several disks');

  const long = await readEnd64(source, at);
  if (!long && end.getUint16(4, true) !== 0) fail(source, at, 'an archive on several disks');
  const agree = (value: number, limit: number, actual: number) => value === limit || value === actual;
  if (
    long &&
    !(
      agree(short.count, 0xffff, long.directory.count) &&
      agree(short.length, 0xffffffff, long.directory.length) &&
      agree(short.offset, 0xffffffff, long.directory.offset)
    )
  ) {
    fail(source, at, 'the ZIP end record contradicts the ZIP64 one');
  }
  const { count, length, offset } = long?.directory ?? short;
  const limit = long?.at ?? at;
  if (offset + length !== limit) {
    fail(source, at, `the directory ends at byte ${offset + length}, expected ${limit}, where the end records begin`);
  }
  if (count > maximumMembers || length > maximumDirectoryLength) {
    fail(
      source,
      at,
      `a directory of ${count} members in ${length} bytes, the limits are ${maximumMembers} and ${maximumDirectoryLength}`,
    );
  }
  return { offset, length, count };
}

async function readEnd64(source: ByteSource, endAt: number): Promise<{ at: number; directory: Directory } | undefined> {
  const locatorAt = endAt - locatorLength;
  if (locatorAt < 0) return undefined;
  const locator = view(await readBytes(source, locatorAt, locatorLength));
  if (locator.getUint32(0, true) !== signature.end64Locator) return undefined;
  const at = unsigned64(source, locator, 8, locatorAt);
  if (locator.getUint32(4, true) !== 0 || locator.getUint32(16, true) > 1)
    fail(source, locatorAt, 'an archive on several disks');
  if (at + end64Length !== locatorAt)
    fail(source, locatorAt, `the ZIP64 end record must lie right before, not at byte ${at}`);
  const record = view(await readBytes(source, at, end64Length));
  if (record.getUint32(0, true) !== signature.end64) fail(source, at, 'expected the ZIP64 end record');
  if (unsigned64(source, record, 4, at) !== end64Length - 12) fail(source, at, 'a ZIP64 end record of unusual length');
  const count = unsigned64(source, record, 32, at);
  if (
    record.getUint32(16, true) !== 0 ||
    record.getUint32(20, true) !== 0 ||
    unsigned64(source, record, 24, at) !== count
  ) {
    fail(source, at, 'an archive on several disks');
  }
  return {
    at,
    directory: { count, length: unsigned64(source, record, 40, at), offset: unsigned64(source, record, 48, at) },
  };
}

async function readDirectory(source: ByteSource, directory: Directory): Promise<CentralRecord[]> {
  const bytes = await readBytes(source, directory.offset, directory.length);
  const data = view(bytes);
  const records: CentralRecord[] = [];
  let position = 0;
  for (let index = 0; index < directory.count; index++) {
    const at = directory.offset + position;
    if (position + centralLength > bytes.length || data.getUint32(position, true) !== signature.central) {
      fail(source, at, `expected record ${index + 1} of ${directory.count} of the ZIP directory`);
    }
    const nameEnd = position + centralLength + data.getUint16(position + 28, true);
    const extraEnd = nameEnd + data.getUint16(position + 30, true);
    const end = extraEnd + data.getUint16(position + 32, true);
    if (end > bytes.length) fail(source, at, 'a directory record beyond the end of the directory');
    records.push(readCentralRecord(source, bytes.subarray(position, end), nameEnd - position, extraEnd - position, at));
    position = end;
  }
  if (position !== bytes.length)
    fail(source, directory.offset + position, 'bytes after the last record of the ZIP directory');
  return records;
}

function readCentralRecord(
  source: ByteSource,
  bytes: Uint8Array,
  nameEnd: number,
  extraEnd: number,
  at: number,
): CentralRecord {
  const data = view(bytes);
  const nameBytes = bytes.subarray(centralLength, nameEnd);
  const name = readName(source, nameBytes, at);
  const flags = data.getUint16(8, true);
  if (flags & refusedFlags) fail(source, at, `member ${quote(name)} is encrypted or patched`, 'checkpoint_unsupported');
  if (data.getUint16(10, true) !== 0) {
    fail(
      source,
      at,
      `member ${quote(name)} is compressed: PyTorch stores its records as they are`,
      'checkpoint_unsupported',
    );
  }
  const fields = [data.getUint32(24, true), data.getUint32(20, true), data.getUint32(42, true)];
  const [size, stored, headerOffset] = readZip64(source, bytes.subarray(nameEnd, extraEnd), fields, at) as [
    number,
    number,
    number,
  ];
  const disk = data.getUint16(34, true);
  if (disk !== 0) fail(source, at, `member ${quote(name)} lies on another disk`);
  if (size !== stored) fail(source, at, `member ${quote(name)} is stored but has two sizes, ${size} and ${stored}`);
  return { name, nameBytes, crc: data.getUint32(16, true), flags, size, headerOffset, at };
}

function readName(source: ByteSource, bytes: Uint8Array, at: number): string {
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return fail(source, at, 'a member whose name is not valid UTF-8');
  }
  const unsafe = /[\\\0]/.test(name) || name.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (unsafe)
    fail(source, at, `member ${quote(name)}: names must be relative, without "..", backslash and empty parts`);
  return name;
}

/**
 * Replaces fields of 0xffffffff by the values of the ZIP64 extra field (id 1), which holds only those, in this order.
 * PyTorch's other extra field, "FB", is padding.
 */
function readZip64(source: ByteSource, extra: Uint8Array, fields: readonly number[], at: number): number[] {
  if (!fields.includes(0xffffffff)) return [...fields];
  const data = view(extra);
  for (let position = 0; position + 4 <= extra.length; ) {
    const length = data.getUint16(position + 2, true);
    const start = position + 4;
    if (start + length > extra.length) break;
    if (data.getUint16(position, true) === 1) {
      let next = start;
      return fields.map((field) => {
        if (field !== 0xffffffff) return field;
        if (next + 8 > start + length) fail(source, at, 'a ZIP64 extra field that is too short');
        const value = unsigned64(source, data, next, at);
        next += 8;
        return value;
      });
    }
    position = start + length;
  }
  return fail(source, at, 'a size of 4 GiB or more without the ZIP64 extra field');
}

/** Checks a member's local header and data descriptor; returns where its data and the member as a whole end. */
async function readLocalHeader(
  source: ByteSource,
  record: CentralRecord,
  limit: number,
): Promise<{ offset: number; end: number }> {
  const at = record.headerOffset;
  const disagree = (what: string): never =>
    fail(source, at, `the local header of ${quote(record.name)} contradicts the directory: ${what}`);
  const fixed = localLength + record.nameBytes.length;
  if (at + fixed > limit) disagree('it lies outside of the archive');
  const bytes = await readBytes(source, at, fixed);
  const data = view(bytes);
  if (data.getUint32(0, true) !== signature.local) disagree('there is none');
  if (data.getUint16(6, true) !== record.flags) disagree('flags');
  if (data.getUint16(8, true) !== 0) disagree('compression');
  if (data.getUint16(26, true) !== record.nameBytes.length) disagree('name');
  if (!sameBytes(bytes.subarray(localLength), record.nameBytes)) disagree('name');

  const extraLength = data.getUint16(28, true);
  const offset = at + fixed + extraLength;
  let end = offset + record.size;
  if (end > limit) disagree('its data lies outside of the archive');
  const hasDescriptor = (record.flags & flag.descriptor) !== 0;
  const crc = data.getUint32(14, true);
  const fields = [data.getUint32(22, true), data.getUint32(18, true)];
  // A writer that announces a descriptor may leave zeros here.
  if (!hasDescriptor || crc !== 0 || fields[0] !== 0 || fields[1] !== 0) {
    const extra = await readBytes(source, at + fixed, extraLength);
    const sizes = readZip64(source, extra, fields, at);
    if (crc !== record.crc && !(hasDescriptor && crc === 0)) disagree('CRC-32');
    if (sizes.some((size) => size !== record.size && !(hasDescriptor && size === 0))) disagree('size');
  }
  if (hasDescriptor) {
    const length = await descriptorLength(source, record, end, limit);
    if (length === 0) disagree('the data descriptor behind the data');
    end += length;
  }
  return { offset, end };
}

/** Length of the data descriptor at `position`: 16 bytes, or 24 with ZIP64 sizes; 0 if it does not agree. */
async function descriptorLength(
  source: ByteSource,
  record: CentralRecord,
  position: number,
  limit: number,
): Promise<0 | 16 | 24> {
  const available = Math.min(24, limit - position);
  if (available < 16) return 0;
  const data = view(await readBytes(source, position, available));
  if (data.getUint32(0, true) !== signature.descriptor || data.getUint32(4, true) !== record.crc) return 0;
  if (data.getUint32(8, true) === record.size && data.getUint32(12, true) === record.size) return 16;
  if (available < 24) return 0;
  const size = BigInt(record.size);
  return data.getBigUint64(8, true) === size && data.getBigUint64(16, true) === size ? 24 : 0;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
