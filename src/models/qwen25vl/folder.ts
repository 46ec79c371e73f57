/** Tokenizer and chat template on the disk of Node; `text-folder.ts` reads them from any place of files. */
import { nodeFiles } from '../../checkpoint/node-files.ts';
import type { ChatFormat } from './chat.ts';
import { loadChatFormatIn, loadTokenizerIn } from './text-folder.ts';
import type { Tokenizer } from './tokenizer.ts';

/** The tokenizer of a folder. See `loadTokenizerIn`. */
export function loadTokenizer(folder: string): Promise<Tokenizer> {
  return loadTokenizerIn(nodeFiles, folder);
}

/** The chat format of a folder. See `loadChatFormatIn`. */
export function loadChatFormat(folder: string, tokenizer: Tokenizer): Promise<ChatFormat> {
  return loadChatFormatIn(nodeFiles, folder, tokenizer);
}
