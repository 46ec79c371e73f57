/** Data of the alignment stage, made of pictures and captions by the frozen parts of the model. */

import type { Float32TensorValue } from '../../checkpoint/source.ts';
import type { RgbImage } from '../../image/rgb-image.ts';
import { captionFeeds, tokenizeCaption } from '../../models/lumina2/gemma2-prompt.ts';
import { draftPicture, enlargedDraft } from '../../models/lumina2/star-inputs.ts';
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
import { compile, input, type Tensor, type TensorValue } from '../../tensor/index.ts';
import { sampleMisreading, sampleNoise, sampleNumber, type ToldConditions } from './alignment-chance.ts';
import type { CaptionedPicture } from './generation-task.ts';
import type { EditedPicture } from './instruction-task.ts';
import { MisreadCodes } from './misread-codes.ts';
import { PictureCodes } from './picture-codes.ts';

export type AlignmentSample = EditedPicture | CaptionedPicture;

/** A sample as it is shown in one step. */
export interface ShownSample {
  readonly sample: AlignmentSample;
  readonly told: ToldConditions;
  /** Noise level, 0 to 1. */
  readonly sigma: number;
}

/** Latents of a picture: drawn from the autoencoder's Gaussian, or its mode. */
export type LatentChoice = 'drawn' | 'mode';

export interface LatentChance {
  readonly seed: number;
  readonly latents: LatentChoice;
  /** Largest distance by which codes of edits are misread, as `Misreading` has it; 0: they are the tokenizer's. */
  readonly misreading: number;
}

/** Programs load when first used, and stay. */
export class AlignmentFeeds {
  readonly #model: StarModel;
  readonly #decoder: DiffusionDecoder;
  readonly #sizes: DiffusionSizes;
  readonly #chance: LatentChance;
  readonly #codes: PictureCodes;
  readonly #misread: MisreadCodes;
  readonly #sessions = new SessionCache();

  constructor(model: StarModel, decoder: DiffusionDecoder, sizes: DiffusionSizes, chance: LatentChance) {
    this.#model = model;
    this.#decoder = decoder;
    this.#sizes = sizes;
    this.#chance = chance;
    this.#codes = new PictureCodes(model);
    this.#misread = new MisreadCodes(model);
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
      const { seed, latents: choice } = this.#chance;
      const chance = (use: 'latents' | 'source' | 'noise') => sampleNoise(shape, seed, number, use);
      const feeds = (image: RgbImage, use: 'latents' | 'source') => ({
        picture: vqPixelValues(image, this.#sizes.resolution),
        noise: choice === 'drawn' ? chance(use) : zeroLatents([1, ...shape.slice(1)]),
      });
      noise.data.set(chance('noise').data, row * each);
      const target = { to: latents.data.subarray(row * each), feeds: feeds(sample.image, 'latents') };
      if (!('source' in sample) || !told.source) return [target];
      return [target, { to: sources.data.subarray(row * each), feeds: feeds(sample.source, 'source') }];
    });
    const encoder = await this.#program('vae encoder');
    // One picture a run: its latents do not depend on the batch, nor does the memory.
    const encode = async (to: Float32Array, feeds: Readonly<Record<string, TensorValue>>) => {
      const result = await encoder.run(feeds, { outputs: ['latents'] });
      to.set((result.latents as TensorValue).data as Float32Array);
    };
    for (const { to, feeds } of encoded) await encode(to, feeds);
    const { enlarged, ...told } = await this.#told(shown);
    const drafts = enlarged && zeroLatents(shape);
    for (const [row, { told: conditions }] of shown.entries()) {
      if (!drafts || !conditions.codes) continue;
      const draft = drafts.data.subarray(row * each, (row + 1) * each);
      await encode(draft, { picture: rowOf(enlarged, row), noise: zeroLatents([1, ...shape.slice(1)]) });
      if (!conditions.source) sources.data.set(draft, row * each);
    }
    return {
      latents,
      noise,
      source_latents: sources,
      ...(drafts ? { draft_latents: drafts } : {}),
      sigma: float32(
        [shown.length],
        shown.map(({ sigma }) => sigma),
      ),
      ...told,
      ...(await this.#captions(shown)),
    };
  }

  #program(name: DiffusionProgram): Promise<Session> {
    return this.#sessions.get(
      name,
      async () => (await loadProgram(this.#model, this.#decoder, name, this.#sizes)).session,
    );
  }

  /**
   * `code_embeddings [batch, places, codebookDim]` and, for a decoder that is told it, `draft [batch, 3, imageSize, imageSize]`; for one
   * of a relative output also `enlarged [batch, 3, resolution, resolution]`, the draft for the autoencoder. Zeros where
   * a sample is told no codes.
   */
  async #told(shown: readonly ShownSample[]): Promise<Record<string, Float32TensorValue>> {
    const { numTokens, codebookDim, imageSize } = this.#model.folder.star.pixelEncoder;
    const { draft, source } = this.#decoder.inputs;
    const pictures = (side: number) => zeroLatents([shown.length, 3, side, side]);
    const all: Record<string, Float32TensorValue> = {
      code_embeddings: zeroLatents([shown.length, numTokens, codebookDim]),
      ...(draft ? { draft: pictures(imageSize) } : {}),
      ...(source === 'reference' ? { enlarged: pictures(this.#sizes.resolution) } : {}),
    };
    const rows = shown.flatMap(({ told }, row) => (told.codes ? [row] : []));
    if (rows.length === 0) return all;
    const codes = await this.#codesOf(rows.map((row) => shown[row]!.sample));
    const session = await this.#sessions.get('told of codes', () => this.#loadTold());
    const results = await session.run({ codes: int64([rows.length, numTokens], codes.flat()) });
    for (const [name, { data, shape }] of Object.entries(all)) {
      const values = (results[name] as TensorValue).data as Float32Array;
      const each = data.length / shape[0]!;
      rows.forEach((row, at) => {
        data.set(values.subarray(at * each, (at + 1) * each), row * each);
      });
    }
    return all;
  }

  /** Codes of the samples' pictures, `[samples][places]`; an edit's as one may have drawn them. */
  async #codesOf(samples: readonly AlignmentSample[]): Promise<readonly (readonly number[])[]> {
    const { seed, misreading } = this.#chance;
    const codes = await this.#codes.of(samples.map(({ image }) => image));
    const edits = samples.flatMap((sample, at) => (misreading > 0 && 'source' in sample ? [at] : []));
    const misread = await this.#misread.of(
      edits.map((at) => codes[at]!),
      edits.map((at) => sampleMisreading(misreading, seed, sampleNumber(samples[at]!.index, true))),
    );
    for (const [row, at] of edits.entries()) codes[at] = misread[row]!;
    return codes;
  }

  #loadTold(): Promise<Session> {
    const { weights, folder, runtime } = this.#model;
    const { pixelEncoder } = folder.star;
    const codes = input('codes', 'int64', ['pictures', pixelEncoder.numTokens]);
    const declare = within(weights.declare, 'pixel_encoder');
    const embeddings = codeEmbeddings(codes, declareCodebook(declare, pixelEncoder), pixelEncoder);
    const { draft, source } = this.#decoder.inputs;
    const picture = draft ? draftPicture(declare, embeddings, pixelEncoder) : undefined;
    const outputs: Record<string, Tensor> = {
      code_embeddings: embeddings,
      ...(picture ? { draft: picture } : {}),
      ...(picture && source === 'reference' ? { enlarged: enlargedDraft(picture, this.#sizes.resolution) } : {}),
    };
    const program = compile({ name: 'told of codes', inputs: [codes], outputs });
    return runtime.load(program, { weightsFolder: weights.folder });
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

/** One sample of a batch, as a batch. */
function rowOf({ data, shape }: Float32TensorValue, row: number): TensorValue {
  const each = data.length / shape[0]!;
  return { dtype: 'float32', shape: [1, ...shape.slice(1)], data: data.subarray(row * each, (row + 1) * each) };
}
