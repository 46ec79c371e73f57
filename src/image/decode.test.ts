import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeImage, readImage, sniffImageFormat } from './decode.ts';
import { ImageError, type ImageErrorCode } from './error.ts';

const folder = fileURLToPath(new URL('../../test/images/', import.meta.url));
const golden = JSON.parse(await readFile(join(folder, 'decode.json'), 'utf8')) as Record<
  string,
  { width: number; height: number; sha256: string; rgb?: string }
>;

async function codeOf(action: Promise<unknown>): Promise<ImageErrorCode> {
  const error = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ImageError);
  return (error as ImageError).code;
}

/** A PNG file of one colour type 2 header and whatever data is given. */
function pngWithHeader(width: number, height: number, imageData: Uint8Array): Buffer {
  const chunk = (type: string, content: Uint8Array) => {
    const typed = Buffer.concat([Buffer.from(type), content]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(content.length, 0);
    frame.writeUInt32BE(crc32(typed), 4);
    return Buffer.concat([frame.subarray(0, 4), typed, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', imageData), chunk('IEND', Buffer.alloc(0))]);
}

describe('decodeImage gives the pixels that Pillow gives', () => {
  const exact = Object.entries(golden).filter(([, { rgb }]) => rgb === undefined);
  it.each(exact)('%s', async (name, { width, height, sha256 }) => {
    const image = await decodeImage(await readFile(join(folder, name)));
    expect([image.width, image.height]).toEqual([width, height]);
    expect(createHash('sha256').update(image.data).digest('hex')).toBe(sha256);
  });

  // Transparency over white; libvips cuts where Pillow rounds.
  it.each(['rgba.png', 'rgba.webp', 'grey-alpha.png'])('%s, to one level', async (name) => {
    const image = await decodeImage(await readFile(join(folder, name)));
    const expected = Buffer.from(golden[name]!.rgb!, 'base64');
    expect(image.data.length).toBe(expected.length);
    expect(Math.max(...image.data.map((level, i) => Math.abs(level - expected[i]!)))).toBeLessThanOrEqual(1);
  });

  it('cmyk.jpg, as far as a print profile agrees with multiplied inks', async () => {
    const image = await decodeImage(await readFile(join(folder, 'cmyk.jpg')));
    const expected = Buffer.from(golden['cmyk.jpg']!.rgb!, 'base64');
    expect(image.data.length).toBe(expected.length);
    const mean = (values: Uint8Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const [a, b] = [mean(image.data), mean(expected)];
    const product = (x: Uint8Array, mx: number, y: Uint8Array, my: number) =>
      x.reduce((sum, value, i) => sum + (value - mx) * (y[i]! - my), 0);
    const correlation =
      product(image.data, a, expected, b) /
      Math.sqrt(product(image.data, a, image.data, a) * product(expected, b, expected, b));
    expect(correlation).toBeGreaterThan(0.85);
  });

  it('16-bit RGB, as the high bytes', async () => {
    const samples = Uint16Array.from({ length: 5 * 4 * 3 }, (_, i) => (i * 2621 + 77) & 0xffff);
    const png = await sharp(samples, { raw: { width: 5, height: 4, channels: 3 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    const image = await decodeImage(png);
    expect(image.data).toEqual(Uint8Array.from(samples, (sample) => sample >> 8));
  });
});

describe('decodeImage refuses', () => {
  it('other formats, whatever they are called', async () => {
    const gif = Buffer.from('GIF89a\x01\x00\x01\x00\x00\x00\x00;', 'latin1');
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    for (const bytes of [gif, svg, new Uint8Array(0), Buffer.from('RIFF1234WAVE')]) {
      expect(await codeOf(decodeImage(bytes))).toBe('image_format_unsupported');
    }
  });

  it('a bomb of 30,000 x 30,000 pixels by its header', async () => {
    // 2.7 GB when unpacked; the data here is cut off, so decoding would fail in another way.
    const bomb = pngWithHeader(30_000, 30_000, deflateSync(Buffer.alloc(90_001)));
    const error = await decodeImage(bomb).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'image_too_large', details: { width: 30_000, height: 30_000 } });
  });

  it('sides and areas beyond the limits given', async () => {
    const bytes = await readFile(join(folder, 'rgb.png'));
    expect(await codeOf(decodeImage(bytes, { maxPixels: 37 * 29 - 1 }))).toBe('image_too_large');
    expect(await codeOf(decodeImage(bytes, { maxSide: 36 }))).toBe('image_too_large');
    expect(await codeOf(decodeImage(bytes, { minSide: 30 }))).toBe('image_too_small');
    await decodeImage(bytes, { maxPixels: 37 * 29, maxSide: 37, minSide: 29 });
  });

  it('limits that would not limit', async () => {
    const bytes = await readFile(join(folder, 'rgb.png'));
    for (const maxPixels of [0, Number.NaN, Number.POSITIVE_INFINITY, -5]) {
      expect(await codeOf(decodeImage(bytes, { maxPixels }))).toBe('image_option_invalid');
    }
  });

  it.each(['rgb.png', 'rgb-420.jpg', 'rgb-progressive.jpg', 'lossless.webp', 'lossy.webp'])(
    '%s cut off anywhere',
    async (name) => {
      const bytes = await readFile(join(folder, name));
      for (const part of [0.1, 0.5, 0.9]) {
        const cut = bytes.subarray(0, Math.max(16, Math.floor(bytes.length * part)));
        expect(await codeOf(decodeImage(cut)), `${part}`).toBe('image_corrupt');
      }
    },
  );

  it('damaged data, in words of its own', async () => {
    const damaged = pngWithHeader(20, 20, Buffer.from('this is not a zlib stream'));
    const error = (await decodeImage(damaged).catch((reason: unknown) => reason)) as ImageError;
    expect(error.code).toBe('image_corrupt');
    expect(error.message).not.toMatch(/vips|spng|libpng|sharp/i);
  });
});

it('sniffImageFormat goes by content', async () => {
  expect(sniffImageFormat(await readFile(join(folder, 'cmyk.jpg')))).toBe('jpeg');
  expect(sniffImageFormat(await readFile(join(folder, 'grey.png')))).toBe('png');
  expect(sniffImageFormat(await readFile(join(folder, 'lossy.webp')))).toBe('webp');
  expect(sniffImageFormat(Uint8Array.of(0xff, 0xd8))).toBeUndefined();
});

describe('readImage', () => {
  let temporary = '';
  beforeAll(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'star-decode-'));
  });
  afterAll(() => rm(temporary, { recursive: true }));

  it('reads by content, not by name', async () => {
    const path = join(temporary, 'really-a-png.jpg');
    await writeFile(path, await readFile(join(folder, 'rgb.png')));
    expect(await readImage(path)).toMatchObject({ width: 37, height: 29 });
  });

  it('tells missing files, folders and large files apart', async () => {
    expect(await codeOf(readImage(join(temporary, 'none.png')))).toBe('image_not_found');
    expect(await codeOf(readImage(join(folder, 'rgb.png', 'inside.png')))).toBe('image_not_found');
    expect(await codeOf(readImage(temporary))).toBe('image_unreadable');
    expect(await codeOf(readImage(join(folder, 'rgb.png'), { maxBytes: 100 }))).toBe('image_too_large');
  });
});
