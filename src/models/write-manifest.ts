/** Makes the manifest of a model folder on the disk. Node only. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { writeFileDurably } from '../checkpoint/durable.ts';
import { parseConfig } from './config-error.ts';
import { type ModelManifest, manifestName, manifestSchema } from './model-manifest.ts';

/** What a browser has no use for. */
const leftOut = (name: string) => name === manifestName || name.endsWith('.md') || path.basename(name).startsWith('.');

/**
 * Lists every file of a folder with its size and SHA-256, but for hidden files and texts for people (`.md`), and writes the
 * list into the folder.
 * @throws ConfigError for a file whose path a manifest cannot hold; the file system's errors.
 */
export async function writeManifest(folder: string): Promise<ModelManifest> {
  const files: ModelManifest['files'] = [];
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const file = path.join(folder, name);
    const entry = await stat(file);
    if (!entry.isFile() || leftOut(name)) continue;
    const hash = createHash('sha256');
    await pipeline(createReadStream(file), hash);
    files.push({ path: name.split(path.sep).join('/'), size: entry.size, sha256: hash.digest('hex') });
  }
  const manifest = parseConfig(manifestSchema, { version: 1, files }, path.join(folder, manifestName));
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await writeFileDurably(path.join(folder, manifestName), [new TextEncoder().encode(text)]);
  return manifest;
}
