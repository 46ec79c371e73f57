import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readImage, sniffImageFormat } from './decode.ts';
import { readPngText } from './png-text.ts';
import { resizeImage } from './resize.ts';
import type { RgbImage } from './rgb-image.ts';
import { saveImage } from './save.ts';

// Smooth, so that the lossy formats come close.
const corners: RgbImage = {
  width: 2,
  height: 2,
  data: Uint8Array.of(250, 20, 30, 20, 240, 40, 30, 40, 230, 128, 128, 9),
};
const image = resizeImage(corners, 48, 40, 'bicubic');

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'star-save-'));
});
afterEach(() => rm(folder, { recursive: true }));

it.each([
  ['picture.png', 'png', 0],
  ['picture.JPG', 'jpeg', 8],
  ['picture.jpeg', 'jpeg', 8],
  ['picture.webp', 'webp', 16],
])('saves %s in its format', async (name, format, tolerance) => {
  const path = join(folder, name);
  const saved = await saveImage(path, image);
  const bytes = await readFile(path);
  expect(saved).toEqual({ path, bytes: bytes.length, warnings: [] });
  expect(sniffImageFormat(bytes)).toBe(format);
  const read = await readImage(path);
  expect([read.width, read.height]).toEqual([48, 40]);
  expect(Math.max(...read.data.map((level, i) => Math.abs(level - image.data[i]!)))).toBeLessThanOrEqual(tolerance);
});

it('puts text into PNG files, and says where it cannot', async () => {
  const text = { star: '{"seed":7}' };
  const png = await saveImage(join(folder, 'a.png'), image, text);
  expect(png.warnings).toEqual([]);
  expect([...readPngText(await readFile(png.path))]).toEqual([['star', '{"seed":7}']]);
  for (const name of ['a.jpg', 'a.webp']) {
    const { warnings } = await saveImage(join(folder, name), image, text);
    expect(warnings).toEqual([{ code: 'text_not_saved', message: expect.stringContaining('star') }]);
  }
});

it('replaces a file and leaves nothing else in the folder', async () => {
  const path = join(folder, 'a.png');
  await saveImage(path, corners);
  await saveImage(path, image);
  expect(await readImage(path)).toMatchObject({ width: 48 });
  expect(await readdir(folder)).toEqual(['a.png']);
});

it('refuses an ending that names no format', async () => {
  for (const name of ['a.gif', 'a', '.png', 'a.constructor']) {
    await expect(saveImage(join(folder, name), image)).rejects.toMatchObject({ code: 'image_format_unsupported' });
  }
  expect(await readdir(folder)).toEqual([]);
});

it('refuses sides that the format cannot hold', async () => {
  const long: RgbImage = { width: 16_384, height: 1, data: new Uint8Array(16_384 * 3) };
  await expect(saveImage(join(folder, 'a.webp'), long)).rejects.toMatchObject({ code: 'image_too_large' });
  await saveImage(join(folder, 'a.jpg'), long);
});

it('says that it could not write, and leaves no temporary file', async () => {
  await expect(saveImage(join(folder, 'no', 'a.png'), image)).rejects.toMatchObject({ code: 'image_not_saved' });
  await mkdir(join(folder, 'b.png'));
  await expect(saveImage(join(folder, 'b.png'), image)).rejects.toMatchObject({ code: 'image_not_saved' });
  expect(await readdir(folder)).toEqual(['b.png']);
});
