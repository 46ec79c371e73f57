/** Draws with a model whose stacks are in training: the engine with the present weights fed to it. */
import type { RgbImage } from '../../image/rgb-image.ts';
import { compileEngine } from '../../models/star/engine.ts';
import { buildGenerationPrompt } from '../../models/star/prompt.ts';
import type { RemoteTensor } from '../../runtime/index.ts';
import type { Session } from '../../runtime/session.ts';
import { guidedPrompt } from '../../tasks/generate.ts';
import { samplingOf } from '../../tasks/options.ts';
import { decodeCodes, toImages } from '../../tasks/pictures.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { type EnginePrompt, runTokens } from '../../tasks/token-loop.ts';
import { input } from '../../tensor/index.ts';
import type { Stage } from '../stage.ts';
import type { WeightAccess } from '../task.ts';

export interface PaintOptions {
  /** Of every picture. */
  readonly seed: number;
  readonly guidance: number;
  /** Runs through the stacks that are for editing. Default false. */
  readonly edit?: boolean;
}

export class TrainedPainter {
  readonly #model: StarModel;
  readonly #stage: Stage;
  #session: Promise<Session> | undefined;

  constructor(model: StarModel, stage: Stage) {
    this.#model = model;
    this.#stage = stage;
  }

  draw(weights: WeightAccess, prompts: readonly string[], options: PaintOptions): Promise<RgbImage[]> {
    const { chat } = this.#model;
    return this.drawPrompts(
      weights,
      prompts.map((prompt) => guidedPrompt(buildGenerationPrompt(chat, prompt))),
      options,
    );
  }

  /** One picture a prompt; top-k 1000 and top-p 0.8, as `generate` has it. */
  async drawPrompts(
    weights: WeightAccess,
    prompts: readonly EnginePrompt[],
    { seed, guidance, edit = false }: PaintOptions,
  ): Promise<RgbImage[]> {
    const model = this.#model;
    const { star, qwen } = model.folder;
    const { numTokens, gridSize, codebookSize } = star.pixelEncoder;
    const trained = [...this.#stage.trained].map(
      ([name, shape]) => [name, input(`weight.${name}`, 'float32', shape)] as const,
    );
    const fed = new Map(trained);
    this.#session ??= model.runtime.load(
      compileEngine((name, shape) => fed.get(name) ?? model.weights.declare(name, shape), star, qwen, {
        fedWeights: trained.map(([, tensor]) => tensor),
      }),
      { weightsFolder: model.weights.folder },
    );
    const session = await this.#session;
    const uploaded: Record<string, RemoteTensor> = {};
    try {
      for (const [name, shape] of this.#stage.trained) {
        uploaded[`weight.${name}`] = await model.runtime.upload({
          dtype: 'float32',
          shape,
          data: await weights.read(name),
        });
      }
      const codes: number[][] = [];
      for (const prompt of prompts) {
        const picture: number[] = [];
        const chunks = runTokens(model, session, {
          prompt,
          drawPicture: true,
          editPicture: edit,
          images: 1,
          seed,
          guidance,
          sampling: samplingOf({ temperature: 1, topK: 1000, topP: 0.8, repetitionPenalty: 1 }, codebookSize),
          maxTokens: numTokens,
          chunk: () => gridSize ** 2,
          stopTokens: [],
          weights: uploaded,
        });
        for await (const { tokens } of chunks) picture.push(...tokens.map(([token]) => token!));
        codes.push(picture);
      }
      return toImages(await decodeCodes(model, codes));
    } finally {
      await Promise.all(Object.values(uploaded).map((tensor) => tensor.dispose()));
    }
  }
}
