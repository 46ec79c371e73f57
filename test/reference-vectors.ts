/** The ground-truth vectors of `test/reference`, for tests. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The tiny models that have vectors. */
export const referenceVariants = ['tiny-a', 'tiny-b'] as const;
export type ReferenceVariant = (typeof referenceVariants)[number];

export interface ReferenceTensor {
  readonly shape: number[];
  readonly data: Float32Array | Int32Array;
}

/** The absolute path of a file or folder of a variant, as in `referencePath('tiny-a', 'expected/image.png')`. */
export function referencePath(variant: ReferenceVariant, path: string): string {
  return fileURLToPath(new URL(`./reference/${variant}/${path}`, import.meta.url));
}

/** The parsed `expected/meta.json` of a variant: prompts, strings and settings. */
export function readReferenceMeta(variant: ReferenceVariant): Record<string, unknown> {
  return JSON.parse(readFileSync(referencePath(variant, 'expected/meta.json'), 'utf8')) as Record<string, unknown>;
}

/**
 * The tensors of `expected/<name>.safetensors` by name; float32 and int32 only, since the vectors hold nothing else.
 * A reader of its own, so that a fault of `src/checkpoint` cannot hide in both sides of a comparison.
 */
export function readReference(variant: ReferenceVariant, name: string): Record<string, ReferenceTensor> {
  const path = referencePath(variant, `expected/${name}.safetensors`);
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors: Record<string, ReferenceTensor> = {};
  for (const [key, entry] of Object.entries(header)) {
    if (key === '__metadata__') continue;
    const [start, end] = entry.data_offsets.map((offset) => 8 + headerBytes + offset) as [number, number];
    const count = entry.shape.reduce((product, size) => product * size, 1);
    if (end > bytes.length || end - start !== count * 4) throw new Error(`${path}: ${key} lies outside of the file`);
    // A copy: offsets are not aligned to 4 bytes.
    const buffer = new Uint8Array(bytes.subarray(start, end)).buffer;
    if (entry.dtype === 'F32') tensors[key] = { shape: entry.shape, data: new Float32Array(buffer) };
    else if (entry.dtype === 'I32') tensors[key] = { shape: entry.shape, data: new Int32Array(buffer) };
    else throw new Error(`${path}: ${key} is ${entry.dtype}, expected F32 or I32`);
  }
  return tensors;
}
