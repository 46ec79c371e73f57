/** The package's own sprites from its files, with sharp. Node only. */
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { DataError } from '../error.ts';
import { type Atlas, atlasIndexSchema, createAtlas, type Sheet } from './atlas.ts';
import type { Style } from './scene.ts';

/** The folder of the committed assets; the same seen from `src/data/world` and from `dist/data/world`. */
export const worldAssets = new URL('../../../assets/world/', import.meta.url);

/**
 * Reads the sprites.
 * @param styles only these styles' sheets; default all
 * @throws DataError `data_unreadable` or `data_invalid`
 */
export async function loadAtlas(styles?: readonly Style[], folder: URL = worldAssets): Promise<Atlas> {
  const read = async (name: string) => {
    const url = new URL(name, folder);
    try {
      return await readFile(url);
    } catch (cause) {
      throw new DataError('data_unreadable', `cannot read ${url.pathname}`, { path: url.pathname }, { cause });
    }
  };
  const all = atlasIndexSchema.parse(JSON.parse((await read('atlas.json')).toString('utf8')));
  const index = { ...all, styles: all.styles.filter((style) => styles?.includes(style) ?? true) };
  const sheets = await Promise.all(
    index.styles.map(async (style): Promise<[Style, Sheet]> => {
      const { data, info } = await sharp(await read(`${style}.png`))
        .ensureAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true });
      return [style, { width: info.width, height: info.height, data: new Uint8Array(data) }];
    }),
  );
  return createAtlas(index, new Map(sheets));
}
