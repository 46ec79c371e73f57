/** The vision encoder as a program, and what it is fed for one image. */
import { maskedScore } from '../../nn/attention.ts';
import { type Declare, within } from '../../nn/parameters.ts';
import { type CompiledProgram, compile, input, type TensorValue } from '../../tensor/index.ts';
import type { Qwen25VLVisionConfig } from './config.ts';
import type { GridThw } from './positions.ts';
import { declareVisionEncoder, visionEncoder } from './vision-encoder.ts';
import { visionLayout } from './vision-layout.ts';

/** Gives `embeddings [tokens, outHiddenSize]` of one image. */
export function compileVisionEncoder(declare: Declare, config: Qwen25VLVisionConfig): CompiledProgram {
  const { inChannels, temporalPatchSize, patchSize, headDim } = config;
  const count = `${config.spatialMergeSize ** 2}*tokens`;
  const patches = input('patches', 'float32', [count, inChannels * temporalPatchSize * patchSize ** 2]);
  const placement = {
    rotary: {
      cosine: input('cosine', 'float32', [count, headDim / 2]),
      sine: input('sine', 'float32', [count, headDim / 2]),
      positions: input('positions', 'int64', [1, count]),
    },
    windowPatches: input('window_patches', 'int64', ['windows', 'places']),
    windowMask: input('window_mask', 'float32', ['windows', 1, 1, 'places']),
    patchPlaces: input('patch_places', 'int64', [count]),
    tokenOrder: input('token_order', 'int64', ['tokens']),
  };
  const embeddings = visionEncoder(
    patches,
    declareVisionEncoder(within(declare, 'llm.visual'), config),
    config,
    placement,
  );
  const { rotary, ...rest } = placement;
  return compile({
    name: 'vision encoder',
    inputs: [patches, ...Object.values(rotary), ...Object.values(rest)],
    outputs: { embeddings },
  });
}

/** Inputs of the program for the image processor's `pixelValues [patches, …]` (in reading order of merge blocks). */
export function visionFeeds(
  pixelValues: TensorValue,
  grid: GridThw,
  config: Qwen25VLVisionConfig,
): Record<string, TensorValue> {
  const { order, ...placement } = visionPlacement([grid], config);
  return { patches: reorderPatches(pixelValues, order), ...placement };
}

/** Patches `[patches, …]` in reading order of merge blocks to window order, as `visionPlacement` gives it. */
export function reorderPatches({ data, shape }: TensorValue, order: Int32Array): TensorValue {
  return reorder(data as Float32Array, order, shape[1]!);
}

/**
 * Where the patches of images lie: the program's inputs but for the patches themselves, and `order [patches]`, the patch
 * in reading order that stands at each place of window order.
 */
export function visionPlacement(grids: readonly GridThw[], config: Qwen25VLVisionConfig) {
  const layout = visionLayout(grids, config);
  const merge = config.spatialMergeSize ** 2;
  const order = new Int32Array(layout.patches);
  layout.windowIndex.forEach((block, place) => {
    for (let part = 0; part < merge; part++) order[place * merge + part] = block * merge + part;
  });
  const places = Math.max(...layout.windowLengths);
  const windows = layout.windowLengths.length;
  const windowPatches = new BigInt64Array(windows * places);
  const windowMask = new Float32Array(windows * places).fill(maskedScore);
  const patchPlaces = new BigInt64Array(layout.patches);
  let patch = 0;
  layout.windowLengths.forEach((length, window) => {
    for (let place = 0; place < length; place++, patch++) {
      windowPatches[window * places + place] = BigInt(patch);
      windowMask[window * places + place] = 0;
      patchPlaces[patch] = BigInt(window * places + place);
    }
  });
  const half = config.headDim / 2;
  return {
    order,
    cosine: reorder(layout.rotary.cos, order, half),
    sine: reorder(layout.rotary.sin, order, half),
    positions: int64(
      [1, layout.patches],
      BigInt64Array.from({ length: layout.patches }, (_, index) => BigInt(index)),
    ),
    window_patches: int64([windows, places], windowPatches),
    window_mask: { dtype: 'float32' as const, shape: [windows, 1, 1, places], data: windowMask },
    patch_places: int64([layout.patches], patchPlaces),
    token_order: int64(
      [layout.tokens],
      BigInt64Array.from(layout.inverseWindowIndex, (index) => BigInt(index)),
    ),
  };
}

function int64(shape: readonly number[], data: BigInt64Array): TensorValue {
  return { dtype: 'int64', shape, data };
}

function reorder(rows: Float32Array, order: Int32Array, width: number): TensorValue {
  const data = new Float32Array(rows.length);
  order.forEach((from, to) => {
    data.set(rows.subarray(from * width, (from + 1) * width), to * width);
  });
  return { dtype: 'float32', shape: [order.length, width], data };
}
