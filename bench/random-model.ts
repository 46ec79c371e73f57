/** A STAR model of given shapes with random weights in a temporary folder, for benchmarks. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openSafetensors } from '../src/checkpoint/open.ts';
import { writeSafetensors } from '../src/checkpoint/safetensors-writer.ts';
import type { Qwen25VLConfig } from '../src/models/qwen25vl/config.ts';
import type { StarConfig } from '../src/models/star/config.ts';
import { type Declare, parameterShapes } from '../src/nn/parameters.ts';
import { weight } from '../src/tensor/index.ts';
import { normal } from '../src/tensor/random.ts';

/** The keys of a shapes file, as `torch_peer.py` reads them. */
export interface BenchShapes {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly vocab_size: number;
  readonly stacked_layers: number;
  readonly codebook_size: number;
  readonly codebook_dim: number;
  readonly image_tokens: number;
  readonly prompt_tokens: number;
}

export function readShapes(file: string): BenchShapes {
  return JSON.parse(readFileSync(file, 'utf8')) as BenchShapes;
}

/** Configurations of the shapes; the vision encoder and the tokenizer's convolutions take no part in a benchmark. */
export function benchConfigs(shapes: BenchShapes): { star: StarConfig; qwen: Qwen25VLConfig } {
  const headDim = shapes.hidden_size / shapes.num_attention_heads;
  const side = Math.floor(((headDim / 2) * 3) / 8);
  const gridSize = Math.sqrt(shapes.image_tokens);
  const qwen: Qwen25VLConfig = {
    text: {
      hiddenSize: shapes.hidden_size,
      intermediateSize: shapes.intermediate_size,
      layers: shapes.num_hidden_layers,
      heads: shapes.num_attention_heads,
      keyValueHeads: shapes.num_key_value_heads,
      headDim,
      vocabSize: shapes.vocab_size,
      rmsNormEps: 1e-6,
      ropeTheta: 1e6,
      mropeSection: [headDim / 2 - 2 * side, side, side],
      tieWordEmbeddings: true,
      maxPositionEmbeddings: 32_768,
    },
    vision: {
      depth: 1,
      hiddenSize: 32,
      intermediateSize: 32,
      heads: 2,
      headDim: 16,
      inChannels: 3,
      outHiddenSize: shapes.hidden_size,
      patchSize: 14,
      spatialMergeSize: 2,
      temporalPatchSize: 2,
      windowSize: 112,
      fullAttentionBlocks: [],
      hiddenAct: 'silu',
      ropeTheta: 1e4,
    },
    tokens: { imageToken: 0, videoToken: 1, visionStart: 2, visionEnd: 3 },
    dtype: 'float32',
  };
  const star: StarConfig = {
    modelName: 'benchmark',
    languageModel: { path: '' },
    reasoningSuffix: '',
    pixelEncoder: {
      path: undefined,
      codebookSize: shapes.codebook_size,
      codebookDim: shapes.codebook_dim,
      numTokens: shapes.image_tokens,
      gridSize,
      downsampling: 1,
      imageSize: gridSize,
      heads: 1,
      ch: 32,
      chMult: [1],
      zChannels: 32,
      resBlocks: 1,
      normGroups: 32,
      l2Norm: false,
      commitLossBeta: 0.25,
    },
    pixelAdapter: { depth: 2, inputDim: shapes.codebook_dim, hiddenSize: shapes.hidden_size },
    stackedAr: [{ numLayers: shapes.stacked_layers, tasks: ['generate', 'edit'] }],
    outputHead: { codes: shapes.codebook_size, hiddenSize: shapes.hidden_size },
    pixelDecoder: undefined,
    sampling: { generate: {}, edit: {} },
  };
  return { star, qwen };
}

export interface RandomWeights extends AsyncDisposable {
  readonly declare: Declare;
  /** Folder that the weights' locations are relative to. */
  readonly folder: string;
  readonly parameters: number;
}

/** Writes normal weights (deviation 0.02; norms 1) for everything that `build` declares to a temporary float32 file. */
export async function randomWeights(build: (declare: Declare) => unknown): Promise<RandomWeights> {
  const folder = await mkdtemp(path.join(tmpdir(), 'starstack-bench-'));
  const shapes = parameterShapes(build);
  const file = path.join(folder, 'weights.safetensors');
  // One block of noise serves all tensors: only its distribution matters here.
  const noise = Float32Array.from({ length: 1 << 16 }, (_, index) => 0.02 * normal(1, 0, index));
  let parameters = 0;
  const tensors = [...shapes].map(([name, shape]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    parameters += count;
    const fill = () => {
      const data = new Float32Array(count);
      if (name.includes('norm')) return data.fill(1);
      for (let start = 0; start < count; start += noise.length) data.set(noise.subarray(0, count - start), start);
      return data;
    };
    return { name, dtype: 'float32' as const, shape, data: fill };
  });
  await writeSafetensors(file, tensors);
  await using checkpoint = await openSafetensors(file);
  const declare: Declare = (name, shape) => {
    const entry = checkpoint.entries.get(name);
    if (!entry) throw new Error(`benchmark weights lack ${name}`);
    const location = { file: 'weights.safetensors', offset: entry.offset, byteLength: entry.byteLength };
    return weight(name, 'float32', shape, location);
  };
  return {
    declare,
    folder,
    parameters,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
