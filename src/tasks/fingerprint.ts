/** What tells model folders apart. Node only. */
import { createHash } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import type { ModelFolder } from '../models/star/folder.ts';

/** Bytes hashed at either end of the checkpoint. */
const sampled = 1 << 20;

/**
 * Tells one model folder from another without reading all of it: SHA-256 over the configuration, the checkpoint's size, and
 * its first and last mebibyte. First 16 hexadecimal digits.
 */
export async function fingerprintOf({ configFile, checkpointFile }: ModelFolder): Promise<string> {
  const hash = createHash('sha256').update(await readFile(configFile));
  const { size } = await stat(checkpointFile);
  hash.update(`${size}`);
  const file = await open(checkpointFile);
  try {
    for (const start of [0, Math.max(0, size - sampled)]) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(sampled), 0, sampled, start);
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex').slice(0, 16);
}
