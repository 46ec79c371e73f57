/** Copies of the reference model tiny-a that a training may write into. */
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { referencePath } from '../reference-vectors.ts';

export const tinyCheckpoint = (folder: string) => path.join(folder, 'checkpoints/STAR-tiny.safetensors');

/** A copy whose checkpoint is a safetensors file of those tensors that `keep` names. Default all. */
export async function copyTiny(folder: string, keep: (name: string) => boolean = () => true): Promise<string> {
  await cp(referencePath('tiny-a', '.'), folder, { recursive: true });
  const file = path.join(folder, 'checkpoints/STAR-tiny.pt');
  const tensors: TensorToWrite[] = [];
  {
    await using checkpoint = await openCheckpoint(file);
    for (const { name, dtype, shape } of checkpoint.entries.values()) {
      if (keep(name)) tensors.push({ name, dtype, shape, data: (await checkpoint.read(name)).data });
    }
  }
  await writeSafetensors(tinyCheckpoint(folder), tensors);
  await rm(file);
  return folder;
}
