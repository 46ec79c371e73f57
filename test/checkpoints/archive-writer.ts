/** Writes stored ZIP archives as PyTorch does, with every field open to be falsified: for tests of the strict reader. */

import { crc32 } from 'node:zlib';

/** A member; the fields after `data` replace what an honest writer would put. */
export interface MemberToWrite {
  readonly name: string;
  readonly data: Uint8Array;
  /** Write the sizes and the offset in ZIP64 fields although they would fit. */
  readonly zip64?: boolean;
  /** Leave the local header's sizes zero and write a data descriptor, as PyTorch does. Default: true. */
  readonly descriptor?: boolean;
  /** Name in the local header. */
  readonly localName?: string;
  /** Size in the local header or, with a descriptor, in the descriptor. */
  readonly localSize?: number;
  readonly localFlags?: number;
  /** Size in the directory. */
  readonly size?: number;
  /** Position of the local header as the directory has it. */
  readonly headerOffset?: number;
  readonly flags?: number;
  readonly method?: number;
}

export interface ArchiveOptions {
  /** Write the ZIP64 end record. Default: true, as PyTorch does. */
  readonly zip64End?: boolean;
  /** Members in the end record. */
  readonly count?: number;
  readonly comment?: string;
  /** The position at which the archive's bytes will lie in the file, for archives behind a hole. */
  readonly base?: number;
}

const alignment = 64;

export function writeArchive(members: readonly MemberToWrite[], options: ArchiveOptions = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let position = options.base ?? 0;
  const put = (part: Buffer) => {
    parts.push(part);
    position += part.length;
  };
  for (const member of members) {
    const headerOffset = position;
    put(localHeader(member, position));
    put(Buffer.from(member.data));
    if (member.descriptor ?? true) put(descriptor(member));
    directory.push(centralRecord(member, headerOffset));
  }
  const directoryOffset = position;
  for (const record of directory) put(record);
  put(endRecords(options, directory.length, directoryOffset, position));
  return Buffer.concat(parts);
}

function flagsOf(member: MemberToWrite): number {
  return member.flags ?? ((member.descriptor ?? true) ? 0x808 : 0x800);
}

function localHeader(member: MemberToWrite, position: number): Buffer {
  const name = Buffer.from(member.localName ?? member.name);
  const descriptor = member.descriptor ?? true;
  const size = descriptor ? 0 : (member.localSize ?? member.data.length);
  const zip64 = !descriptor && member.zip64 ? zip64Extra([size, size]) : Buffer.alloc(0);
  // Padding in an extra field of the id "FB" puts the data on a multiple of 64.
  const start = position + 30 + name.length + zip64.length + 4;
  const padding = Buffer.alloc(4 + ((alignment - (start % alignment)) % alignment), 'Z');
  padding.write('FB', 0);
  padding.writeUInt16LE(padding.length - 4, 2);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(member.localFlags ?? flagsOf(member), 6);
  header.writeUInt16LE(member.method ?? 0, 8);
  header.writeUInt32LE(descriptor ? 0 : crc32(member.data), 14);
  header.writeUInt32LE(zip64.length ? 0xffffffff : size, 18);
  header.writeUInt32LE(zip64.length ? 0xffffffff : size, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(zip64.length + padding.length, 28);
  return Buffer.concat([header, name, zip64, padding]);
}

function descriptor(member: MemberToWrite): Buffer {
  const size = member.localSize ?? member.data.length;
  const record = Buffer.alloc(member.zip64 ? 24 : 16);
  record.writeUInt32LE(0x08074b50, 0);
  record.writeUInt32LE(crc32(member.data), 4);
  if (member.zip64) {
    record.writeBigUInt64LE(BigInt(size), 8);
    record.writeBigUInt64LE(BigInt(size), 16);
  } else {
    record.writeUInt32LE(size, 8);
    record.writeUInt32LE(size, 12);
  }
  return record;
}

function centralRecord(member: MemberToWrite, actualOffset: number): Buffer {
  const name = Buffer.from(member.name);
  const size = member.size ?? member.data.length;
  const headerOffset = member.headerOffset ?? actualOffset;
  const extra = member.zip64 ? zip64Extra([size, size, headerOffset]) : Buffer.alloc(0);
  const record = Buffer.alloc(46);
  record.writeUInt32LE(0x02014b50, 0);
  record.writeUInt16LE(flagsOf(member), 8);
  record.writeUInt16LE(member.method ?? 0, 10);
  record.writeUInt32LE(crc32(member.data), 16);
  record.writeUInt32LE(member.zip64 ? 0xffffffff : size, 20);
  record.writeUInt32LE(member.zip64 ? 0xffffffff : size, 24);
  record.writeUInt16LE(name.length, 28);
  record.writeUInt16LE(extra.length, 30);
  record.writeUInt32LE(member.zip64 ? 0xffffffff : headerOffset, 42);
  return Buffer.concat([record, name, extra]);
}

function zip64Extra(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + 8 * values.length);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(8 * values.length, 2);
  for (const [index, value] of values.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + 8 * index);
  return extra;
}

function endRecords(options: ArchiveOptions, actualCount: number, offset: number, end: number): Buffer {
  const count = options.count ?? actualCount;
  const parts: Buffer[] = [];
  if (options.zip64End ?? true) {
    const record = Buffer.alloc(56);
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeBigUInt64LE(BigInt(count), 24);
    record.writeBigUInt64LE(BigInt(count), 32);
    record.writeBigUInt64LE(BigInt(end - offset), 40);
    record.writeBigUInt64LE(BigInt(offset), 48);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(BigInt(end), 8);
    locator.writeUInt32LE(1, 16);
    parts.push(record, locator);
  }
  const comment = Buffer.from(options.comment ?? '');
  const record = Buffer.alloc(22);
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(Math.min(count, 0xffff), 8);
  record.writeUInt16LE(Math.min(count, 0xffff), 10);
  record.writeUInt32LE(end - offset, 12);
  record.writeUInt32LE(Math.min(offset, 0xffffffff), 16);
  record.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, record, comment]);
}
