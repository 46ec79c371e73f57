import { openCheckpoint } from '../src/checkpoint/open.ts';

/** The bytes of each tensor of a checkpoint, by name. */
export async function bytesOf(file: string): Promise<Map<string, Buffer>> {
  await using checkpoint = await openCheckpoint(file);
  const bytes = new Map<string, Buffer>();
  for (const name of checkpoint.entries.keys()) {
    const { data } = await checkpoint.read(name);
    bytes.set(name, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  return bytes;
}
