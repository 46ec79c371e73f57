/** What clients may ask of `/v1/chat/completions`. */
import { z } from 'zod';
import { type UnderstandOptions, understandOptionsSchema } from '../tasks/options.ts';
import { invalidRequest } from './error.ts';

const text = z.string().max(1 << 18);
const imageUrl = z.union([
  z.string().min(1),
  z.strictObject({ url: z.string().min(1), detail: z.enum(['auto', 'low', 'high']).optional() }),
]);
const part = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text'), text }),
  z.strictObject({ type: z.literal('image_url'), image_url: imageUrl }),
]);

const message = z.strictObject({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: z.union([text, z.array(part).min(1).max(64)]),
  name: z.string().max(64).optional(),
});

const { maxNewTokens, temperature, topP, topK, repetitionPenalty, seed, stop } = understandOptionsSchema.shape;
const limit = maxNewTokens.unwrap().optional();

export const chatRequestSchema = z.strictObject({
  messages: z
    .array(message)
    .min(1)
    .max(256)
    .describe('The conversation; pictures as data URLs, or at URLs of listed origins.'),
  model: z.string().optional().describe('The id that /v1/models gives. Default: the one that is served.'),
  max_completion_tokens: limit.describe('Longest answer, in tokens. Default 256.'),
  max_tokens: limit.describe('Older name of max_completion_tokens.'),
  temperature: temperature.describe("0 is greedy. Default: the model folder's generation_config.json."),
  top_p: topP.describe('Default: the same.'),
  top_k: topK.describe('Not in OpenAI’s API. Default: the same.'),
  repetition_penalty: repetitionPenalty.describe('Not in OpenAI’s API. Default: the same.'),
  seed: seed.describe('Default: random.'),
  stop,
  stream: z.boolean().default(false).describe('Answer as server-sent events. Default false.'),
  stream_options: z
    .strictObject({ include_usage: z.boolean().default(false), include_obfuscation: z.literal(false).optional() })
    .optional()
    .describe('include_usage adds a last chunk with the numbers of tokens.'),
  user: z.string().max(512).optional().describe('Without effect.'),
  // Fields that the model has no use for, at the values that ask for nothing.
  n: z.literal(1).optional().describe('Only 1.'),
  frequency_penalty: z.literal(0).optional().describe('Only 0; see repetition_penalty.'),
  presence_penalty: z.literal(0).optional().describe('Only 0.'),
  logprobs: z.literal(false).optional().describe('Only false.'),
  store: z.literal(false).optional().describe('Only false.'),
  tools: z.array(z.never()).optional().describe('Only none.'),
  tool_choice: z.enum(['none', 'auto']).optional().describe('Without effect.'),
  modalities: z
    .tuple([z.literal('text')])
    .optional()
    .describe('Only text.'),
  response_format: z
    .strictObject({ type: z.literal('text') })
    .optional()
    .describe('Only text.'),
});

export type ChatRequest = z.output<typeof chatRequestSchema>;

/** @throws ServerError when both names of the limit are given and differ */
export function chatOptions(request: ChatRequest): UnderstandOptions {
  const {
    max_completion_tokens: newer,
    max_tokens: older,
    temperature,
    top_p,
    top_k,
    repetition_penalty,
    seed,
    stop,
  } = request;
  if (newer !== undefined && older !== undefined && newer !== older) {
    throw invalidRequest('invalid_value', 'max_tokens: differs from max_completion_tokens; give one', 'max_tokens');
  }
  const options = {
    maxNewTokens: newer ?? older,
    temperature,
    topP: top_p,
    topK: top_k,
    repetitionPenalty: repetition_penalty,
    seed,
    stop,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
