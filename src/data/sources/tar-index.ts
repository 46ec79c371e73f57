/**
 * What lies where in a tar archive of the webdataset kind: files of one sample stand together and share their name up
 * to the first dot (`0001.jpg`, `0001.txt`). Nothing is unpacked; names are labels, never paths.
 */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { quote } from '../../checkpoint/error.ts';
import { isInside } from './inside.ts';

/** Samples of one archive; their places are held in memory. */
const mostRecords = 1_000_000;
/** Files of one sample that are looked at. */
const mostParts = 64;

/** A file in an archive: where its bytes lie. */
export interface TarPart {
  readonly offset: number;
  readonly size: number;
}

export interface TarRecord {
  /** The common name. */
  readonly name: string;
  /** Why it cannot be used; then the parts are missing. */
  readonly problem?: string;
  readonly picture?: TarPart;
  readonly caption?: TarPart & { readonly json: boolean };
}

/** The library's own types leave this out; its README does not. */
type PlacedHeader = Header & { readonly byteOffset: number };

const pictureEndings = ['jpg', 'jpeg', 'png', 'webp'];
const captionEndings = ['txt', 'caption', 'json'];

/**
 * Lists the samples of an archive in order, reading it once from its start. Damage, and what cannot be used, becomes a
 * record with a `problem`, so that it is counted in its turn; what lies before it stays usable.
 */
export async function indexTar(path: string): Promise<TarRecord[]> {
  const records: TarRecord[] = [];
  let name: string | undefined;
  let parts = new Map<string, TarPart>();
  const close = () => {
    if (name !== undefined) records.push(recordOf(name, parts));
    name = undefined;
    parts = new Map();
  };

  const archive = extract();
  archive.on('entry', (header, body, next) => {
    // What stops the archive stops its bodies; the pipeline tells why.
    body.on('error', () => undefined);
    body.on('end', () => next());
    body.resume();
    if (header.type !== 'file' && header.type !== 'contiguous-file') return;
    const slash = header.name.lastIndexOf('/') + 1;
    const dot = header.name.indexOf('.', slash);
    // Like webdataset: a hidden file or one without an ending belongs to no sample.
    if (dot <= slash) return;
    const key = header.name.slice(0, dot);
    if (key !== name) {
      close();
      if (records.length >= mostRecords) {
        next(new Error(`more than ${mostRecords} samples`));
        return;
      }
      name = key;
    }
    const ending = header.name.slice(dot + 1).toLowerCase();
    if (parts.size < mostParts) parts.set(ending, { offset: (header as PlacedHeader).byteOffset, size: header.size });
  });
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), archive);
    close();
  } catch (error) {
    // The sample that the damage fell into goes with it: a cut file must not pass for a whole one.
    const where = name === undefined ? 'before the first sample' : `at or after ${quote(name)}`;
    records.push({ name: name ?? '', problem: `the archive is damaged ${where}: ${(error as Error).message}` });
  }
  return records;
}

function recordOf(name: string, parts: ReadonlyMap<string, TarPart>): TarRecord {
  if (!isInside(name)) return { name, problem: 'the name leads outside of the archive' };
  const pictures = pictureEndings.filter((ending) => parts.has(ending));
  if (pictures.length !== 1) {
    return { name, problem: pictures.length === 0 ? 'no picture' : `several pictures: ${pictures.join(', ')}` };
  }
  const ending = captionEndings.find((candidate) => parts.has(candidate));
  if (ending === undefined) return { name, problem: 'no caption: expected .txt, .caption or .json' };
  return { name, picture: parts.get(pictures[0]!)!, caption: { ...parts.get(ending)!, json: ending === 'json' } };
}
