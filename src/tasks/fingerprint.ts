/** Tells model folders apart. */
import { readBytes } from '../checkpoint/byte-source.ts';
import type { ModelFolder } from '../models/star/model-folder.ts';

/** Bytes hashed at either end of the checkpoint. */
const sampled = 1 << 20;

/**
 * Tells one model folder from another without reading all of it: SHA-256 over the configuration, the checkpoint's size, and
 * its first and last mebibyte. First 16 hexadecimal digits.
 */
export async function fingerprintOf({ files, configFile, checkpointFile }: ModelFolder): Promise<string> {
  await using checkpoint = await files.open(checkpointFile);
  const { size } = checkpoint;
  const length = Math.min(sampled, size);
  const parts = [
    await files.read(configFile),
    new TextEncoder().encode(`${size}`),
    await readBytes(checkpoint, 0, length),
    await readBytes(checkpoint, size - length, length),
  ];
  const digest = await crypto.subtle.digest('SHA-256', await new Blob(parts as BlobPart[]).arrayBuffer());
  return Array.from(new Uint8Array(digest, 0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
