/** A loaded model: its folder, its weights, and the sessions of its programs, which load when first needed. */
import { readFile } from 'node:fs/promises';
import type { ChatFormat } from '../models/qwen25vl/chat.ts';
import { loadChatFormat, loadTokenizer } from '../models/qwen25vl/folder.ts';
import type { ImageProcessorConfig } from '../models/qwen25vl/image-processor.ts';
import { parseImageProcessorConfig } from '../models/qwen25vl/image-processor-config.ts';
import { compileVisionEncoder } from '../models/qwen25vl/vision-program.ts';
import { cacheNames, compileEngine } from '../models/star/engine.ts';
import { type ModelFolder, openModelFolder } from '../models/star/folder.ts';
import { openStarWeights, type StarWeights } from '../models/star/weights.ts';
import { compileVqDecoder, compileVqEncoder } from '../models/vq/programs.ts';
import { Runtime, type RuntimeOptions } from '../runtime/runtime.ts';
import type { Session } from '../runtime/session.ts';
import { SessionCache } from '../runtime/session-cache.ts';
import type { CompiledProgram } from '../tensor/index.ts';
import { modelPlace } from './packaged-model.ts';

export interface LoadOptions extends RuntimeOptions {
  /** Compile the engine so that it also gives logits and prompt embeddings, for checking. Default false. */
  readonly trace?: boolean;
  /**
   * Keep the programs of the diffusion decoder loaded between pictures, for each resolution that was drawn: no loading for
   * the next picture, but text encoder, transformer and autoencoder are in memory together. Default false.
   */
  readonly keepDecoder?: boolean;
}

/** The programs of a model. */
export type ProgramName = 'engine' | 'visionEncoder' | 'vqEncoder' | 'vqDecoder';

export class StarModel implements AsyncDisposable {
  readonly folder: ModelFolder;
  readonly weights: StarWeights;
  readonly chat: ChatFormat;
  readonly imageProcessor: ImageProcessorConfig;
  readonly runtime: Runtime;
  readonly trace: boolean;
  readonly keepDecoder: boolean;
  /** Names of all key-value caches, the base's first. */
  readonly cacheNames: readonly string[];
  readonly #sessions = new SessionCache<ProgramName>();

  private constructor(
    parts: Pick<StarModel, 'folder' | 'weights' | 'chat' | 'imageProcessor' | 'runtime' | 'trace' | 'keepDecoder'>,
  ) {
    this.folder = parts.folder;
    this.weights = parts.weights;
    this.chat = parts.chat;
    this.imageProcessor = parts.imageProcessor;
    this.runtime = parts.runtime;
    this.trace = parts.trace;
    this.keepDecoder = parts.keepDecoder;
    const names = cacheNames(this.folder.star, this.folder.qwen);
    this.cacheNames = [...names.base, ...names.stack];
  }

  /**
   * Opens a model folder in the published layout, or the package's own by name (`nano`), and starts a runtime; nothing
   * large is in memory yet.
   */
  static async open(
    path: string,
    { trace = false, keepDecoder = false, ...options }: LoadOptions = {},
  ): Promise<StarModel> {
    const folder = await openModelFolder(modelPlace(path));
    const tokenizer = await loadTokenizer(folder.languageModelFolder);
    const chat = await loadChatFormat(folder.languageModelFolder, tokenizer);
    const file = folder.preprocessorFile;
    const imageProcessor = parseImageProcessorConfig(JSON.parse(await readFile(file, 'utf8')), file);
    const weights = await openStarWeights(folder);
    const runtime = await Runtime.create(options);
    return new StarModel({ folder, weights, chat, imageProcessor, runtime, trace, keepDecoder });
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
