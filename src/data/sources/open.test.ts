/** One contract for every kind of picture data. */
import { createHash } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import {
  archive,
  archiveOf,
  brokenItems,
  items,
  kinds,
  picture,
  temporaryFolder,
  writeSet,
} from '../../../test/data/picture-sets.ts';
import type { Cursor } from '../stream.ts';
import { openEditPairs, openImageText, readImageTextOnce } from './open.ts';
import type { ImageTextConfig } from './options.ts';
import type { ImageTextSample } from './sample.ts';

/** All that a sample holds, with its pixels as a digest. */
const told = ({ image, caption, source }: ImageTextSample) =>
  `${source} ${caption} ${image.width}x${image.height} ${createHash('sha256').update(image.data).digest('hex')}`;

async function take(config: ImageTextConfig, count: number, cursor?: Cursor): Promise<string[]> {
  await using stream = await openImageText(config, cursor);
  return (await stream.next(count)).map(told);
}

describe.each(kinds)('%s', (kind) => {
  it('gives each sample once an epoch, in another order every epoch', async () => {
    await using folder = await temporaryFolder();
    const config = await writeSet(kind, folder.path, await items(17));
    const drawn = await take({ ...config, seed: 3 }, 51);
    const epochs = [0, 17, 34].map((start) => drawn.slice(start, start + 17));
    for (const epoch of epochs) expect(new Set(epoch).size).toBe(17);
    expect(new Set(epochs.map((epoch) => [...epoch].sort().join())).size).toBe(1);
    expect(new Set(epochs.map((epoch) => epoch.join())).size).toBe(3);
    expect(await take({ ...config, seed: 4 }, 17)).not.toEqual(epochs[0]);
    const captions = drawn.slice(0, 17).map((line) => / (caption \d+) /.exec(line)![1]);
    expect(captions.sort()).toEqual((await items(17)).map(({ caption }) => caption).sort());
  });

  it('gives the same samples whatever is read ahead and taken at once, and goes on from every place', async () => {
    await using folder = await temporaryFolder();
    const set = [...(await items(9)), ...(await brokenItems())];
    const square = { size: 4, crop: 'random', flip: 0.5 } as const;
    const config = { ...(await writeSet(kind, folder.path, set)), square };
    const whole = await take(config, 24);
    for (const prefetch of [1, 3, 16]) expect(await take({ ...config, prefetch }, 24)).toEqual(whole);

    await using stream = await openImageText(config);
    for (let given = 0; given < 22; given += 2) {
      const cursor = JSON.parse(JSON.stringify(stream.cursor())) as Cursor;
      expect(await take(config, 2, cursor), `after ${given}`).toEqual(whole.slice(given, given + 2));
      expect((await stream.next(2)).map(told)).toEqual(whole.slice(given, given + 2));
    }
  });

  it('skips and names what is broken', async () => {
    await using folder = await temporaryFolder();
    const set = [...(await items(4)), ...(await brokenItems())];
    await using stream = await openImageText(await writeSet(kind, folder.path, set));
    // The epoch's broken ones may stand after its last good one, so another sample is asked for.
    const samples = await stream.next(5);
    expect(new Set(samples.slice(0, 4).map(told)).size).toBe(4);
    expect(stream.skippedCount).toBeGreaterThanOrEqual(4);
    expect(stream.skipped.length).toBe(stream.skippedCount);
    const reasons = stream.skipped.slice(0, 4).map(({ reason }) => reason);
    expect(reasons.some((reason) => /60000 x 60000/.test(reason))).toBe(true);
    expect(reasons.some((reason) => /caption/.test(reason))).toBe(true);
    expect(reasons.some((reason) => /cut off or damaged/.test(reason))).toBe(true);
    expect(reasons.some((reason) => /JPEG, PNG or WebP/.test(reason))).toBe(true);
    expect(new Set(stream.skipped.slice(0, 4).map(({ source }) => source)).size).toBe(4);
  });

  it('ends when nothing of an epoch can be used', async () => {
    await using folder = await temporaryFolder();
    await using stream = await openImageText(await writeSet(kind, folder.path, await brokenItems()));
    const before = stream.cursor();
    await expect(stream.next(1)).rejects.toMatchObject({ code: 'data_exhausted' });
    await expect(stream.next(1)).rejects.toMatchObject({ code: 'data_exhausted' });
    expect(stream.cursor()).toEqual(before);
    expect(stream.skippedCount).toBe(4);
  });

  it('keeps the order of the data where it is not to be shuffled', async () => {
    await using folder = await temporaryFolder();
    const config = { ...(await writeSet(kind, folder.path, await items(7))), shuffle: false };
    await using stream = await openImageText(config);
    const captions = (await stream.next(9)).map(({ caption }) => caption);
    expect(captions).toEqual([0, 1, 2, 3, 4, 5, 6, 0, 1].map((number) => `caption ${number}`));
  });

  it('refuses a cursor of another seed, and use after closing', async () => {
    await using folder = await temporaryFolder();
    const config = await writeSet(kind, folder.path, await items(3));
    const stream = await openImageText(config);
    const cursor = stream.cursor();
    await stream[Symbol.asyncDispose]();
    await stream[Symbol.asyncDispose]();
    await expect(stream.next(1)).rejects.toMatchObject({ code: 'data_unreadable' });
    for (const wrong of [{}, { ...cursor, position: -1 }, { ...cursor, fingerprint: 'x' }]) {
      await expect(openImageText(config, wrong)).rejects.toMatchObject({ code: 'data_invalid' });
    }
    await expect(openImageText({ ...config, seed: 9 }, cursor)).rejects.toMatchObject({ code: 'data_invalid' });
  });
});

describe('paths in data', () => {
  const hostile = ['../secret.png', '/etc/passwd', 'a/../../secret.png', 'C:\\x.png', 'link.png', ''];

  it('stay inside of the folder, in JSON Lines, captions.json and Parquet', async () => {
    await using outer = await temporaryFolder();
    const folder = join(outer.path, 'data');
    await mkdir(folder);
    await writeFile(join(outer.path, 'secret.png'), await picture(1));
    await symlink(join(outer.path, 'secret.png'), join(folder, 'link.png'));
    await writeFile(
      join(folder, 'data.jsonl'),
      hostile.map((p) => JSON.stringify({ image: p, caption: 'x' })).join('\n'),
    );
    await writeFile(join(folder, 'captions.json'), JSON.stringify(Object.fromEntries(hostile.map((p) => [p, 'x']))));
    const columnData = [
      { name: 'image', data: hostile.map((path) => ({ path })) },
      { name: 'caption', data: hostile.map(() => 'x') },
    ];
    const schema = [
      { name: 'root', num_children: 2 },
      { name: 'image', repetition_type: 'OPTIONAL' as const, num_children: 1 },
      {
        name: 'path',
        type: 'BYTE_ARRAY' as const,
        converted_type: 'UTF8' as const,
        repetition_type: 'OPTIONAL' as const,
      },
      { name: 'caption', type: 'BYTE_ARRAY' as const, converted_type: 'UTF8' as const },
    ];
    await writeFile(join(folder, 'a.parquet'), new Uint8Array(parquetWriteBuffer({ columnData, schema })));
    const configs: ImageTextConfig[] = [
      { kind: 'jsonl', file: join(folder, 'data.jsonl') },
      { kind: 'folder', folder },
      { kind: 'parquet', folder },
    ];
    for (const config of configs) {
      await using stream = await openImageText(config);
      await expect(stream.next(1), config.kind).rejects.toMatchObject({ code: 'data_exhausted' });
      expect(stream.skippedCount, config.kind).toBe(hostile.length);
      for (const { reason } of stream.skipped) expect(reason).toMatch(/does not stay inside/);
    }
    await expect(openImageText({ kind: 'webdataset', folder, shards: '../{a,b}.tar' })).rejects.toMatchObject({
      code: 'data_option_invalid',
    });
  });

  it('are labels in archives, and refused when they lead outside', async () => {
    await using folder = await temporaryFolder();
    const files = ['../evil', '/evil', 'a/../../evil', 'good'].flatMap((name) => [[`${name}.png`, 'x'] as const]);
    const bytes = await picture(2);
    await writeFile(
      join(folder.path, 'a.tar'),
      await archive(
        files.flatMap(([name]) => [
          [name, bytes] as const,
          [name.replace('.png', '.json'), '{"caption":["c"]}'] as const,
        ]),
      ),
    );
    await using stream = await openImageText({ kind: 'webdataset', folder: folder.path });
    const samples = await stream.next(2);
    expect(samples.map(({ source }) => source)).toEqual(['a.tar/good', 'a.tar/good']);
    expect(samples[0]!.caption).toBe('c');
    expect(stream.skipped.filter(({ reason }) => /outside/.test(reason)).length).toBeGreaterThanOrEqual(3);
  });
});

describe('damage', () => {
  it('of an archive costs what lies behind it, and is named', async () => {
    await using folder = await temporaryFolder();
    const bytes = await archiveOf(await items(6));
    await writeFile(join(folder.path, 'a.tar'), bytes.subarray(0, 512 * 13));
    await using stream = await openImageText({ kind: 'webdataset', folder: folder.path, shuffle: false });
    const captions = (await stream.next(4)).map(({ caption }) => caption);
    expect(captions).toEqual(['caption 0', 'caption 1', 'caption 2', 'caption 0']);
    expect(stream.skipped).toEqual([
      { source: 'a.tar/p003', reason: expect.stringMatching(/damaged at or after "p003"/) },
    ]);
  });

  it('of a Parquet file is refused at its footer and skipped in its groups', async () => {
    await using folder = await temporaryFolder();
    const config = await writeSet('parquet bytes', folder.path, await items(6));
    const file = join(folder.path, 'part-0.parquet');
    await writeFile(file, 'PAR1 but no more');
    await expect(openImageText(config)).rejects.toMatchObject({ code: 'data_invalid' });
    const table = new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: 'image', data: [new Uint8Array(await picture(0))], type: 'BYTE_ARRAY' },
          { name: 'caption', data: ['c'], type: 'STRING' },
        ],
      }),
    );
    table.fill(0xff, 4, 40);
    await writeFile(file, table);
    await using stream = await openImageText({ ...config, shuffle: false });
    expect((await stream.next(3)).map(({ caption }) => caption)).toEqual(['caption 3', 'caption 4', 'caption 5']);
    expect(stream.skipped).toEqual([{ source: 'part-0.parquet:0', reason: expect.stringMatching(/no Parquet/) }]);
    await expect(openImageText({ kind: 'parquet', folder: folder.path, captionColumn: 'text' })).rejects.toThrow(
      /no column "text"/,
    );
  });

  it('of sizes is bounded: a group that grows when it is unpacked, a picture, a caption, a line', async () => {
    await using folder = await temporaryFolder();
    const [good] = await items(1);
    const large = { ...good!, name: 'q', caption: 'x'.repeat(70_000) };
    for (const kind of ['webdataset', 'sidecar', 'jsonl'] as const) {
      const at = join(folder.path, kind);
      await mkdir(at);
      await using stream = await openImageText(await writeSet(kind, at, [good!, large]));
      await stream.next(2);
      expect(stream.skipped[0]!.reason, kind).toMatch(/more than 65536|limit is 65536/);
      const config = await writeSet(kind, at, [good!]);
      await using small = await openImageText({ ...config, maxImageBytes: 10 });
      await expect(small.next(1), kind).rejects.toMatchObject({ code: 'data_exhausted' });
    }
    const file = join(folder.path, 'jsonl', 'data.jsonl');
    await using lines = await openImageText({ kind: 'jsonl', file, maxLineBytes: 8 });
    await expect(lines.next(1)).rejects.toThrow(/more than 8 bytes/);

    const columnData = [
      { name: 'image', data: [new Uint8Array(good!.picture)], type: 'BYTE_ARRAY' as const },
      { name: 'caption', data: ['x'.repeat(3_000_000)], type: 'STRING' as const },
    ];
    const table = new Uint8Array(parquetWriteBuffer({ columnData }));
    expect(table.length).toBeLessThan(1_000_000);
    await writeFile(join(folder.path, 'a.parquet'), table);
    await using rows = await openImageText({ kind: 'parquet', folder: folder.path, maxGroupBytes: 1_000_000 });
    await expect(rows.next(1)).rejects.toThrow(/more than 1000000 bytes after decompression/);
  });

  it('of archives without samples is told', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'a.tar'), await archive([['README', 'nothing']]));
    await using stream = await openImageText({ kind: 'webdataset', folder: folder.path });
    await expect(stream.next(1)).rejects.toMatchObject({ code: 'data_exhausted' });
  });

  it('of options is told', async () => {
    const wrong = [{ kind: 'folder' }, { kind: 'tar', folder: 'x' }, { kind: 'folder', folder: 'x', sed: 1 }];
    for (const config of wrong) {
      await expect(openImageText(config as ImageTextConfig)).rejects.toMatchObject({ code: 'data_option_invalid' });
    }
    await expect(openImageText({ kind: 'folder', folder: '/nowhere' })).rejects.toMatchObject({
      code: 'data_not_found',
    });
    await using folder = await temporaryFolder();
    await expect(openImageText({ kind: 'folder', folder: folder.path })).rejects.toMatchObject({
      code: 'data_exhausted',
    });
  });
});

describe('data that is read once', () => {
  it.each(kinds)('of kind %s ends behind its last sample, from every place', async (kind) => {
    await using folder = await temporaryFolder();
    const set = await items(7);
    const config = await writeSet(kind, folder.path, [...set, ...(await brokenItems()).slice(1, 2)]);
    const { stream, count } = await readImageTextOnce(config);
    await using whole = stream;
    const captions = (await whole.next(3)).map(({ caption }) => caption);
    const cursor = JSON.parse(JSON.stringify(whole.cursor())) as Cursor;
    captions.push(...(await whole.next(100)).map(({ caption }) => caption));
    expect(captions.sort()).toEqual(set.map(({ caption }) => caption));
    expect(await whole.next(5)).toEqual([]);
    expect(whole.skippedCount).toBe(1);
    expect(count).toBe(kind === 'webdataset' ? undefined : 8);
    const { stream: again } = await readImageTextOnce(config, cursor);
    await using rest = again;
    expect(await rest.next(100)).toHaveLength(4);
    const { stream: none } = await readImageTextOnce(config, rest.cursor());
    expect(await none.next(1)).toEqual([]);
    await none[Symbol.asyncDispose]();
  });
});

describe('records of several parts', () => {
  it('reads edits, both pictures through the same crop', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'a.png'), await picture(3));
    await writeFile(join(folder.path, 'b.jpg'), await picture(3, 'jpeg'));
    const lines = [
      { source: 'a.png', target: 'b.jpg', instruction: ' make it a photo ' },
      { source: 'a.png', instruction: 'no target' },
    ];
    const file = join(folder.path, 'edits.jsonl');
    await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\r\n'));
    await using stream = await openEditPairs({ kind: 'jsonl', file, square: { size: 4, crop: 'random', flip: 0.5 } });
    const [first] = await stream.next(1);
    expect(first).toMatchObject({ instruction: 'make it a photo', before: { width: 4 }, after: { height: 4 } });
    await stream.next(1);
    expect(stream.skipped[0]!.source).toBe('edits.jsonl:2');
  });
});
