/** A tiny reference model that can be trained: its checkpoint as safetensors, in a folder of its own. */
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { openCheckpoint } from '../src/checkpoint/open.ts';
import { type TensorToWrite, writeSafetensors } from '../src/checkpoint/safetensors-writer.ts';
import { type ReferenceVariant, referencePath } from './reference-vectors.ts';

/** Copies a variant into `folder`, which is made, without its vectors. */
export async function copyTrainable(variant: ReferenceVariant, folder: string): Promise<void> {
  await cp(referencePath(variant, '.'), folder, {
    recursive: true,
    filter: (source) => path.basename(source) !== 'expected',
  });
  const file = path.join(folder, 'checkpoints/STAR-tiny.pt');
  await using checkpoint = await openCheckpoint(file);
  const tensors: TensorToWrite[] = [];
  for (const { name, dtype, shape } of checkpoint.entries.values()) {
    tensors.push({ name, dtype, shape, data: (await checkpoint.read(name)).data });
  }
  await writeSafetensors(path.join(folder, 'checkpoints/STAR-tiny.safetensors'), tensors);
  await rm(file);
}
