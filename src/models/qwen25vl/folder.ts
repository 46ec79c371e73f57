/** The text side of a Qwen2.5-VL model folder: its tokenizer and its chat template. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { ConfigError, parseConfig } from '../config-error.ts';
import { readJsonFile, readTextFile } from '../config-file.ts';
import { type ChatFormat, createChatFormat } from './chat.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';

/** Qwen2.5's `tokenizer.json` has 7 to 12 MB, by its form. */
const maximumTokenizerBytes = 64 << 20;

/**
 * The tokenizer of a folder with `tokenizer.json` and `tokenizer_config.json`.
 * @throws ConfigError for a missing, broken or unsupported file.
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const [tokenizer, config] = await Promise.all([
    readJsonFile(path.join(folder, 'tokenizer.json'), maximumTokenizerBytes),
    readJsonFile(path.join(folder, 'tokenizer_config.json')),
  ]);
  return createTokenizer(tokenizer, config, folder);
}

const templateSchema = z.object({ chat_template: z.string().min(1) });

/**
 * The chat format of a folder. The template is taken from `chat_template.jinja`, else `chat_template.json`, else the
 * `chat_template` of `tokenizer_config.json`: the order of transformers.
 * @throws ConfigError when none of them has one.
 */
export async function loadChatFormat(folder: string, tokenizer: Tokenizer): Promise<ChatFormat> {
  const jinja = path.join(folder, 'chat_template.jinja');
  if (await exists(jinja)) return createChatFormat(tokenizer, await readTextFile(jinja), jinja);
  const own = path.join(folder, 'chat_template.json');
  const file = (await exists(own)) ? own : path.join(folder, 'tokenizer_config.json');
  const { chat_template: source } = parseConfig(templateSchema, await readJsonFile(file), file);
  return createChatFormat(tokenizer, source, file);
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'an unknown error';
    if (code === 'ENOENT') return false;
    throw new ConfigError(file, { code: 'config_unreadable', expected: 'a readable file', got: code, cause });
  }
}
