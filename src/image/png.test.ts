import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeImage } from './decode.ts';
import { encodePng } from './png.ts';
import { insertPngText, readPngText } from './png-text.ts';
import type { RgbImage } from './rgb-image.ts';

const image: RgbImage = { width: 9, height: 7, data: Uint8Array.from({ length: 189 }, (_, i) => (i * 37) & 255) };

function chunk(type: string, content: string | Uint8Array, damage = 0): Buffer {
  const typed = Buffer.concat([
    Buffer.from(type),
    typeof content === 'string' ? Buffer.from(content, 'latin1') : content,
  ]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(typed.length - 4, 0);
  frame.writeUInt32BE((crc32(typed) ^ damage) >>> 0, 4);
  return Buffer.concat([frame.subarray(0, 4), typed, frame.subarray(4)]);
}

/** A file of a stranger: a header, the chunks given, an end. */
function png(...chunks: Buffer[]): Buffer {
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, chunk('IHDR', new Uint8Array(13)), ...chunks, chunk('IEND', '')]);
}

describe('encodePng', () => {
  it('keeps every pixel and every text', async () => {
    const text = {
      parameters: 'two red apples\nSteps: 576, Seed: 7',
      star: JSON.stringify({ prompt: 'äpfel' }),
      Title: 'Äpfel, 5 €, 图像 🍎',
      Comment: '',
      Latin: '\x80\x9f\xff',
      mark: '\ufeffstarts with a byte order mark',
    };
    const bytes = await encodePng(image, text);
    expect(Object.fromEntries(readPngText(bytes))).toEqual(text);
    expect((await decodeImage(bytes)).data).toEqual(image.data);
    // Right after the header, as tEXt where Latin-1 suffices.
    expect(Buffer.from(bytes).toString('latin1', 33 + 4, 33 + 8 + 10)).toBe('tEXtparameters');
    expect(Buffer.from(bytes).includes('iTXtTitle\0\0\0\0\0')).toBe(true);
  });

  it('writes no text chunk when there is no text', async () => {
    const bytes = Buffer.from(await encodePng(image));
    expect(readPngText(bytes).size).toBe(0);
    expect(bytes.includes('tEXt') || bytes.includes('iTXt')).toBe(false);
  });

  it.each([
    ['', 'x'],
    [' star', 'x'],
    ['a  b', 'x'],
    ['line\nbreak', 'x'],
    ['苹果', 'x'],
    ['k'.repeat(80), 'x'],
    ['star', 'a\0b'],
    ['star', 'lone \ud83c surrogate'],
    ['star', 'x'.repeat(2 ** 20 + 1)],
  ])('refuses the text %j', async (keyword, value) => {
    await expect(encodePng(image, { [keyword]: value })).rejects.toMatchObject({ code: 'image_text_invalid' });
  });

  it('refuses an image whose bytes do not fit', async () => {
    await expect(encodePng({ ...image, width: 8 })).rejects.toMatchObject({ code: 'image_invalid' });
  });
});

describe('readPngText of files by strangers', () => {
  it('reads tEXt as Latin-1 and iTXt with language and translated keyword as UTF-8', () => {
    const international = Buffer.from('Title\0\0\0de-DE\0Überschrift\0Äpfel 🍎');
    const file = png(chunk('tEXt', 'Author\0J\xfcrgen \x93'), chunk('iTXt', international));
    expect([...readPngText(file)]).toEqual([
      ['Author', 'Jürgen \x93'],
      ['Title', 'Äpfel 🍎'],
    ]);
  });

  it('leaves out what is damaged, compressed or too large, and reads on', () => {
    const file = png(
      chunk('tEXt', 'wrong\0checksum', 1),
      chunk('tEXt', 'no separator'),
      chunk('tEXt', '\0no keyword'),
      chunk('tEXt', `${'k'.repeat(80)}\0keyword too long`),
      chunk('zTXt', 'packed\0\0x'),
      chunk('iTXt', 'packed\0\x01\0\0\0x'),
      chunk('iTXt', 'cut\0\0\0de'),
      chunk('iTXt', 'cut\0'),
      chunk('iTXt', 'utf8\0\0\0\0\0\xff\xfe'),
      chunk('tEXt', `large\0${'x'.repeat(2 ** 20 + 200)}`),
      chunk('tEXt', 'good\0first'),
      chunk('tEXt', 'good\0second'),
    );
    expect([...readPngText(file)]).toEqual([['good', 'first']]);
  });

  it('stops at the end chunk, at a chunk that is longer than the file, and after 256 texts', () => {
    const after = Buffer.concat([png(chunk('tEXt', 'in\0side')), chunk('tEXt', 'out\0side')]);
    expect([...readPngText(after).keys()]).toEqual(['in']);

    const lying = png(chunk('tEXt', 'a\0b'), chunk('tEXt', 'c\0d'));
    lying.writeUInt32BE(0xffffffff, 33 + 15);
    expect([...readPngText(lying).keys()]).toEqual(['a']);

    const many = png(...Array.from({ length: 300 }, (_, i) => chunk('tEXt', `key ${i}\0x`)));
    expect(readPngText(many).size).toBe(256);
  });

  it('survives a cut at every byte', () => {
    const file = png(chunk('tEXt', 'a\0b'), chunk('iTXt', 'c\0\0\0\0\0d'));
    for (let end = 8; end < file.length; end++) {
      const texts = readPngText(file.subarray(0, end));
      expect([...texts.keys()]).toEqual(end < 48 ? [] : end < 67 ? ['a'] : ['a', 'c']);
    }
  });

  it('refuses what is no PNG', () => {
    const refusal = expect.objectContaining({ code: 'image_format_unsupported' });
    expect(() => readPngText(Buffer.from('\xff\xd8\xff', 'latin1'))).toThrowError(refusal);
    expect(() => insertPngText(png().subarray(0, 20), { a: 'b' })).toThrowError(refusal);
  });
});
