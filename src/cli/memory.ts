/**
 * How much memory the tasks of a model need, from its shapes alone.
 *
 *     weights         = 4 bytes x parameters of every program that the task runs; a parameter that two programs use
 *                       counts twice, because each keeps its own
 *     cachePerToken   = rows x layers x 2 (key and value) x keyValueHeads x headDim x 4 bytes
 *     cacheLongest    = cachePerToken x context, for a prompt that with its drawn tokens fills the context
 *
 * Text has one row and the base's layers. Pictures have two rows (prompt and unconditional prompt) and the base's and the
 * stacks' layers; `--count n` multiplies rows by n. Activations, and the copy of the caches between two chunks of
 * tokens, come on top.
 */
import type { FileWeights } from '../models/file-weights.ts';
import { compileBaseCaptions } from '../models/lumina2/base-captions.ts';
import { compileVisionEncoder } from '../models/qwen25vl/vision-program.ts';
import { compileEngine } from '../models/star/engine.ts';
import { compileVqDecoder, compileVqEncoder } from '../models/vq/programs.ts';
import type { Declare } from '../nn/parameters.ts';
import { captionTokensOf, type DiffusionDecoder } from '../tasks/diffusion-decoder.ts';
import type { ProgramName, StarModel } from '../tasks/star-model.ts';

/** The programs that a task loads. */
const programsOf = {
  understand: ['engine', 'visionEncoder'],
  generate: ['engine', 'vqDecoder'],
  edit: ['engine', 'visionEncoder', 'vqEncoder', 'vqDecoder'],
} as const satisfies Record<string, readonly ProgramName[]>;

export type TaskName = keyof typeof programsOf;

/** Bytes, except for the names. */
export interface TaskMemory {
  readonly task: TaskName;
  readonly programs: readonly ProgramName[];
  readonly weights: number;
  readonly cachePerToken: number;
  readonly cacheLongest: number;
  /** `weights + cacheLongest`. */
  readonly total: number;
}

/** Estimates every task; see the head of this file for the formula. */
export function estimateMemory(model: Pick<StarModel, 'folder' | 'weights'>): TaskMemory[] {
  const { qwen, star } = model.folder;
  const { text } = qwen;
  const weightBytes = weightsOfPrograms(model);
  const stackLayers = star.stackedAr.reduce((sum, stack) => sum + stack.numLayers, 0);
  const perLayer = 2 * text.keyValueHeads * text.headDim * 4;
  return (Object.keys(programsOf) as TaskName[]).map((task) => {
    const programs = programsOf[task];
    const weights = programs.reduce((sum, program) => sum + weightBytes[program], 0);
    const cachePerToken = (task === 'understand' ? text.layers : 2 * (text.layers + stackLayers)) * perLayer;
    const cacheLongest = cachePerToken * text.maxPositionEmbeddings;
    return { task, programs, weights, cachePerToken, cacheLongest, total: weights + cacheLongest };
  });
}

/** Weights of the diffusion decoder's parts as float32, in bytes. One is in memory at a time, beside the task's. */
export interface DecoderMemory {
  readonly textEncoder: number;
  readonly transformer: number;
  readonly autoencoder: number;
  /** The largest of them, which comes on top of what generate or edit takes; activations come on top of that. */
  readonly atOnce: number;
}

export function estimateDecoderMemory(
  { folder, weights }: Pick<StarModel, 'folder' | 'weights'>,
  decoder: DiffusionDecoder,
): DecoderMemory {
  const { textEncoder: reader, transformer, vae } = decoder;
  const bytesOf = ({ entries }: FileWeights) => {
    const counts = [...entries.values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    return 4 * counts.reduce((a, b) => a + b, 0);
  };
  const parts = {
    textEncoder:
      reader.kind === 'gemma2'
        ? bytesOf(reader.weights)
        : declaredBytes(weights, (declare) => compileBaseCaptions(declare, folder.qwen, captionTokensOf(decoder))),
    transformer: bytesOf(transformer.weights),
    autoencoder: bytesOf(vae.weights),
  };
  return { ...parts, atOnce: Math.max(...Object.values(parts)) };
}

/** Bytes of the weights of each program as float32, counted while the program is traced: what it declares it holds. */
function weightsOfPrograms({ folder, weights }: Pick<StarModel, 'folder' | 'weights'>): Record<ProgramName, number> {
  const { star, qwen } = folder;
  const { pixelEncoder } = star;
  const count = (build: (declare: Declare) => unknown) => declaredBytes(weights, build);
  return {
    engine: count((declare) => compileEngine(declare, star, qwen)),
    visionEncoder: count((declare) => compileVisionEncoder(declare, qwen.vision)),
    vqEncoder: count((declare) => compileVqEncoder(declare, pixelEncoder, pixelEncoder.imageSize)),
    vqDecoder: count((declare) => compileVqDecoder(declare, pixelEncoder, pixelEncoder.gridSize)),
  };
}

function declaredBytes({ declare }: Pick<FileWeights, 'declare'>, build: (declare: Declare) => unknown): number {
  const sizes = new Map<string, number>();
  build((name, shape) => {
    sizes.set(name, 4 * shape.reduce((a, b) => a * b, 1));
    return declare(name, shape);
  });
  return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
}
