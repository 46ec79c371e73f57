/** Data of the alignment stage, made of pictures and captions by the frozen parts of the model. */
import type { RgbImage } from '../../image/rgb-image.ts';
import { captionFeeds, tokenizeCaption } from '../../models/lumina2/gemma2-prompt.ts';
import { zeroLatents } from '../../models/lumina2/vae-programs.ts';
import { vqPixelValues } from '../../models/vq/image-transform.ts';
import { codeEmbeddings, declareCodebook } from '../../models/vq/tokenizer.ts';
import { within } from '../../nn/parameters.ts';
import type { Session } from '../../runtime/session.ts';
import { SessionCache } from '../../runtime/session-cache.ts';
import {
  captionTokensFor,
  type DiffusionDecoder,
  type DiffusionProgram,
  type DiffusionSizes,
  loadProgram,
} from '../../tasks/diffusion-decoder.ts';
import type { StarModel } from '../../tasks/star-model.ts';
import { float32, int64 } from '../../tasks/token-loop.ts';
import { compile, input, type TensorValue } from '../../tensor/index.ts';
import { sampleNoise, sampleNumber, type ToldConditions } from './alignment-chance.ts';
import type { CaptionedPicture } from './generation-task.ts';
import type { EditedPicture } from './instruction-task.ts';
import { PictureCodes } from './picture-codes.ts';

export type AlignmentSample = EditedPicture | CaptionedPicture;

/** A sample as it is shown in one step. */
export interface ShownSample {
  readonly sample: AlignmentSample;
  readonly told: ToldConditions;
  /** Noise level, 0 to 1. */
  readonly sigma: number;
}

/** Programs load when first used, and stay. */
export class AlignmentFeeds {
  readonly #model: StarModel;
  readonly #decoder: DiffusionDecoder;
  readonly #sizes: DiffusionSizes;
  readonly #seed: number;
  readonly #codes: PictureCodes;
  readonly #sessions = new SessionCache();

  constructor(model: StarModel, decoder: DiffusionDecoder, sizes: DiffusionSizes, seed: number) {
    this.#model = model;
    this.#decoder = decoder;
    this.#sizes = sizes;
    this.#seed = seed;
    this.#codes = new PictureCodes(model);
  }

  /** What the stage reads, for a batch of these samples. */
  async of(shown: readonly ShownSample[]): Promise<Record<string, TensorValue>> {
    const { latentChannels, downsampling } = this.#decoder.vae.config;
    const side = this.#sizes.resolution / downsampling;
    const shape = [shown.length, latentChannels, side, side];
    const each = latentChannels * side ** 2;
    const [latents, noise, sources] = [zeroLatents(shape), zeroLatents(shape), zeroLatents(shape)];
    // Chance and pixels need no session: they are ready before the step that is running lets go of it.
    const encoded = shown.flatMap(({ sample, told }, row) => {
      const number = sampleNumber(sample.index, 'source' in sample);
      const chance = (use: 'latents' | 'source' | 'noise') => sampleNoise(shape, this.#seed, number, use);
      const feeds = (image: RgbImage, use: 'latents' | 'source') => ({
        picture: vqPixelValues(image, this.#sizes.resolution),
        noise: chance(use),
      });
      noise.data.set(chance('noise').data, row * each);
      const target = { to: latents.data.subarray(row * each), feeds: feeds(sample.image, 'latents') };
      if (!('source' in sample) || !told.source) return [target];
      return [target, { to: sources.data.subarray(row * each), feeds: feeds(sample.source, 'source') }];
    });
    const encoder = await this.#program('vae encoder');
    for (const { to, feeds } of encoded) {
      // One picture a run: its latents do not depend on the batch, nor does the memory.
      const result = await encoder.run(feeds, { outputs: ['latents'] });
      to.set((result.latents as TensorValue).data as Float32Array);
    }
    return {
      latents,
      noise,
      source_latents: sources,
      sigma: float32(
        [shown.length],
        shown.map(({ sigma }) => sigma),
      ),
      code_embeddings: await this.#embeddings(shown),
      ...(await this.#captions(shown)),
    };
  }

  #program(name: DiffusionProgram): Promise<Session> {
    return this.#sessions.get(
      name,
      async () => (await loadProgram(this.#model, this.#decoder, name, this.#sizes)).session,
    );
  }

  /** `[batch, places, codebookDim]`; zeros where a sample is told no codes. */
  async #embeddings(shown: readonly ShownSample[]): Promise<TensorValue> {
    const { pixelEncoder } = this.#model.folder.star;
    const { numTokens, codebookDim } = pixelEncoder;
    const all = zeroLatents([shown.length, numTokens, codebookDim]);
    const rows = shown.flatMap(({ told }, row) => (told.codes ? [row] : []));
    if (rows.length === 0) return all;
    const codes = await this.#codes.of(rows.map((row) => shown[row]!.sample.image));
    const session = await this.#sessions.get('code embeddings', () => {
      const { declare, folder } = this.#model.weights;
      const given = input('codes', 'int64', ['pictures', numTokens]);
      const codebook = declareCodebook(within(declare, 'pixel_encoder'), pixelEncoder);
      const embeddings = codeEmbeddings(given, codebook, pixelEncoder);
      const program = compile({ name: 'code embeddings', inputs: [given], outputs: { embeddings } });
      return this.#model.runtime.load(program, { weightsFolder: folder });
    });
    const { embeddings } = await session.run({ codes: int64([rows.length, numTokens], codes.flat()) });
    const values = (embeddings as TensorValue).data as Float32Array;
    const each = numTokens * codebookDim;
    rows.forEach((row, at) => {
      all.data.set(values.subarray(at * each, (at + 1) * each), row * each);
    });
    return all;
  }

  /** The captions in their frame, or the empty text where a sample is told none, as the pipeline encodes them. */
  async #captions(shown: readonly ShownSample[]): Promise<Record<'caption' | 'caption_mask', TensorValue>> {
    const decoder = this.#decoder;
    const feeds = captionFeeds(
      shown.map(({ sample, told }) => {
        const text = 'caption' in sample ? sample.caption : sample.instruction;
        const { captionTokens } = this.#sizes;
        return told.caption
          ? captionTokensFor(decoder, text, captionTokens)
          : tokenizeCaption('', decoder.tokenizer, captionTokens);
      }),
    );
    const { states } = await (await this.#program('text encoder')).run(feeds);
    return { caption: states as TensorValue, caption_mask: feeds.mask };
  }
}
