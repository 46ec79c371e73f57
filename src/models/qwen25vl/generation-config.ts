/** How the model's folder asks text to be drawn: Hugging Face `generation_config.json`. */
import { z } from 'zod';
import { parseConfig } from '../config-error.ts';

export interface GenerationConfig {
  /** False means greedy decoding, whatever the temperature. Default false. */
  readonly doSample: boolean;
  /** Above 0. Default 1. */
  readonly temperature: number;
  /** How many of the likeliest tokens stay; 0 keeps all. Default 50, as in transformers. */
  readonly topK: number;
  /** Above 0, at most 1; 1 keeps all. Default 1. */
  readonly topP: number;
  /** Above 0; 1 is none. Default 1. */
  readonly repetitionPenalty: number;
  /** Any of these ends the answer. */
  readonly endTokens: readonly number[];
  readonly padToken: number | undefined;
}

const tokenId = z
  .int()
  .min(0)
  .max(1 << 24);

const schema = z.object({
  do_sample: z.boolean().nullish(),
  temperature: z.number().positive().nullish(),
  top_k: z.int().min(0).nullish(),
  top_p: z.number().positive().max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId).min(1).max(64)]),
  pad_token_id: tokenId.nullish(),
});

/**
 * The normal form of a `generation_config.json`; absent keys take the defaults of transformers.
 * @throws ConfigError naming the key at fault.
 */
export function parseGenerationConfig(value: unknown, file: string): GenerationConfig {
  const config = parseConfig(schema, value, file);
  return {
    doSample: config.do_sample ?? false,
    temperature: config.temperature ?? 1,
    topK: config.top_k ?? 50,
    topP: config.top_p ?? 1,
    repetitionPenalty: config.repetition_penalty ?? 1,
    endTokens: [config.eos_token_id].flat(),
    padToken: config.pad_token_id ?? undefined,
  };
}
