/**
 * Byte mutations of sound data. Whatever the bytes are, a stream gives samples, or fails with a StarError when it is
 * opened or read; nothing else may be thrown, and it may not take long.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteMutation, mutate } from '../../../test/byte-mutations.ts';
import { archive, items, type Kind, temporaryFolder, writeSet } from '../../../test/data/picture-sets.ts';
import { StarError } from '../../errors.ts';
import { openImageText } from './open.ts';
import type { ImageTextConfig } from './options.ts';

/** Milliseconds of processor time for data of a few kilobytes: wall time would count what other programs take. */
const patience = 3000;

const change = byteMutation({
  removed: 600,
  copied: 1024,
  words: ['"', '{', '}', '\\', '\n', '77777777777', '\x80', '../', '1e999'],
});

/** A tar header's checksum is mended, or nearly every mutation would stop there. */
function mendChecksums(bytes: Buffer): Buffer {
  for (let start = 0; start + 512 <= bytes.length; start += 512) {
    const block = bytes.subarray(start, start + 512);
    if (block.subarray(257, 262).toString('latin1') !== 'ustar') continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return bytes;
}

async function survives(config: ImageTextConfig): Promise<void> {
  const before = process.cpuUsage();
  try {
    await using stream = await openImageText({ ...config, maxPixels: 10_000, prefetch: 2 });
    for (const { image, caption } of await stream.next(7)) {
      expect(image.data.length).toBe(image.width * image.height * 3);
      expect(caption).not.toBe('');
    }
  } catch (error) {
    if (!StarError.isInstance(error)) throw error;
  }
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(patience);
}

// Nine seconds of processor time; minutes of wall time where a training has the processors.
describe('mutated data', { timeout: 600_000 }, () => {
  it.each<[Kind, RegExp]>([
    ['webdataset', /\.tar$/],
    ['jsonl', /\.jsonl$/],
    ['captions.json', /captions\.json$/],
    ['parquet', /\.parquet$/],
    ['parquet bytes', /\.parquet$/],
  ])('%s is read or refused', async (kind, names) => {
    await using folder = await temporaryFolder();
    const config = await writeSet(kind, folder.path, await items(4));
    const [name] = (await readdir(folder.path)).filter((file) => names.test(file)).sort();
    const path = join(folder.path, name!);
    const sound = await readFile(path);
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(changes, fc.boolean(), async (list, mended) => {
        const bytes = list.reduce(mutate, sound);
        await writeFile(path, kind === 'webdataset' && mended ? mendChecksums(Buffer.from(bytes)) : bytes);
        await survives(config);
      }),
      { numRuns: 100 },
    );
  });

  it('a page of Parquet with any bit of its header flipped is read or refused', async () => {
    await using folder = await temporaryFolder();
    const config = await writeSet('parquet bytes', folder.path, await items(4));
    const [name] = (await readdir(folder.path)).filter((file) => file.endsWith('.parquet')).sort();
    const path = join(folder.path, name!);
    const sound = await readFile(path);
    // The first page follows the file's four letters.
    for (let bit = 8 * 4; bit < 8 * 40; bit++) {
      await writeFile(path, mutate(sound, { kind: 'flip', at: bit >> 3, bit: bit & 7 }));
      await survives(config);
    }
  });

  it('of pax headers and long names is read or refused', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a.tar');
    const name = `${'long/'.repeat(40)}ü`;
    const picture = (await items(1))[0]!.picture;
    const sound = await archive([
      [`${name}.png`, picture],
      [`${name}.txt`, 'a caption'],
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (list) => {
        await writeFile(path, mendChecksums(Buffer.from(list.reduce(mutate, sound))));
        await survives({ kind: 'webdataset', folder: folder.path });
      }),
      { numRuns: 100 },
    );
  });
});
