/** Names of the files that pictures are saved in. */
import { constants } from 'node:fs';
import { access, open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pictureEndings } from '../image/save.ts';
import type { TaskWarning } from '../tasks/events.ts';
import type { GeneratedImage } from '../tasks/generated-image.ts';
import { UsageError } from './failure.ts';

/** Checks, before any picture is drawn, that a file named by an option can be written at the end. */
export async function requireWritable(option: string, file: string | undefined): Promise<void> {
  if (file === undefined) return;
  const fail = (expected: string, got: string): never => {
    throw new UsageError('output_invalid', `option ${option}: expected ${expected}, got ${got}`, { file });
  };
  const ending = path.extname(file).toLowerCase();
  if (!pictureEndings.includes(ending)) {
    fail(`a file that ends in ${pictureEndings.join(', ')}`, file);
  }
  const folder = path.dirname(file);
  await access(folder, constants.W_OK).catch(() => fail('a file in a folder that can be written to', file));
  const existing = await stat(file).catch(() => undefined);
  if (existing && !existing.isFile()) fail('a file', `${file}, which is something else`);
}

/** `apples.png` for one picture; `apples-0.png`, `apples-1.png`, … for several. */
export function pictureNames(file: string, count: number): string[] {
  const { dir, name, ext } = path.parse(file);
  if (count === 1) return [file];
  return Array.from({ length: count }, (_, index) => path.join(dir, `${name}-${index}${ext}`));
}

/** Saves pictures in the file that the user named, which is replaced; several get a number before the ending. */
export async function savePictures(images: readonly GeneratedImage[], file: string): Promise<SavedPictures> {
  return saveAs(images, pictureNames(file, images.length));
}

/** Saves pictures under a name that no file in the folder has yet: `<stem>.png`, else `<stem>_2.png`, and so on. */
export async function savePicturesAnew(images: readonly GeneratedImage[], stem: string): Promise<SavedPictures> {
  const names = await reserve(stem, images.length);
  try {
    return await saveAs(images, names);
  } catch (error) {
    await removeEmpty(names);
    throw error;
  }
}

export interface SavedPictures {
  readonly paths: readonly string[];
  readonly warnings: readonly TaskWarning[];
}

async function saveAs(images: readonly GeneratedImage[], names: readonly string[]): Promise<SavedPictures> {
  const warnings: TaskWarning[] = [];
  for (const [index, image] of images.entries()) {
    const saved = await image.save(names[index]!);
    // The same is to be said of every picture; once is enough.
    if (index === 0) warnings.push(...saved.warnings);
  }
  return { paths: names, warnings };
}

/** Makes empty files, so that another process that looks for free names at the same time finds these taken. */
async function reserve(stem: string, count: number): Promise<string[]> {
  for (let attempt = 1; ; attempt++) {
    const names = pictureNames(`${stem}${attempt === 1 ? '' : `_${attempt}`}.png`, count);
    const made: string[] = [];
    try {
      for (const name of names) {
        await (await open(name, 'wx')).close();
        made.push(name);
      }
      return names;
    } catch (cause) {
      await removeEmpty(made);
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'EEXIST') continue;
      const message = `cannot write ${names[made.length]} here (${code}); name a file with -o`;
      throw new UsageError('output_invalid', message, {}, { cause });
    }
  }
}

async function removeEmpty(names: readonly string[]): Promise<void> {
  for (const name of names) {
    if ((await stat(name).catch(() => undefined))?.size === 0) await rm(name, { force: true });
  }
}
