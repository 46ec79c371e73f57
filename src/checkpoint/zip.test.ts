import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ArchiveOptions, type MemberToWrite, writeArchive } from '../../test/checkpoints/archive-writer.ts';
import { memorySource } from '../../test/checkpoints/memory-source.ts';
import { readBytes } from './byte-source.ts';
import { CheckpointError } from './error.ts';
import { openFile } from './node-files.ts';
import { readZip } from './zip.ts';

const hello: MemberToWrite = { name: 'top/hello', data: Buffer.from('hello') };
const world: MemberToWrite = { name: 'top/world', data: Buffer.from('world!') };

async function contents(bytes: Uint8Array): Promise<Record<string, string>> {
  const source = memorySource(bytes);
  const members = await readZip(source);
  const texts: Record<string, string> = {};
  for (const { name, offset, size } of members.values()) {
    texts[name] = Buffer.from(await readBytes(source, offset, size)).toString();
  }
  return texts;
}

describe('readZip', () => {
  it.each<[string, Partial<MemberToWrite>, ArchiveOptions]>([
    ['as PyTorch writes', {}, {}],
    ['without ZIP64', {}, { zip64End: false }],
    ['without data descriptors', { descriptor: false }, { zip64End: false }],
    ['with ZIP64 fields and long data descriptors', { zip64: true }, {}],
    ['with ZIP64 fields and no data descriptors', { zip64: true, descriptor: false }, {}],
  ])('reads archives %s', async (_, fields, options) => {
    const bytes = writeArchive(
      [
        { ...hello, ...fields },
        { ...world, ...fields },
      ],
      options,
    );
    expect(await contents(bytes)).toEqual({ 'top/hello': 'hello', 'top/world': 'world!' });
  });

  it('reads members beyond 4 GiB', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'starstack-'));
    const path = join(folder, 'large.zip');
    // An archive that lies behind a hole of 5 GiB: the file is sparse and takes no room.
    const base = 5 * 2 ** 30;
    const file = await open(path, 'wx');
    const archive = writeArchive([{ ...hello, zip64: true }], { base });
    await file.write(archive, 0, archive.length, base);
    await file.close();
    {
      await using source = await openFile(path);
      const member = (await readZip(source)).get('top/hello')!;
      expect(member.offset).toBeGreaterThan(base);
      expect(Buffer.from(await readBytes(source, member.offset, member.size)).toString()).toBe('hello');
    }
    await rm(folder, { recursive: true });
  });

  const archive = (fields: Partial<MemberToWrite>, options?: ArchiveOptions) =>
    writeArchive([hello, { ...world, ...fields }], options);
  it.each<[string, Buffer, RegExp]>([
    ['an empty file', Buffer.alloc(0), /at least 22 bytes/],
    ['a cut archive', archive({}).subarray(0, -1), /the file is cut/],
    ['bytes behind the archive', Buffer.concat([archive({}), Buffer.from('x')]), /something was added/],
    [
      'bytes before the archive',
      Buffer.concat([Buffer.from('x'), archive({}, { zip64End: false })]),
      /directory ends at/,
    ],
    ['a comment', archive({}, { comment: 'x' }), /something was added/],
    ['fewer members than the directory has', archive({}, { count: 1 }), /bytes after the last record/],
    ['more members than the directory has', archive({}, { count: 3 }), /record 3 of 3/],
    ['very many members', archive({}, { count: 2 ** 40 }), /the limits are/],
    ['another name in the local header', archive({ localName: 'top/w0rld' }), /contradicts the directory: name/],
    ['a longer name in the local header', archive({ localName: 'top/world2' }), /contradicts the directory: name/],
    [
      'another size in the local header',
      archive({ descriptor: false, localSize: 5 }),
      /contradicts the directory: size/,
    ],
    [
      'another size in the data descriptor',
      archive({ localSize: 7 }),
      /contradicts the directory: the data descriptor/,
    ],
    ['another size in the directory', archive({ size: 7 }), /contradicts the directory: the data descriptor/],
    ['a size beyond the file', archive({ size: 1000 }), /its data lies outside/],
    ['a size of nearly 2^53', archive({ size: 2 ** 53 - 1, zip64: true }), /its data lies outside/],
    ['a size of 2^53', archive({ size: 2 ** 53, zip64: true }), /a 64-bit field of 9007199254740992/],
    ['other flags in the local header', archive({ localFlags: 0 }), /contradicts the directory: flags/],
    ['encryption', archive({ flags: 0x801 }), /encrypted/],
    ['encryption of the directory', archive({ flags: 0x2808 }), /encrypted/],
    ['compression', archive({ method: 8 }), /compressed/],
    ['two members on one range', archive({ headerOffset: 0 }), /overlaps/],
    ['a local header inside of a member', archive({ headerOffset: 64 }), /overlaps/],
    ['a local header in the directory', archive({ headerOffset: 260 }), /outside of the archive|there is none/],
    ['a repeated name', archive({ name: 'top/hello' }), /is there twice/],
    ['an absolute path', archive({ name: '/world' }), /must be relative/],
    ['a path upwards', archive({ name: 'top/../world' }), /must be relative/],
    ['a backslash', archive({ name: 'top\\world' }), /must be relative/],
    ['a zero byte', archive({ name: 'top/wor\0ld' }), /must be relative/],
    ['a folder', archive({ name: 'top/' }), /must be relative/],
    ['no name', archive({ name: '' }), /must be relative/],
  ])('refuses %s', async (_, bytes, message) => {
    const error = await readZip(memorySource(bytes)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as CheckpointError).message).toMatch(message);
    expect((error as CheckpointError).byteOffset).toBeTypeOf('number');
  });

  it('refuses a name that is not UTF-8', async () => {
    const bytes = archive({});
    for (let at = bytes.indexOf('world'); at >= 0; at = bytes.indexOf('world', at + 1)) bytes[at] = 0xff;
    await expect(readZip(memorySource(bytes))).rejects.toThrow(/not valid UTF-8/);
  });
});
