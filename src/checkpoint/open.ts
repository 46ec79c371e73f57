import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asCheckpointError, openFile, readBytes } from './byte-source.ts';
import { CheckpointError, quote } from './error.ts';
import { maximumHeaderLength, openSafetensors } from './safetensors.ts';
import { openSafetensorsIndex } from './safetensors-index.ts';
import type { Checkpoint } from './source.ts';
import { openTorchCheckpoint, type TorchOptions } from './torch.ts';

/** What the folders of Hugging Face and of diffusers call their weights. */
const folderNames = [
  'model.safetensors',
  'model.safetensors.index.json',
  'diffusion_pytorch_model.safetensors',
  'diffusion_pytorch_model.safetensors.index.json',
];

/**
 * Opens a checkpoint of any kind that is read here: a safetensors file, an index of several, a PyTorch archive, or a
 * Hugging Face or diffusers folder.
 *
 * The kind is told by the first bytes; the file's name does not matter.
 */
export async function openCheckpoint(path: string, options: TorchOptions = {}): Promise<Checkpoint> {
  const file = (await isFolder(path)) ? await findInFolder(path) : path;
  switch (await sniff(file)) {
    case 'safetensors':
      return openSafetensors(file);
    case 'index':
      return openSafetensorsIndex(file);
    case 'pytorch':
      return openTorchCheckpoint(file, options);
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw asCheckpointError(error, path);
  }
}

async function findInFolder(folder: string): Promise<string> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw asCheckpointError(error, folder);
  }
  const found = folderNames.filter((name) => names.includes(name));
  if (found.length === 1) return join(folder, found[0]!);
  const reason =
    found.length === 0
      ? `holds no weights: expected one of ${folderNames.map(quote).join(', ')}`
      : `holds ${found.map(quote).join(' and ')}: name the file that is meant`;
  throw new CheckpointError(reason, { file: folder, code: 'checkpoint_not_found' });
}

async function sniff(file: string): Promise<'safetensors' | 'index' | 'pytorch'> {
  await using source = await openFile(file);
  const start = await readBytes(source, 0, Math.min(64, source.size));
  const refuse = (reason: string): never => {
    throw new CheckpointError(reason, { file, byteOffset: 0, code: 'checkpoint_unsupported' });
  };
  // A header length that safetensors allows, and JSON behind it. No other kind has five zero bytes so early.
  if (start.length >= 9) {
    const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
    if (length <= BigInt(maximumHeaderLength) && startsJson(start.subarray(8))) return 'safetensors';
  }
  const text = Buffer.from(start).toString('latin1');
  // A bare pickle (0x80) goes to the PyTorch reader too, which says why it is refused.
  if (text.startsWith('PK\x03\x04') || start[0] === 0x80) return 'pytorch';
  if (startsJson(start)) return 'index';
  if (text.startsWith('GGUF')) return refuse('is a GGUF file, which is not read here; take the safetensors files');
  if (text.startsWith('version https://git-lfs'))
    return refuse('is a Git LFS pointer, not the weights: fetch them first');
  return refuse('is no kind of checkpoint that is read here: expected safetensors, its index, or a PyTorch archive');
}

/** True if an opening brace comes first, after JSON's white space. */
function startsJson(bytes: Uint8Array): boolean {
  return /^[ \t\r\n]*\{/.test(Buffer.from(bytes).toString('latin1'));
}
