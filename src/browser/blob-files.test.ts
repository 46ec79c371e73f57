import { expect, it } from 'vitest';
import { readBytes } from '../checkpoint/byte-source.ts';
import { blobFiles } from './blob-files.ts';

const url = 'https://host/models/nano';
const files = blobFiles({
  url,
  files: new Map([
    ['a.json', new Blob(['{}'])],
    ['checkpoints/base/b.bin', new Blob(['0123456789'])],
  ]),
  cacheProblem: undefined,
});

it('finds files and folders by URL', async () => {
  expect(await files.list(url)).toEqual(['a.json', 'checkpoints']);
  expect(await files.list(`${url}/checkpoints`)).toEqual(['base']);
  expect(await files.kindOf(`${url}/checkpoints/base`)).toBe('folder');
  expect(await files.kindOf(`${url}/a.json`)).toBe('file');
  expect(await files.kindOf(`${url}/b.json`)).toBeUndefined();
  await expect(files.read(`${url}/b.json`)).rejects.toMatchObject({ code: 'ENOENT' });
});

it('reads parts of a file, and none beyond its end', async () => {
  await using source = await files.open(`${url}/checkpoints/base/b.bin`);
  expect(new TextDecoder().decode(await readBytes(source, 3, 4))).toBe('3456');
  await expect(readBytes(source, 8, 3)).rejects.toThrow(/needs 3 bytes here, but the file has 10/);
});

it('joins and shortens paths without touching the host', () => {
  expect(files.join(url, 'checkpoints', '..', 'a.json')).toBe(`${url}/a.json`);
  expect(files.relative(url, `${url}/checkpoints/base/b.bin`)).toBe('checkpoints/base/b.bin');
});
