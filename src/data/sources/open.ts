/** Real training data as streams, opened by a configuration. */
import type { Cursor, SampleStream } from '../stream.ts';
import { indexFolder } from './folder.ts';
import { indexConversations, indexEditPairs, indexJsonl } from './jsonl.ts';
import {
  type ConversationConfig,
  type EditPairConfig,
  type ImageTextConfig,
  parseConversations,
  parseEditPairs,
  parseImageText,
} from './options.ts';
import { type Order, type OrderOptions, orderOf, type SampleIndex } from './order.ts';
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
  const options = parseImageText(config);
  switch (options.kind) {
    case 'folder':
      return streamOf(await indexFolder(options), options, cursor);
    case 'jsonl':
      return streamOf(await indexJsonl(options), options, cursor);
    case 'parquet':
      return streamOf(await indexParquet(options), options, cursor);
    case 'webdataset': {
      const order: Order<ImageTextSample> = await orderOfTars(options, cursor);
      return readAhead(order, options.prefetch);
    }
  }
}

/** Opens JSON Lines of edits; as `openImageText`. */
export async function openEditPairs(config: EditPairConfig, cursor?: Cursor): Promise<SampleStream<EditPairSample>> {
  const options = parseEditPairs(config);
  return streamOf(await indexEditPairs(options), options, cursor);
}

/** Opens JSON Lines of conversations about pictures; as `openImageText`. */
export async function openConversations(
  config: ConversationConfig,
  cursor?: Cursor,
): Promise<SampleStream<ConversationSample>> {
  const options = parseConversations(config);
  return streamOf(await indexConversations(options), options, cursor);
}

async function streamOf<Sample>(
  index: SampleIndex<Sample>,
  options: OrderOptions & { readonly prefetch: number },
  cursor: Cursor | undefined,
): Promise<SampleStream<Sample>> {
  try {
    return readAhead(orderOf(index, options, cursor), options.prefetch);
  } catch (error) {
    await index[Symbol.asyncDispose]();
    throw error;
  }
}
