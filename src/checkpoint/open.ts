/** Checkpoints on the disk of Node; `open-in.ts` opens them from any place of files. */
import type { TensorValue } from '../tensor/value.ts';
import type { TensorEntry } from './entry.ts';
import { nodeFiles } from './node-files.ts';
import { openCheckpointIn } from './open-in.ts';
import { openSafetensorsIn } from './safetensors.ts';
import { openSafetensorsIndexIn } from './safetensors-index.ts';
import { type Checkpoint, readTensor } from './source.ts';
import { openTorchCheckpointIn, type TorchOptions } from './torch.ts';

/** Opens a checkpoint of any kind that is read here. See `openCheckpointIn`. */
export function openCheckpoint(path: string, options?: TorchOptions): Promise<Checkpoint> {
  return openCheckpointIn(nodeFiles, path, options);
}

/** Opens one safetensors file. See `openSafetensorsIn`. */
export function openSafetensors(path: string): Promise<Checkpoint> {
  return openSafetensorsIn(nodeFiles, path);
}

/** Opens a sharded checkpoint by its index. See `openSafetensorsIndexIn`. */
export function openSafetensorsIndex(path: string): Promise<Checkpoint> {
  return openSafetensorsIndexIn(nodeFiles, path);
}

/** Opens a PyTorch checkpoint. See `openTorchCheckpointIn`. */
export function openTorchCheckpoint(path: string, options?: TorchOptions): Promise<Checkpoint> {
  return openTorchCheckpointIn(nodeFiles, path, options);
}

/**
 * Reads one tensor by an entry that was found before, without reading the file's list again, and closes the file: for many
 * tensors of a file that must not stay open, and that is known to be the same.
 */
export async function readEntry(entry: TensorEntry): Promise<TensorValue> {
  await using source = await nodeFiles.open(entry.file);
  return await readTensor(source, entry);
}
