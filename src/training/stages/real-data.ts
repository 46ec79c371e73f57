/** What stages draw from real data: pictures with captions, and pairs of pictures with an instruction between them. */
import { MappedStream } from '../../data/mapped-stream.ts';
import { openEditPairs, openImageText } from '../../data/sources/open.ts';
import type { EditPairConfig, ImageTextConfig } from '../../data/sources/options.ts';
import type { Cursor, SampleStream, SkippedSample } from '../../data/stream.ts';
import type { CaptionedPicture, GenerationData } from './generation-task.ts';
import type { EditedPicture, InstructionData } from './instruction-task.ts';
import type { TokenizerData } from './tokenizer-task.ts';

/** Data to learn from, and data of the same kind that is held out of it. */
export interface Sources<Config> {
  readonly train: Config;
  readonly heldOut: Config;
}

/** Pictures are made square before they are coded; without a crop of their own they are cut in the middle. */
function squared<Config extends ImageTextConfig | EditPairConfig>(config: Config, size: number, seed: number): Config {
  return { ...config, seed: config.seed ?? seed, square: config.square ?? { size } };
}

async function first<Sample>(stream: SampleStream<Sample>, count: number): Promise<Sample[]> {
  await using opened = stream;
  return await opened.next(count);
}

export async function realPictures(
  { train, heldOut }: Sources<ImageTextConfig>,
  { seed, size, count }: { readonly seed: number; readonly size: number; readonly count: number },
): Promise<TokenizerData> {
  const open = (config: ImageTextConfig, cursor?: Cursor) =>
    MappedStream.open(
      (at) => openImageText(squared(config, size, seed), at),
      ({ image }) => image,
      cursor,
    );
  return {
    open: (cursor) => open(train, cursor),
    heldOut: await first(await open(heldOut), count),
    description: { train },
  };
}

/** Says why a text does not fit the program, or nothing. */
export type FitsProgram = (text: string) => string | undefined;

function captioned(
  config: ImageTextConfig,
  fits: FitsProgram,
  cursor?: Cursor,
): Promise<SampleStream<CaptionedPicture>> {
  return MappedStream.open(
    (at) => openImageText(config, at),
    ({ image, caption, source }, index): CaptionedPicture | { readonly skip: SkippedSample } => {
      const reason = fits(caption);
      return reason === undefined ? { index, image, caption } : { skip: { source, reason } };
    },
    cursor,
  );
}

export async function realCaptionedPictures(
  { train, heldOut }: Sources<ImageTextConfig>,
  options: { readonly seed: number; readonly size: number; readonly count: number; readonly fits: FitsProgram },
  prompts: readonly string[],
): Promise<GenerationData> {
  const { seed, size, count, fits } = options;
  const held = await first(await captioned(squared(heldOut, size, seed), fits), count);
  return {
    open: (cursor) => captioned(squared(train, size, seed), fits, cursor),
    heldOut: held,
    // Each picture with the caption of the next one.
    wrongCaptions: held.map((_, index) => held[(index + 1) % held.length]!.caption),
    prompts: [...prompts, ...held.map(({ caption }) => caption)].slice(0, 9),
    description: { train },
  };
}

export async function realInstructions(
  draws: Sources<ImageTextConfig>,
  edits: Sources<EditPairConfig>,
  options: {
    readonly seed: number;
    readonly size: number;
    readonly batch: number;
    /** Samples of a batch that edit, the first ones. */
    readonly edits: number;
    readonly count: number;
    readonly fits: FitsProgram;
    readonly fitsEdit: FitsProgram;
  },
): Promise<InstructionData> {
  const { seed, size, batch, count, fits, fitsEdit } = options;
  const edited = (config: EditPairConfig, cursor?: Cursor) =>
    MappedStream.open(
      (at) => openEditPairs(squared(config, size, seed), at),
      ({ before, after, instruction, source }, index): EditedPicture | { readonly skip: SkippedSample } => {
        const reason = fitsEdit(instruction);
        if (reason !== undefined) return { skip: { source, reason } };
        return { index, source: before, instruction, image: after };
      },
      cursor,
    );
  const open = async (which: 'train' | 'heldOut', cursor?: Cursor) =>
    new AlternatingStream(
      await edited(edits[which], cursor?.edits as Cursor | undefined),
      await captioned(squared(draws[which], size, seed), fits, cursor?.draws as Cursor | undefined),
      options.edits,
      batch,
    );
  const held = await first(await open('heldOut'), count);
  return {
    open: (cursor) => open('train', cursor),
    heldOut: held,
    shown: held.filter((each) => 'source' in each).slice(0, 8),
    description: { draws: draws.train, edits: edits.train },
  };
}

/** Whole batches: `edits` samples of the one stream, then the rest of the other. */
class AlternatingStream implements SampleStream<EditedPicture | CaptionedPicture> {
  readonly #edits: SampleStream<EditedPicture>;
  readonly #draws: SampleStream<CaptionedPicture>;
  readonly #editCount: number;
  readonly #batch: number;

  constructor(
    edits: SampleStream<EditedPicture>,
    draws: SampleStream<CaptionedPicture>,
    editCount: number,
    batch: number,
  ) {
    this.#edits = edits;
    this.#draws = draws;
    this.#editCount = editCount;
    this.#batch = batch;
  }

  get skipped(): readonly SkippedSample[] {
    return [...this.#edits.skipped, ...this.#draws.skipped];
  }

  get skippedCount(): number {
    return this.#edits.skippedCount + this.#draws.skippedCount;
  }

  async next(count: number): Promise<(EditedPicture | CaptionedPicture)[]> {
    if (count % this.#batch !== 0)
      throw new RangeError(`expected whole batches of ${this.#batch}, got ${count} samples`);
    const samples: (EditedPicture | CaptionedPicture)[] = [];
    for (let taken = 0; taken < count; taken += this.#batch) {
      samples.push(...(await this.#edits.next(this.#editCount)));
      const draws = this.#batch - this.#editCount;
      if (draws > 0) samples.push(...(await this.#draws.next(draws)));
    }
    return samples;
  }

  cursor(): Cursor {
    return { edits: this.#edits.cursor(), draws: this.#draws.cursor() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#edits[Symbol.asyncDispose]();
    await this.#draws[Symbol.asyncDispose]();
  }
}
