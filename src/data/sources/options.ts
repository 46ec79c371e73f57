/** What real training data is asked for with, checked. */
import { z } from 'zod';
import { DataError } from '../error.ts';

const square = z.strictObject({
  size: z.int().min(1).max(16_384),
  crop: z.enum(['centre', 'random', 'pad']).default('centre'),
  flip: z.number().min(0).max(1).default(0),
  filter: z.enum(['bilinear', 'bicubic', 'lanczos']).default('bicubic'),
  fill: z.tuple([z.int().min(0).max(255), z.int().min(0).max(255), z.int().min(0).max(255)]).default([255, 255, 255]),
});

/** Options of every kind. */
const common = {
  seed: z.int().min(0).default(0).describe('Decides order, crops, flips and which of several captions is taken.'),
  shuffle: z.boolean().default(true).describe("False: the data's own order, every epoch."),
  prefetch: z
    .int()
    .min(1)
    .max(64)
    .default(4)
    .describe('Samples in work or ready at a time; so many decoded pictures are in memory.'),
  maxPixels: z.int().min(1).default(33_000_000).describe('Most pixels of a picture, checked on its header.'),
  minSide: z.int().min(1).default(1).describe('Shortest side of a picture, in pixels.'),
  maxImageBytes: z
    .int()
    .min(1)
    .max(2 ** 30)
    .default(64 * 2 ** 20)
    .describe('Most bytes of an encoded picture.'),
  square: square.optional().describe('Makes them square. Default: pictures keep their sizes.'),
};

const key = z.string().min(1).max(256);
const path = z.string().min(1).max(4096);

const folder = z.strictObject({
  kind: z.literal('folder'),
  folder: path,
  captions: z
    .enum(['auto', 'sidecar', 'captions.json', 'metadata.jsonl'])
    .default('auto')
    .describe(
      'Where captions are: `sidecar` (name.txt beside name.jpg), `captions.json` ({"name.jpg": "caption"}), or ' +
        '`metadata.jsonl` (Hugging Face imagefolder). `auto` takes metadata.jsonl or captions.json where it is there.',
    ),
  captionKey: key.default('text').describe('Key of the caption in metadata.jsonl.'),
  ...common,
});

const lines = {
  kind: z.literal('jsonl'),
  file: path.describe('The JSON Lines file.'),
  folder: path.optional().describe("Folder that pictures lie in; the file's own unless given."),
  maxLineBytes: z
    .int()
    .min(1)
    .max(2 ** 28)
    .default(2 ** 20)
    .describe('Most bytes of a line.'),
  ...common,
};

const jsonl = z.strictObject({ ...lines, imageKey: key.default('image'), captionKey: key.default('caption') });

const webdataset = z.strictObject({
  kind: z.literal('webdataset'),
  folder: path,
  shards: path
    .optional()
    .describe(
      'Names with braces, as in `train-{0000..0099}.tar` or `{a,b}.tar`; every .tar file of the folder unless given.',
    ),
  shuffleBuffer: z
    .int()
    .min(1)
    .max(100_000)
    .default(2000)
    .describe('Samples that the order is mixed among; only where they lie is in memory.'),
  captionKey: key.default('caption').describe('Key of the caption where it comes as .json.'),
  ...common,
});

const parquet = z.strictObject({
  kind: z.literal('parquet'),
  folder: path,
  files: path.optional().describe('As for webdataset; every .parquet file of the folder unless given.'),
  imageColumn: key.default('image').describe('A column of bytes, or of `{bytes, path}` as Hugging Face writes it.'),
  captionColumn: key.default('caption'),
  groupsAtOnce: z
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe('Row groups that the order is mixed among and that are held in memory, encoded.'),
  maxGroupBytes: z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .default(2 ** 29)
    .describe('Most bytes of a row group, before and after decompression.'),
  ...common,
});

export const imageTextSchema = z.discriminatedUnion('kind', [folder, jsonl, webdataset, parquet]);

/** A set of pictures that `starstack tokenize` has coded. */
const tokens = z.strictObject({
  kind: z.literal('tokens'),
  folder: path,
  seed: common.seed.describe('Decides the order; that of a folder or of JSON Lines with as many samples is the same.'),
  shuffle: common.shuffle,
  prefetch: z.int().min(1).max(64).default(16).describe('Samples in work or ready at a time.'),
  verify: z
    .boolean()
    .default(true)
    .describe("False: the files' SHA-256 is not compared when a training begins, only their sizes."),
});

/** Captioned pictures, or their codes. */
export const captionedSchema = z.discriminatedUnion('kind', [folder, jsonl, webdataset, parquet, tokens]);

export const editPairsSchema = z.strictObject({
  ...lines,
  sourceKey: key.default('source'),
  targetKey: key.default('target'),
  instructionKey: key.default('instruction'),
});

/** Pairs of pictures with an instruction, or their codes with the picture before. */
export const editedSchema = z.discriminatedUnion('kind', [editPairsSchema, tokens]);

export const conversationsSchema = z.strictObject({
  ...lines,
  imageKey: key
    .default('image')
    .describe("Key of the picture's path, or of a list of one. A record without it may have `images`, or no picture."),
  conversationsKey: key
    .optional()
    .describe('Key of the turns; `conversations` or `messages`, whichever a record has, unless given.'),
});

/** What a caller may write: everything that has a default may be left out. */
export type ImageTextConfig = z.input<typeof imageTextSchema>;
export type EditPairConfig = z.input<typeof editPairsSchema>;
export type ConversationConfig = z.input<typeof conversationsSchema>;
export type TokensConfig = z.input<typeof tokens>;
export type CaptionedConfig = z.input<typeof captionedSchema>;
export type EditedConfig = z.input<typeof editedSchema>;

export type ImageTextOptions = z.output<typeof imageTextSchema>;
export type FolderOptions = z.output<typeof folder>;
export type JsonlOptions = z.output<typeof jsonl>;
export type WebdatasetOptions = z.output<typeof webdataset>;
export type ParquetOptions = z.output<typeof parquet>;
export type EditPairOptions = z.output<typeof editPairsSchema>;
export type ConversationOptions = z.output<typeof conversationsSchema>;

function parse<T>(schema: z.ZodType<T>, config: unknown): T {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') || 'data';
  throw new DataError('data_option_invalid', `${where}: ${issue?.message}`, { issues: parsed.error.issues });
}

/** Each throws `DataError` (`data_option_invalid`) for an unknown option or a value out of range. */
export const parseImageText = (config: unknown) => parse(imageTextSchema, config);
export const parseEditPairs = (config: unknown) => parse(editPairsSchema, config);
export const parseConversations = (config: unknown) => parse(conversationsSchema, config);
