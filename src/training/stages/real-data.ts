/** What stages draw from real data: pictures with captions, and pairs of pictures with an instruction between them. */
import { MappedStream } from '../../data/mapped-stream.ts';
import { openAlternating } from '../../data/sources/alternating.ts';
import { openEditPairs, openImageText } from '../../data/sources/open.ts';
import type {
  CaptionedConfig,
  EditedConfig,
  EditPairConfig,
  ImageTextConfig,
  TokensConfig,
} from '../../data/sources/options.ts';
import { openTokenStream, type TokenSample } from '../../data/sources/tokens.ts';
import type { Cursor, SampleStream, SkippedSample } from '../../data/stream.ts';
import type { CaptionedPicture, GenerationData } from './generation-task.ts';
import type { EditedOrCaptioned, EditedPicture, InstructionData } from './instruction-task.ts';
import type { CodedPicture } from './picture-codes.ts';
import type { TokenizerData } from './tokenizer-task.ts';

/** Data to learn from, and data of the same kind that is held out of it. */
export interface Sources<Config> {
  readonly train: Config;
  readonly heldOut: Config;
}

/** Pictures are made square before they are coded; without a crop of their own they are cut in the middle. */
export function squared<Config extends ImageTextConfig | EditPairConfig>(
  config: Config,
  size: number,
  seed: number,
): Config {
  return { ...config, seed: config.seed ?? seed, square: config.square ?? { size } };
}

/** The first samples of a stream, which is closed. */
export async function first<Sample>(stream: SampleStream<Sample>, count: number): Promise<Sample[]> {
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

export interface RealDataOptions {
  readonly seed: number;
  /** Pixels a side. */
  readonly size: number;
  /** Held-out samples. */
  readonly count: number;
  readonly fits: FitsProgram;
  /** Fingerprint of the model's picture tokenizer, which stored codes must be of. */
  readonly tokenizer?: () => Promise<string>;
}

/** Of data that may be coded already. */
export type CodedDataOptions = RealDataOptions & Required<Pick<RealDataOptions, 'tokenizer'>>;

/** A set of codes, checked to be of the model's tokenizer. */
async function openCoded(
  config: TokensConfig,
  edits: boolean,
  { seed, tokenizer }: RealDataOptions,
  cursor: Cursor | undefined,
): Promise<SampleStream<TokenSample>> {
  const { folder, kind: _kind, ...options } = config;
  return openTokenStream(folder, { seed, ...options, edits, tokenizer: await tokenizer!() }, cursor);
}

/** Skips a sample whose text does not fit the program, or is none. */
function fitting<Made>(
  text: string | undefined,
  source: string,
  fits: FitsProgram,
  make: (text: string) => Made,
): Made | { readonly skip: SkippedSample } {
  const reason = text === undefined ? 'its prompt is token ids; expected a text' : fits(text);
  return reason === undefined ? make(text!) : { skip: { source, reason } };
}

function captioned(
  config: CaptionedConfig,
  options: RealDataOptions,
  cursor?: Cursor,
): Promise<SampleStream<CaptionedPicture<CodedPicture>>> {
  const { seed, size, fits } = options;
  if (config.kind === 'tokens') {
    return MappedStream.open(
      (at) => openCoded(config, false, options, at),
      ({ codes, prompt, source }, index) =>
        fitting(prompt, source, fits, (caption) => ({ index, image: { codes }, caption })),
      cursor,
    );
  }
  return MappedStream.open(
    (at) => openImageText(squared(config, size, seed), at),
    ({ image, caption, source }, index) => fitting(caption, source, fits, () => ({ index, image, caption })),
    cursor,
  );
}

function edited(
  config: EditedConfig,
  options: RealDataOptions,
  cursor?: Cursor,
): Promise<SampleStream<EditedPicture<CodedPicture>>> {
  const { seed, size, fits } = options;
  if (config.kind === 'tokens') {
    return MappedStream.open(
      (at) => openCoded(config, true, options, at),
      ({ codes, prompt, before, source }, index) =>
        fitting(prompt, source, fits, (instruction) => {
          const { image, codes: sourceCodes } = before!;
          return { index, source: image, sourceCodes, instruction, image: { codes } };
        }),
      cursor,
    );
  }
  return MappedStream.open(
    (at) => openEditPairs(squared(config, size, seed), at),
    ({ before, after, instruction, source }, index) =>
      fitting(instruction, source, fits, () => ({ index, source: before, instruction, image: after })),
    cursor,
  );
}

/** Pictures with captions; their codes alone where the data is a set of them. */
export function realCaptionedPictures(
  sources: Sources<ImageTextConfig>,
  options: RealDataOptions,
  prompts: readonly string[],
): Promise<GenerationData>;
export function realCaptionedPictures(
  sources: Sources<CaptionedConfig>,
  options: CodedDataOptions,
  prompts: readonly string[],
): Promise<GenerationData<CodedPicture>>;
export async function realCaptionedPictures(
  { train, heldOut }: Sources<CaptionedConfig>,
  options: RealDataOptions,
  prompts: readonly string[],
): Promise<GenerationData<CodedPicture>> {
  const held = await first(await captioned(heldOut, options), options.count);
  return {
    open: (cursor) => captioned(train, options, cursor),
    heldOut: held,
    // Each picture with the caption of the next one.
    wrongCaptions: held.map((_, index) => held[(index + 1) % held.length]!.caption),
    prompts: [...prompts, ...held.map(({ caption }) => caption)].slice(0, 9),
    description: { train },
  };
}

export interface InstructionMixOptions {
  readonly batch: number;
  /** Samples of a batch that edit, the first ones. */
  readonly edits: number;
  /** Whether an instruction fits the program. */
  readonly fitsEdit: FitsProgram;
}

/** Whole batches: `edits` samples of pairs, then captioned pictures; codes where the data is a set of them. */
export function realInstructions(
  draws: Sources<ImageTextConfig>,
  edits: Sources<EditPairConfig>,
  options: RealDataOptions & InstructionMixOptions,
): Promise<InstructionData>;
export function realInstructions(
  draws: Sources<CaptionedConfig>,
  edits: Sources<EditedConfig>,
  options: CodedDataOptions & InstructionMixOptions,
): Promise<InstructionData<CodedPicture>>;
export async function realInstructions(
  draws: Sources<CaptionedConfig>,
  edits: Sources<EditedConfig>,
  options: RealDataOptions & InstructionMixOptions,
): Promise<InstructionData<CodedPicture>> {
  const { batch, count, fitsEdit } = options;
  const open = (which: 'train' | 'heldOut', cursor?: Cursor) =>
    openAlternating<EditedOrCaptioned<CodedPicture>>(
      [
        {
          name: 'edits',
          count: options.edits,
          open: (at) => edited(edits[which], { ...options, fits: fitsEdit }, at),
        },
        { name: 'draws', count: batch - options.edits, open: (at) => captioned(draws[which], options, at) },
      ],
      cursor,
    );
  const held = await first(await open('heldOut'), count);
  return {
    open: (cursor) => open('train', cursor),
    heldOut: held,
    shown: held.filter((each) => 'source' in each).slice(0, 8),
    description: { draws: draws.train, edits: edits.train },
  };
}
