/** Real training data as streams, opened by a configuration. */
import type { Cursor, SampleStream } from '../stream.ts';
import { indexConversations } from './conversations.ts';
import { indexFolder } from './folder.ts';
import { indexEditPairs, indexJsonl } from './jsonl.ts';
import {
  type ConversationConfig,
  type EditPairConfig,
  type ImageTextConfig,
  type ImageTextOptions,
  parseConversations,
  parseEditPairs,
  parseImageText,
} from './options.ts';
import { type OrderOptions, orderOf, type SampleIndex } from './order.ts';
import { indexParquet } from './parquet.ts';
import { readAhead } from './read-ahead.ts';
import type { ConversationSample, EditPairSample, ImageTextSample } from './sample.ts';
import { orderOfTars } from './webdataset.ts';

/**
 * Opens pictures with captions: a `folder`, `jsonl`, `webdataset` or `parquet`.
 * @param config see `ImageTextConfig`; paths are the caller's, those inside of data stay in the data's folder
 * @param cursor of an earlier stream of the same data, seed and shuffle: it goes on there, bit for bit
 * @throws DataError `data_option_invalid`, `data_not_found`, `data_unreadable`, `data_invalid` (also a cursor of other
 * data), `data_exhausted` (nothing there)
 */
export async function openImageText(config: ImageTextConfig, cursor?: Cursor): Promise<SampleStream<ImageTextSample>> {
  return (await imageTextStream(parseImageText(config), cursor)).stream;
}

/** A stream that ends with its data. */
export interface OneReading<Sample> {
  /** `next` gives fewer samples than it was asked for when there are no more. */
  readonly stream: SampleStream<Sample>;
  /** Samples of the data, broken ones too; undefined for archives, which nobody has counted. */
  readonly count: number | undefined;
}

/** Opens pictures with captions to be read once, in the data's own order; else as `openImageText`. */
export function readImageTextOnce(config: ImageTextConfig, cursor?: Cursor): Promise<OneReading<ImageTextSample>> {
  return imageTextStream(parseImageText({ ...config, shuffle: false }), cursor, 1);
}

async function imageTextStream(
  options: ImageTextOptions,
  cursor: Cursor | undefined,
  epochs?: number,
): Promise<OneReading<ImageTextSample>> {
  switch (options.kind) {
    case 'folder':
      return streamOf(await indexFolder(options), options, cursor, epochs);
    case 'jsonl':
      return streamOf(await indexJsonl(options), options, cursor, epochs);
    case 'parquet':
      return streamOf(await indexParquet(options), options, cursor, epochs);
    case 'webdataset':
      return { stream: readAhead(await orderOfTars(options, cursor), options.prefetch, epochs), count: undefined };
  }
}

/** Opens JSON Lines of edits; as `openImageText`. */
export async function openEditPairs(config: EditPairConfig, cursor?: Cursor): Promise<SampleStream<EditPairSample>> {
  const options = parseEditPairs(config);
  return (await streamOf(await indexEditPairs(options), options, cursor)).stream;
}

/** As `readImageTextOnce`, of edits. */
export async function readEditPairsOnce(config: EditPairConfig, cursor?: Cursor): Promise<OneReading<EditPairSample>> {
  const options = parseEditPairs({ ...config, shuffle: false });
  return streamOf(await indexEditPairs(options), options, cursor, 1);
}

/** What of a file of conversations is asked for. */
export interface ConversationReading<Made> {
  /** Conversations with a picture or without one; the others are passed over. Default: any. */
  readonly about?: 'picture' | 'text' | 'any';
  /** Makes of a conversation what the stream gives, or throws a StarError that says why it cannot be used. Pure. */
  readonly make: (sample: ConversationSample) => Made;
}

/** Opens JSON Lines of conversations; as `openImageText`. */
export async function openConversations<Made>(
  config: ConversationConfig,
  { about = 'any', make }: ConversationReading<Made>,
  cursor?: Cursor,
): Promise<SampleStream<Made>> {
  const options = parseConversations(config);
  return (await streamOf(await indexConversations(options, about, make), options, cursor)).stream;
}

async function streamOf<Sample>(
  index: SampleIndex<Sample>,
  options: OrderOptions & { readonly prefetch: number },
  cursor: Cursor | undefined,
  epochs?: number,
): Promise<OneReading<Sample>> {
  try {
    return { stream: readAhead(orderOf(index, options, cursor), options.prefetch, epochs), count: index.count };
  } catch (error) {
    await index[Symbol.asyncDispose]();
    throw error;
  }
}
