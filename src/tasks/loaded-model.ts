/** A loaded model: its folder, its weights, and the sessions of its programs, which load when first needed. */
import type { PictureCodec } from '../image/codec.ts';
import { readJsonIn } from '../models/config-text.ts';
import type { ChatFormat } from '../models/qwen25vl/chat.ts';
import type { ImageProcessorConfig } from '../models/qwen25vl/image-processor.ts';
import { parseImageProcessorConfig } from '../models/qwen25vl/image-processor-config.ts';
import { loadChatFormatIn, loadTokenizerIn } from '../models/qwen25vl/text-folder.ts';
import { compileVisionEncoder } from '../models/qwen25vl/vision-program.ts';
import { cacheNames, compileEngine } from '../models/star/engine.ts';
import type { ModelFolder } from '../models/star/model-folder.ts';
import { openStarWeights, type StarWeights } from '../models/star/weights.ts';
import { compileVqDecoder, compileVqEncoder } from '../models/vq/programs.ts';
import type { Session } from '../runtime/session.ts';
import { SessionCache } from '../runtime/session-cache.ts';
import type { WorkerRuntime } from '../runtime/worker-runtime.ts';
import type { CompiledProgram } from '../tensor/index.ts';

/** The programs of a model. */
export type ProgramName = 'engine' | 'visionEncoder' | 'vqEncoder' | 'vqDecoder';

/** What does not depend on the platform that a model is opened on. */
export interface ModelOptions {
  /** Compile the engine so that it also gives logits and prompt embeddings, for checking. Default false. */
  readonly trace?: boolean | undefined;
  /**
   * Keep the programs of the diffusion decoder loaded between pictures, for each resolution that was drawn: no loading for
   * the next picture, but text encoder, transformer and autoencoder are in memory together. Default false.
   */
  readonly keepDecoder?: boolean | undefined;
}

/** What a model is opened with. */
export interface ModelParts extends ModelOptions {
  readonly folder: ModelFolder;
  readonly codec: PictureCodec;
  /** Starts the runtime, once the folder was found sound; gives the weights in a form that its device can use. */
  readonly start: (weights: StarWeights) => Promise<{ readonly runtime: WorkerRuntime; readonly weights: StarWeights }>;
}

export class LoadedModel implements AsyncDisposable {
  readonly folder: ModelFolder;
  readonly weights: StarWeights;
  readonly chat: ChatFormat;
  readonly imageProcessor: ImageProcessorConfig;
  readonly runtime: WorkerRuntime;
  readonly codec: PictureCodec;
  readonly trace: boolean;
  readonly keepDecoder: boolean;
  /** Names of all key-value caches, the base's first. */
  readonly cacheNames: readonly string[];
  readonly #sessions = new SessionCache<ProgramName>();

  protected constructor(parts: LoadedParts) {
    this.folder = parts.folder;
    this.weights = parts.weights;
    this.chat = parts.chat;
    this.imageProcessor = parts.imageProcessor;
    this.runtime = parts.runtime;
    this.codec = parts.codec;
    this.trace = parts.trace;
    this.keepDecoder = parts.keepDecoder;
    const names = cacheNames(this.folder.star, this.folder.qwen);
    this.cacheNames = [...names.base, ...names.stack];
  }

  /** Reads and checks all of a folder but its weights' bytes, and starts a runtime; nothing large is in memory yet. */
  static async assemble(parts: ModelParts): Promise<LoadedModel> {
    return new LoadedModel(await loadParts(parts));
  }

  /** The session of a program; the first call loads it. */
  session(name: ProgramName): Promise<Session> {
    return this.#sessions.get(name, () =>
      this.runtime.load(this.compile(name), { weightsFolder: this.weights.folder }),
    );
  }

  private compile(name: ProgramName): CompiledProgram {
    const { star, qwen } = this.folder;
    const { declare } = this.weights;
    const { pixelEncoder } = star;
    switch (name) {
      case 'engine':
        return compileEngine(declare, star, qwen, { logits: this.trace });
      case 'visionEncoder':
        return compileVisionEncoder(declare, qwen.vision);
      case 'vqEncoder':
        return compileVqEncoder(declare, pixelEncoder, pixelEncoder.imageSize);
      case 'vqDecoder':
        return compileVqDecoder(declare, pixelEncoder, pixelEncoder.gridSize);
    }
  }

  async dispose(): Promise<void> {
    await this.runtime.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

type LoadedParts = Pick<
  LoadedModel,
  'folder' | 'weights' | 'chat' | 'imageProcessor' | 'runtime' | 'codec' | 'trace' | 'keepDecoder'
>;

/** What `LoadedModel` is made of. */
export async function loadParts({ folder, codec, start, trace = false, keepDecoder = false }: ModelParts) {
  const { files, languageModelFolder, preprocessorFile } = folder;
  const tokenizer = await loadTokenizerIn(files, languageModelFolder);
  const chat = await loadChatFormatIn(files, languageModelFolder, tokenizer);
  const imageProcessor = parseImageProcessorConfig(await readJsonIn(files, preprocessorFile), preprocessorFile);
  const { runtime, weights } = await start(await openStarWeights(folder));
  return { folder, weights, chat, imageProcessor, runtime, codec, trace, keepDecoder };
}
