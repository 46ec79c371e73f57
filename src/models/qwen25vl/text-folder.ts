/** The text side of a Qwen2.5-VL model folder: its tokenizer and its chat template. */
import { z } from 'zod';
import { type Files, systemCode } from '../../checkpoint/files.ts';
import { ConfigError, parseConfig } from '../config-error.ts';
import { readJsonIn, readTextIn } from '../config-text.ts';
import { type ChatFormat, createChatFormat } from './chat.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';

/** Qwen2.5's `tokenizer.json` has 7 to 12 MB, by its form. */
const maximumTokenizerBytes = 64 << 20;

/**
 * The tokenizer of a folder with `tokenizer.json` and `tokenizer_config.json`.
 * @throws ConfigError for a missing, broken or unsupported file.
 */
export async function loadTokenizerIn(files: Files, folder: string): Promise<Tokenizer> {
  const [tokenizer, config] = await Promise.all([
    readJsonIn(files, files.join(folder, 'tokenizer.json'), maximumTokenizerBytes),
    readJsonIn(files, files.join(folder, 'tokenizer_config.json')),
  ]);
  return createTokenizer(tokenizer, config, folder);
}

const templateSchema = z.object({ chat_template: z.string().min(1) });

/**
 * The chat format of a folder. The template is taken from `chat_template.jinja`, else `chat_template.json`, else the
 * `chat_template` of `tokenizer_config.json`: the order of transformers.
 * @throws ConfigError when none of them has one.
 */
export async function loadChatFormatIn(files: Files, folder: string, tokenizer: Tokenizer): Promise<ChatFormat> {
  const jinja = files.join(folder, 'chat_template.jinja');
  if (await exists(files, jinja)) return createChatFormat(tokenizer, await readTextIn(files, jinja), jinja);
  const own = files.join(folder, 'chat_template.json');
  const file = (await exists(files, own)) ? own : files.join(folder, 'tokenizer_config.json');
  const { chat_template: source } = parseConfig(templateSchema, await readJsonIn(files, file), file);
  return createChatFormat(tokenizer, source, file);
}

async function exists(files: Files, file: string): Promise<boolean> {
  try {
    return (await files.kindOf(file)) !== undefined;
  } catch (cause) {
    throw new ConfigError(file, {
      code: 'config_unreadable',
      expected: 'a readable file',
      got: systemCode(cause),
      cause,
    });
  }
}
