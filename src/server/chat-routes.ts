/** `POST /v1/chat/completions`: answers about pictures and text. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { decodeImage } from '../image/decode.ts';
import type { TextAnswer } from '../tasks/events.ts';
import type { Message, MessagePart } from '../tasks/star.ts';
import { follow } from '../tasks/task.ts';
import { parseBody, requireModel } from './body.ts';
import { type ChatRequest, chatOptions, chatRequestSchema } from './chat-request.ts';
import { EventStream } from './event-stream.ts';
import type { Exchange, ServerContext } from './exchange.ts';
import { decodeLimits, inspectPictures, type PictureUrl, readImageUrls } from './picture-input.ts';

/** A conversation whose pictures are still files. */
type PendingPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image'; readonly bytes: Uint8Array };
interface PendingMessage {
  readonly role: Message['role'];
  readonly content: string | readonly PendingPart[];
}

export async function answerChat(
  context: ServerContext,
  exchange: Exchange,
  asked: FastifyRequest,
  reply: FastifyReply,
) {
  const star = context.star();
  const request = parseBody(chatRequestSchema, asked.body);
  const model = star.model.folder.star.modelName;
  requireModel(request.model, model);
  const options = chatOptions(request);
  const messages = await pendingMessages(request, context, exchange.signal);
  const pictures = messages.flatMap(({ content }) =>
    typeof content === 'string' ? [] : content.flatMap((part) => (part.type === 'image' ? [part.bytes] : [])),
  );
  await inspectPictures(pictures, 'messages', context.options);
  const head = { id: `chatcmpl-${asked.id}`, created: Math.floor(Date.now() / 1000), model };

  const run = async (tell: (text: string) => void): Promise<TextAnswer> => {
    const started = performance.now();
    let first = true;
    const events = star.chat.stream(await decodeMessages(messages, context), { ...options, signal: exchange.signal });
    return follow(events, (event) => {
      if (event.type !== 'token-delta') return;
      const seconds = (performance.now() - started) / 1000;
      if (first) context.metrics.firstTokenSeconds.observe({ route: exchange.route }, seconds);
      first = false;
      context.metrics.textTokens.inc();
      tell(event.text);
    });
  };
  if (request.stream) return streamChat(context, exchange, reply, request, head, run);
  const result = await exchange.inTurn(
    () => run(() => {}),
    (position) => reply.header('x-queue-position', position),
  );
  return {
    ...head,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: result.answer, refusal: null },
        finish_reason: result.finishReason,
        logprobs: null,
      },
    ],
    usage: usageOf(result),
    seed: result.seed,
  };
}

async function streamChat(
  context: ServerContext,
  exchange: Exchange,
  reply: FastifyReply,
  request: ChatRequest,
  head: object,
  run: (tell: (text: string) => void) => Promise<TextAnswer>,
) {
  const stream = new EventStream(reply, context.options.heartbeat);
  const withUsage = request.stream_options?.include_usage ?? false;
  const send = (choices: readonly object[], usage: object | null = null) =>
    stream.send({ ...head, object: 'chat.completion.chunk', choices, ...(withUsage ? { usage } : {}) });
  const delta = (content: object, finish: string | null = null) =>
    send([{ index: 0, delta: content, finish_reason: finish, logprobs: null }]);
  try {
    let sent = '';
    let begun = false;
    const begin = () => {
      if (!begun) delta({ role: 'assistant', content: '' });
      begun = true;
    };
    const tell = (text: string) => {
      begin();
      if (text !== '') delta({ content: text });
      sent += text;
    };
    const result = await exchange.inTurn(
      () => run(tell),
      (position) => stream.comment(`queued ${position}`),
    );
    begin();
    // The last bytes of a character that was cut off come with the end.
    const rest = result.answer.slice(sent.length);
    if (rest !== '') delta({ content: rest });
    delta({}, result.finishReason);
    if (withUsage) send([], usageOf(result));
    stream.send('[DONE]');
    stream.end();
  } catch (error) {
    stream.fail(error);
    throw error;
  }
  return reply;
}

function usageOf({ promptTokens, tokenIds }: TextAnswer) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: tokenIds.length,
    total_tokens: promptTokens + tokenIds.length,
  };
}

async function pendingMessages(
  request: ChatRequest,
  { options }: ServerContext,
  signal: AbortSignal,
): Promise<PendingMessage[]> {
  const urls: PictureUrl[] = [];
  for (const [index, { content }] of request.messages.entries()) {
    if (typeof content === 'string') continue;
    for (const [place, part] of content.entries()) {
      if (part.type === 'text') continue;
      const { image_url: image } = part;
      const param = `messages.${index}.content.${place}.image_url`;
      urls.push({ url: typeof image === 'string' ? image : image.url, param });
    }
  }
  const files = (await readImageUrls(urls, options, signal)).values();
  return request.messages.map(({ role, content }) => ({
    role: role === 'developer' ? 'system' : role,
    content:
      typeof content === 'string'
        ? content
        : content.map(
            (part): PendingPart => (part.type === 'text' ? part : { type: 'image', bytes: files.next().value! }),
          ),
  }));
}

async function decodeMessages(messages: readonly PendingMessage[], { options }: ServerContext): Promise<Message[]> {
  const limits = decodeLimits(options);
  const decoded: Message[] = [];
  for (const { role, content } of messages) {
    if (typeof content === 'string') decoded.push({ role, content });
    else {
      const parts: MessagePart[] = [];
      for (const part of content) {
        parts.push(part.type === 'text' ? part : { type: 'image', image: await decodeImage(part.bytes, limits) });
      }
      decoded.push({ role, content: parts });
    }
  }
  return decoded;
}
