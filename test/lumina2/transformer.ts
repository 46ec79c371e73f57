/** The diffusion transformers of the tiny models, for tests. */

import { readFileSync } from 'node:fs';
import { nodeFiles } from '../../src/checkpoint/node-files.ts';
import { openLumina2Folder } from '../../src/models/lumina2/folder.ts';
import { declareLuminaTransformer } from '../../src/models/lumina2/transformer.ts';
import { parseLuminaTransformerConfig } from '../../src/models/lumina2/transformer-config.ts';
import { openPartWeights, overlayPrefixes } from '../../src/models/lumina2/weights.ts';
import { openModelFolder } from '../../src/models/star/folder.ts';
import type { TensorValue } from '../../src/tensor/index.ts';
import { type ReferenceTensor, type ReferenceVariant, referencePath } from '../reference-vectors.ts';

/** STAR's transformer, or Lumina itself from the diffusers folder alone. */
export async function openTransformer(variant: ReferenceVariant, kind: 'star' | 'lumina' = 'star') {
  const model = await openModelFolder(referencePath(variant, '.'));
  const { folder } = model.pixelDecoder!;
  const { transformer } = await openLumina2Folder(nodeFiles, folder);
  const config = parseLuminaTransformerConfig(
    JSON.parse(readFileSync(transformer.configFile, 'utf8')),
    transformer.configFile,
  );
  const { pixelEncoder } = model.star;
  const codeChannels = kind === 'star' ? pixelEncoder.codebookDim : 0;
  const overlay = { file: model.checkpointFile, prefix: overlayPrefixes.transformer };
  const weights = await openPartWeights(
    transformer,
    (declare) => declareLuminaTransformer(declare, config, { codeChannels }),
    kind === 'star' ? { files: nodeFiles, folder: model.folder, overlay } : { files: nodeFiles, folder: model.folder },
  );
  return { config, pixelEncoder, codeChannels, weights };
}

export const float32 = ({ shape, data }: ReferenceTensor): TensorValue => ({ dtype: 'float32', shape, data });

export function zeros(shape: readonly number[]): TensorValue {
  return { dtype: 'float32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
}

/** A caption mask: so many tokens of each row, then padding. */
export function maskOf(lengths: readonly number[], tokens: number): TensorValue {
  const data = lengths.flatMap((length) => Array.from({ length: tokens }, (_, at) => (at < length ? 1n : 0n)));
  return { dtype: 'int64', shape: [lengths.length, tokens], data: BigInt64Array.from(data) };
}

/** One row of a batch, of its tokens the first few where it has tokens. */
export function row({ dtype, shape, data }: TensorValue, index: number, tokens?: number): TensorValue {
  const size = data.length / shape[0]!;
  const kept = tokens === undefined ? size : (size / shape[1]!) * tokens;
  const start = index * size;
  const rest = tokens === undefined ? shape.slice(1) : [tokens, ...shape.slice(2)];
  return { dtype, shape: [1, ...rest], data: data.slice(start, start + kept) } as TensorValue;
}

/** Largest difference of two arrays of one length; NaN where an element is none. */
export function furthest(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  // Unlike a comparison, Math.max passes NaN on.
  return Array.from(expected, (value, at) => Math.abs(value - actual[at]!)).reduce((a, b) => Math.max(a, b), 0);
}
