/** A folder of pictures with their captions. */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { quote } from '../../checkpoint/error.ts';
import type { JsonValue } from '../../checkpoint/json.ts';
import { DataError } from '../error.ts';
import { chooseCaption } from './captions.ts';
import { asDataError, openFolder, readInside } from './inside.ts';
import { indexJsonl } from './jsonl.ts';
import { parseRecord } from './line-index.ts';
import type { FolderOptions } from './options.ts';
import { fingerprintOf, type SampleIndex } from './order.ts';
import { checkText, decodeText, isPictureName, loadPicture, maximumTextBytes } from './picture.ts';
import type { ImageTextSample } from './sample.ts';

/** Folders in folders, at most. */
const deepest = 32;
/** Names held in memory, at most. */
const mostFiles = 5_000_000;
/** captions.json is read as a whole. */
const maximumCaptionsBytes = 256 * 1024 * 1024;

/** The pictures of a folder and its folders, by name. Hidden ones, and links to folders, are left out. */
export async function indexFolder(options: FolderOptions): Promise<SampleIndex<ImageTextSample>> {
  const root = await openFolder(options.folder);
  const captions = options.captions === 'auto' ? await findCaptions(root) : options.captions;
  if (captions === 'metadata.jsonl') return indexMetadata(options, root);

  const pictures = await listPictures(root);
  const { maxImageBytes, seed } = options;
  let table: Map<string, JsonValue> | undefined;
  let digest = '';
  if (captions === 'captions.json') {
    const bytes = await readInside(root, 'captions.json', maximumCaptionsBytes);
    digest = createHash('sha256').update(bytes).digest('hex');
    table = parseRecord(decodeText(bytes), { depth: 3, values: mostFiles * 4 });
    // A caption without its picture is told of too, when its turn comes.
    for (const name of table.keys()) pictures.add(name);
  }
  const names = [...pictures].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return {
    count: names.length,
    fingerprint: fingerprintOf([captions, names, digest]),
    source: (at) => names[at]!,
    async load(at, place) {
      const name = names[at]!;
      const caption = table
        ? chooseCaption(table.get(name), seed, place)
        : checkText('caption', decodeText(await readSidecar(root, name)));
      const bytes = await readInside(root, name, maxImageBytes);
      return { image: await loadPicture(bytes, options, place), caption, source: name };
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Hugging Face's imagefolder: lines `{file_name, text}`. */
function indexMetadata(options: FolderOptions, root: string): Promise<SampleIndex<ImageTextSample>> {
  const { captions: _captions, kind: _kind, ...rest } = options;
  const file = join(root, 'metadata.jsonl');
  return indexJsonl({ ...rest, kind: 'jsonl', file, folder: root, imageKey: 'file_name', maxLineBytes: 2 ** 20 });
}

async function readSidecar(root: string, picture: string): Promise<Uint8Array> {
  const name = picture.replace(/\.[^./]+$/, '.txt');
  try {
    return await readInside(root, name, maximumTextBytes);
  } catch (cause) {
    if (!(cause instanceof DataError) || cause.code !== 'data_not_found') throw cause;
    throw new DataError('data_not_found', `no caption: expected ${quote(name)} beside the picture`, {}, { cause });
  }
}

async function findCaptions(root: string): Promise<'sidecar' | 'captions.json' | 'metadata.jsonl'> {
  const names = await readdir(root).catch((error: unknown) => {
    throw asDataError(error, root);
  });
  return (['metadata.jsonl', 'captions.json'] as const).find((name) => names.includes(name)) ?? 'sidecar';
}

async function listPictures(root: string): Promise<Set<string>> {
  const found = new Set<string>();
  const walk = async (folder: string, depth: number): Promise<void> => {
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((error: unknown) => {
      throw asDataError(error, join(root, folder));
    });
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (depth === deepest) throw new DataError('data_invalid', `${name}: folders nest deeper than ${deepest}`);
        await walk(name, depth + 1);
      } else if (isPictureName(entry.name)) {
        found.add(name);
        if (found.size > mostFiles) {
          throw new DataError('data_invalid', `${root}: more than ${mostFiles} pictures; use tar archives`);
        }
      }
    }
  };
  await walk('', 0);
  return found;
}
