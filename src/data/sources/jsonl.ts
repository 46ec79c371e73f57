/** JSON Lines: one record a line, pictures as files beside it. */
import { basename, dirname } from 'node:path';
import { quote } from '../../checkpoint/error.ts';
import type { JsonValue } from '../../checkpoint/json.ts';
import { DataError } from '../error.ts';
import { chooseCaption } from './captions.ts';
import { openDataFile, openFolder, readInside } from './inside.ts';
import { indexLines } from './line-index.ts';
import type { EditPairOptions, JsonlOptions } from './options.ts';
import type { Place, passedOver, SampleIndex } from './order.ts';
import { checkText, loadPicture, type PictureOptions } from './picture.ts';
import type { EditPairSample, ImageTextSample } from './sample.ts';

export type Fields = Map<string, JsonValue>;
/** The picture at a path that stands under a key. */
type Picture = (key: string, path: JsonValue | undefined) => ReturnType<typeof loadPicture>;

interface LinesOptions extends PictureOptions {
  readonly file: string;
  readonly folder?: string | undefined;
  readonly maxLineBytes: number;
}

/** Lines `{image, caption}`; the caption may be a list of texts, one of which is taken by chance. */
export function indexJsonl(options: JsonlOptions): Promise<SampleIndex<ImageTextSample>> {
  const { imageKey, captionKey, seed } = options;
  return indexRecords(options, [imageKey, captionKey], async (fields, picture, place, source) => {
    const caption = chooseCaption(fields.get(captionKey), seed, place);
    return { image: await picture(imageKey, fields.get(imageKey)), caption, source };
  });
}

/** Lines `{source, instruction, target}`: paths of the picture before and after. */
export function indexEditPairs(options: EditPairOptions): Promise<SampleIndex<EditPairSample>> {
  const { sourceKey, targetKey, instructionKey } = options;
  const keys = [sourceKey, targetKey, instructionKey];
  return indexRecords(options, keys, async (fields, picture, _place, source) => {
    const instruction = checkText('instruction', fields.get(instructionKey));
    const before = await picture(sourceKey, fields.get(sourceKey));
    return { before, after: await picture(targetKey, fields.get(targetKey)), instruction, source };
  });
}

/**
 * The records of a file by number.
 * @param keys of the fields that are read: with others the data is not the same
 */
export async function indexRecords<Sample>(
  options: LinesOptions,
  keys: readonly string[],
  make: (fields: Fields, picture: Picture, place: Place, source: string) => Promise<Sample | typeof passedOver>,
): Promise<SampleIndex<Sample>> {
  const { file, folder = dirname(file), maxLineBytes, maxImageBytes } = options;
  const root = await openFolder(folder);
  const lines = await openDataFile(file);
  try {
    const index = await indexLines(lines, maxLineBytes);
    const source = (at: number) => `${basename(file)}:${index.lineNumber(at)}`;
    return {
      count: index.count,
      fingerprint: `jsonl ${index.sha256} ${keys.join(' ')}`,
      source,
      async load(at, place) {
        const fields = await index.read(at);
        const picture: Picture = async (key, path) => {
          if (typeof path !== 'string') throw new DataError('data_invalid', `${quote(key)}: expected a picture's path`);
          return loadPicture(await readInside(root, path, maxImageBytes), options, place);
        };
        return make(fields, picture, place, source(at));
      },
      [Symbol.asyncDispose]: async () => lines[Symbol.asyncDispose](),
    };
  } catch (error) {
    await lines[Symbol.asyncDispose]();
    throw error;
  }
}
