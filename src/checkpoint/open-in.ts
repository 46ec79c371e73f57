import { readBytes } from './byte-source.ts';
import { CheckpointError, quote } from './error.ts';
import { asCheckpointError, type Files } from './files.ts';
import { latin1 } from './latin1.ts';
import { maximumHeaderLength, openSafetensorsIn } from './safetensors.ts';
import { openSafetensorsIndexIn } from './safetensors-index.ts';
import type { Checkpoint } from './source.ts';
import { openTorchCheckpointIn, type TorchOptions } from './torch.ts';

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
export async function openCheckpointIn(files: Files, path: string, options: TorchOptions = {}): Promise<Checkpoint> {
  const file = (await isFolder(files, path)) ? await findInFolder(files, path) : path;
  switch (await sniff(files, file)) {
    case 'safetensors':
      return openSafetensorsIn(files, file);
    case 'index':
      return openSafetensorsIndexIn(files, file);
    case 'pytorch':
      return openTorchCheckpointIn(files, file, options);
  }
}

async function isFolder(files: Files, path: string): Promise<boolean> {
  try {
    const kind = await files.kindOf(path);
    if (kind !== undefined) return kind === 'folder';
  } catch (error) {
    throw asCheckpointError(error, path);
  }
  // Opening says what is wrong: nothing there, or nothing that can be read.
  return false;
}

async function findInFolder(files: Files, folder: string): Promise<string> {
  let names: string[];
  try {
    names = await files.list(folder);
  } catch (error) {
    throw asCheckpointError(error, folder);
  }
  const found = folderNames.filter((name) => names.includes(name));
  if (found.length === 1) return files.join(folder, found[0]!);
  const reason =
    found.length === 0
      ? `holds no weights: expected one of ${folderNames.map(quote).join(', ')}`
      : `holds ${found.map(quote).join(' and ')}: name the file that is meant`;
  throw new CheckpointError(reason, { file: folder, code: 'checkpoint_not_found' });
}

async function sniff(files: Files, file: string): Promise<'safetensors' | 'index' | 'pytorch'> {
  await using source = await files.open(file);
  const start = await readBytes(source, 0, Math.min(64, source.size));
  const refuse = (reason: string): never => {
    throw new CheckpointError(reason, { file, byteOffset: 0, code: 'checkpoint_unsupported' });
  };
  // A header length that safetensors allows, and JSON behind it. No other kind has five zero bytes so early.
  if (start.length >= 9) {
    const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
    if (length <= BigInt(maximumHeaderLength) && startsJson(start.subarray(8))) return 'safetensors';
  }
  const text = latin1(start);
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
  return /^[ \t\r\n]*\{/.test(latin1(bytes));
}
