/**
 * Where the output head starts before the generation stage: a random projection of the codebook. Rows of codes that look
 * alike are alike from the first step, so what is learned of one code holds for those near it.
 */
import { codebookName } from '../../models/vq/tokenizer.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { startValue } from './start-value.ts';

/** `[codes, hidden]`, as large as the start of a new model: code embeddings of unit length times normal numbers. */
export async function headFromCodebook(
  { folder, weights }: Pick<StarModel, 'folder' | 'weights'>,
  [codes, hidden]: readonly number[],
  seed: number,
): Promise<Float32Array> {
  const embedding = await weights.read(`pixel_encoder.${codebookName}`);
  const dim = embedding.length / codes!;
  const projection = startValue('pixel_output_head.codebook', [dim, hidden!], folder, seed);
  const mean = new Float64Array(dim);
  embedding.forEach((value, at) => {
    mean[at % dim]! += value / codes!;
  });
  let square = 0;
  embedding.forEach((value, at) => {
    square += (value - mean[at % dim]!) ** 2;
  });
  const length = Math.sqrt(square / codes!) || 1;
  const head = new Float32Array(codes! * hidden!);
  for (let code = 0; code < codes!; code++) {
    for (let axis = 0; axis < dim; axis++) {
      const value = (embedding[code * dim + axis]! - mean[axis]!) / length;
      for (let at = 0; at < hidden!; at++) head[code * hidden! + at]! += value * projection[axis * hidden! + at]!;
    }
  }
  return head;
}
