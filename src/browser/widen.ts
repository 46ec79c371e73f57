/**
 * Weights as float32, for WebGPU: ONNX Runtime's WebGPU build for the web (1.30) has no kernel that casts from bfloat16, on
 * neither of its devices, and refuses a program with such weights ("Provider type for Cast node is not set"). Delete this
 * file when it has one.
 */
import type { TensorEntry } from '../checkpoint/entry.ts';
import { fileWeights, WeightReader } from '../models/file-weights.ts';
import type { StarWeights } from '../models/star/weights.ts';

export interface WidenedWeights {
  readonly weights: StarWeights;
  /** The file that the programs' weight locations name. */
  readonly files: ReadonlyMap<string, Blob>;
}

const fileName = 'weights.float32';

/** Copies all weights into one file of float32; twice the bytes of bfloat16. */
export async function widenWeights(weights: StarWeights): Promise<WidenedWeights> {
  const { files, folder } = weights;
  const file = files.join(folder, fileName);
  const entries = new Map<string, TensorEntry>();
  const pieces: BlobPart[] = [];
  let offset = 0;
  await using reader = new WeightReader(weights);
  for (const [name, { shape }] of weights.entries) {
    const values = await reader.read(name);
    pieces.push(values as Float32Array<ArrayBuffer>);
    entries.set(name, { name, dtype: 'float32', shape, file, offset, byteLength: values.byteLength });
    offset += values.byteLength;
  }
  const { declare } = await fileWeights(entries, [], { files, folder });
  return { weights: { ...weights, declare }, files: new Map([[fileName, new Blob(pieces)]]) };
}
