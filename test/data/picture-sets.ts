/** Small real data sets of every kind, for tests: pictures by sharp, archives by tar-stream, tables by hyparquet-writer. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { pack } from 'tar-stream';
import type { ImageTextConfig } from '../../src/data/sources/options.ts';

export interface Item {
  /** Without an ending. */
  readonly name: string;
  readonly picture: Uint8Array;
  readonly caption?: string;
}

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'starstack-data-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A picture of one colour, told apart by its size and colour. */
export function picture(number: number, format: 'png' | 'jpeg' = 'png'): Promise<Buffer> {
  const background = { r: (number * 37) % 256, g: (number * 91) % 256, b: number % 256 };
  return sharp({ create: { width: 6 + (number % 5), height: 4 + (number % 3), channels: 3, background } })
    .toFormat(format)
    .toBuffer();
}

export async function items(count: number): Promise<Item[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => ({
      name: `p${String(i).padStart(3, '0')}`,
      picture: await picture(i),
      caption: `caption ${i}`,
    })),
  );
}

/** One item each of what is broken; each name says how. */
export async function brokenItems(): Promise<Item[]> {
  const whole = await picture(1);
  const bomb = Buffer.from(whole);
  bomb.writeUInt32BE(60_000, 16);
  bomb.writeUInt32BE(60_000, 20);
  bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29);
  return [
    { name: 'bomb', picture: bomb, caption: 'a bomb' },
    { name: 'cut', picture: whole.subarray(0, whole.length - 20), caption: 'cut off' },
    { name: 'no-caption', picture: whole },
    { name: 'text', picture: Buffer.from('no picture at all'), caption: 'a text' },
  ];
}

export type Kind =
  | 'sidecar'
  | 'captions.json'
  | 'metadata.jsonl'
  | 'jsonl'
  | 'webdataset'
  | 'parquet'
  | 'parquet bytes';
export const kinds: readonly Kind[] = [
  'sidecar',
  'captions.json',
  'metadata.jsonl',
  'jsonl',
  'webdataset',
  'parquet',
  'parquet bytes',
];

/** Writes a data set and gives the configuration that opens it. */
export async function writeSet(kind: Kind, folder: string, set: readonly Item[]): Promise<ImageTextConfig> {
  if (kind === 'webdataset') return writeArchives(folder, set);
  if (kind === 'parquet' || kind === 'parquet bytes') return writeTables(folder, set, kind === 'parquet');
  for (const { name, picture } of set) await put(folder, `${name}.png`, picture);
  const lines = (image: string, caption: string) =>
    set.map((item) => `${JSON.stringify({ [image]: `${item.name}.png`, [caption]: item.caption })}\n`).join('');
  switch (kind) {
    case 'sidecar':
      for (const { name, caption } of set) if (caption) await put(folder, `${name}.txt`, `${caption}\n`);
      return { kind: 'folder', folder };
    case 'captions.json':
      await put(folder, kind, JSON.stringify(Object.fromEntries(set.map((i) => [`${i.name}.png`, i.caption]))));
      return { kind: 'folder', folder };
    case 'metadata.jsonl':
      await put(folder, kind, lines('file_name', 'text'));
      return { kind: 'folder', folder };
    case 'jsonl':
      await put(folder, 'data.jsonl', `\n${lines('image', 'caption')}`);
      return { kind: 'jsonl', file: join(folder, 'data.jsonl') };
  }
}

async function put(folder: string, name: string, content: Uint8Array | string): Promise<void> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

/** A tar archive as bytes. */
export async function archive(files: readonly (readonly [name: string, content: Uint8Array | string])[]) {
  const packed = pack();
  for (const [name, content] of files) packed.entry({ name, mtime: new Date(0) }, Buffer.from(content));
  packed.finalize();
  const pieces: Uint8Array[] = [];
  for await (const piece of packed) pieces.push(piece as Uint8Array);
  return Buffer.concat(pieces);
}

export function archiveOf(set: readonly Item[]) {
  return archive(
    set.flatMap(({ name, picture, caption }) => [
      [`${name}.png`, picture] as const,
      ...(caption ? [[`${name}.txt`, caption] as const] : []),
    ]),
  );
}

/** Up to five samples an archive. */
async function writeArchives(folder: string, set: readonly Item[]): Promise<ImageTextConfig> {
  const count = Math.ceil(set.length / 5);
  for (let i = 0; i < count; i++) {
    await put(folder, `set-${String(i).padStart(2, '0')}.tar`, await archiveOf(set.slice(i * 5, i * 5 + 5)));
  }
  const shards = `set-{00..${String(count - 1).padStart(2, '0')}}.tar`;
  return { kind: 'webdataset', folder, shards, shuffleBuffer: 4 };
}

/** Two files of groups of three rows. */
async function writeTables(folder: string, set: readonly Item[], nested: boolean): Promise<ImageTextConfig> {
  const half = Math.ceil(set.length / 2);
  for (const [number, part] of [set.slice(0, half), set.slice(half)].entries()) {
    if (part.length === 0) continue;
    const captions = part.map(({ caption }) => caption ?? null);
    const bytes = part.map(({ picture }) => new Uint8Array(picture));
    const table = nested
      ? parquetWriteBuffer({
          columnData: [
            { name: 'image', data: bytes.map((b, i) => ({ bytes: b, path: `${part[i]!.name}.png` })) },
            { name: 'caption', data: captions },
          ],
          schema: [
            { name: 'root', num_children: 2 },
            { name: 'image', repetition_type: 'OPTIONAL', num_children: 2 },
            { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
            { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
            { name: 'caption', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
          ],
          rowGroupSize: 3,
        })
      : parquetWriteBuffer({
          columnData: [
            { name: 'image', data: bytes, type: 'BYTE_ARRAY' },
            { name: 'caption', data: captions, type: 'STRING' },
          ],
          rowGroupSize: 3,
        });
    await put(folder, `part-${number}.parquet`, new Uint8Array(table));
  }
  return { kind: 'parquet', folder };
}
