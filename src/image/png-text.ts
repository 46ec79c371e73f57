/**
 * Text inside PNG files: the tEXt and iTXt chunks of the PNG standard (https://www.w3.org/TR/png-3/#11textinfo).
 * This is how a prompt and its settings travel inside a picture. Pure: runs in browsers too.
 *
 * Not read: zTXt and compressed iTXt (a few bytes of them can unpack to gigabytes), and what lies beyond the limits.
 */

import { ImageError } from './error.ts';

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Length, type and CRC of a chunk, 4 bytes each. */
const chunkFrame = 12;
const headerChunkBytes = chunkFrame + 13;
const maxKeywordBytes = 79;
/** No chunk larger than this is read, nor written. */
const maxTextBytes = 2 ** 20;
/** Chunks read from one file. */
const maxTexts = 256;

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

// Not TextDecoder('latin1'): in browsers and Node that name means windows-1252.
function fromLatin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function toLatin1(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) return undefined;
    bytes[i] = code;
  }
  return bytes;
}

function isPng(bytes: Uint8Array): boolean {
  return bytes.length >= signature.length && signature.every((byte, i) => bytes[i] === byte);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

function chunk(type: string, ...content: readonly Uint8Array[]): Uint8Array {
  const typed = concatenate([toLatin1(type)!, ...content]);
  const frame = new DataView(new ArrayBuffer(8));
  frame.setUint32(0, typed.length - 4);
  frame.setUint32(4, crc32(typed));
  return concatenate([new Uint8Array(frame.buffer, 0, 4), typed, new Uint8Array(frame.buffer, 4, 4)]);
}

function textChunk(keyword: string, text: string): Uint8Array {
  const refuse = (expected: string, got: unknown) =>
    new ImageError('image_text_invalid', `PNG text '${keyword}': expected ${expected}, got ${got}`, { keyword });
  // The standard's rule for keywords: printable Latin-1, spaces only single and inside.
  if (!/^[!-~\xa1-\xff]+( [!-~\xa1-\xff]+)*$/.test(keyword) || keyword.length > maxKeywordBytes) {
    throw refuse(`a keyword of 1 to ${maxKeywordBytes} printable Latin-1 characters`, JSON.stringify(keyword));
  }
  if (text.includes('\0')) throw refuse('text without NUL characters', 'one');
  const zero = Uint8Array.of(0);
  const latin1 = toLatin1(text);
  const value = latin1 ?? new TextEncoder().encode(text);
  if (value.length > maxTextBytes) throw refuse(`at most ${maxTextBytes} bytes`, value.length);
  if (latin1) return chunk('tEXt', toLatin1(keyword)!, zero, latin1);
  if (new TextDecoder('utf-8', { ignoreBOM: true }).decode(value) !== text) {
    throw refuse('well-formed Unicode', 'half of a surrogate pair');
  }
  // Compression flag and method; then an empty language tag and an empty translated keyword.
  return chunk('iTXt', toLatin1(keyword)!, zero, Uint8Array.of(0, 0), zero, zero, value);
}

/**
 * Puts text chunks into a PNG file, right after its header: tEXt where Latin-1 suffices, else iTXt (UTF-8).
 * @param text by keyword; a keyword has 1 to 79 printable Latin-1 characters, a value at most 1 MiB
 * @returns a new file; chunks that were there stay
 * @throws ImageError `image_format_unsupported` when `png` is none, `image_text_invalid`
 */
export function insertPngText(png: Uint8Array, text: Readonly<Record<string, string>>): Uint8Array {
  if (!isPng(png) || png.length < signature.length + headerChunkBytes) {
    throw new ImageError('image_format_unsupported', 'insertPngText: expected a PNG file, got something else');
  }
  const chunks = Object.entries(text).map(([keyword, value]) => textChunk(keyword, value));
  const split = signature.length + headerChunkBytes;
  return concatenate([png.subarray(0, split), ...chunks, png.subarray(split)]);
}

/**
 * Reads the text chunks of a PNG file, whoever wrote it.
 * Chunks with a wrong CRC, a broken inside, compression, or more than 1 MiB are left out, as are all after the first
 * 256 and those after a cut. Of several texts under one keyword the first counts.
 * @returns text by keyword, in file order
 * @throws ImageError `image_format_unsupported` when the bytes do not begin like a PNG file
 */
export function readPngText(bytes: Uint8Array): Map<string, string> {
  if (!isPng(bytes)) {
    throw new ImageError('image_format_unsupported', 'readPngText: expected a PNG file, got something else');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts = new Map<string, string>();
  let offset = signature.length;
  while (offset + chunkFrame <= bytes.length && texts.size < maxTexts) {
    const length = view.getUint32(offset);
    const end = offset + chunkFrame + length;
    if (end > bytes.length) break;
    const typed = bytes.subarray(offset + 4, end - 4);
    const type = fromLatin1(typed.subarray(0, 4));
    if (type === 'IEND') break;
    if ((type === 'tEXt' || type === 'iTXt') && length <= maxTextBytes + headerChunkBytes + maxKeywordBytes) {
      if (crc32(typed) === view.getUint32(end - 4)) {
        const entry = parseText(type, typed.subarray(4));
        if (entry && !texts.has(entry.keyword)) texts.set(entry.keyword, entry.text);
      }
    }
    offset = end;
  }
  return texts;
}

function parseText(type: 'tEXt' | 'iTXt', content: Uint8Array): { keyword: string; text: string } | undefined {
  const keywordEnd = content.indexOf(0);
  if (keywordEnd < 1 || keywordEnd > maxKeywordBytes) return undefined;
  const keyword = fromLatin1(content.subarray(0, keywordEnd));
  if (type === 'tEXt') return { keyword, text: fromLatin1(content.subarray(keywordEnd + 1)) };
  if (content[keywordEnd + 1] !== 0) return undefined;
  const languageEnd = content.indexOf(0, keywordEnd + 3);
  const translatedEnd = languageEnd < 0 ? -1 : content.indexOf(0, languageEnd + 1);
  if (translatedEnd < 0) return undefined;
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { keyword, text: decoder.decode(content.subarray(translatedEnd + 1)) };
  } catch {
    return undefined;
  }
}
