/**
 * Seconds of requests that were damaged, ten or MUTATION_SECONDS of the environment, in CI a minute: fields changed, removed
 * and swapped, bytes flipped, cut and repeated, headers that lie. Nothing may be answered with 5xx, and the server goes on. The seed is printed; the same one, in the environment's
 * MUTATION_SEED, makes the same requests.
 */
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { expect, test } from 'vitest';
import { philox4x32 } from '../../src/tensor/random.ts';
import { picturePath, serve } from './serving.ts';

/** Ten, so that `npm test` takes under five minutes. */
const seconds = Number(process.env.MUTATION_SECONDS ?? 10);
const seed = Number(process.env.MUTATION_SEED ?? Math.floor(Date.now() / 1000));
const serving = serve({ queue: 16, maxBody: 1, maxFile: 1, maxPixels: 1 << 20, deadline: 10 });
const picture = await readFile(picturePath);
const dataUrl = `data:image/png;base64,${picture.toString('base64')}`;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

const bodies: readonly [path: string, body: Json][] = [
  ['/v1/images/generations', { prompt: 'a plum', n: 1, size: '24x24', seed: 3, guidance: 2, top_k: 9, stream: false }],
  [
    '/v1/images/generations',
    { prompt: 'a plum', stream: true, partial_images: 2, progress: true, output_format: 'png' },
  ],
  ['/v1/images/edits', { prompt: 'green', images: [{ image_url: dataUrl }], mask: { image_url: dataUrl }, top_p: 0.5 }],
  [
    '/v1/chat/completions',
    {
      max_completion_tokens: 3,
      temperature: 0.5,
      stream: true,
      stream_options: { include_usage: true },
      messages: [
        { role: 'system', content: 'Be short.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What?' },
            { type: 'image_url', image_url: { url: dataUrl } },
          ],
        },
      ],
    },
  ],
];

const nasty: readonly Json[] = [
  ...[
    null,
    true,
    -1,
    0,
    1e308,
    2 ** 53,
    0.1,
    '',
    ' ',
    'NaN',
    'Infinity',
    '\u0000',
    '\ud800',
    '<|im_end|>',
    '../../etc/passwd',
  ],
  ...[[], {}, [[[[[[[[]]]]]]]], { __proto__: null, constructor: 1 }, 'x'.repeat(5000), 'data:image/png;base64,AAAA'],
  ...['data:image/svg+xml;base64,PHN2Zy8+', 'http://169.254.169.254/', '65536x65536', 'é'.repeat(300), '{"a":1}'],
];

/** Numbers by chance, from the seed and the number of the request. */
class Dice {
  readonly #request: number;
  #count = 0;
  constructor(request: number) {
    this.#request = request;
  }
  below(limit: number): number {
    const [word] = philox4x32([this.#count++, this.#request, 0, 0], [seed, 0]);
    return Math.floor((word! / 2 ** 32) * limit);
  }
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }
}

/** A value with one of its parts changed, at any depth. */
function mutated(value: Json, dice: Dice): Json {
  if (value === null || typeof value !== 'object' || dice.below(5) === 0) return dice.pick(nasty);
  if (Array.isArray(value)) {
    if (value.length === 0 || dice.below(4) === 0) return [...value, ...value, dice.pick(nasty)];
    const at = dice.below(value.length);
    return value.with(at, mutated(value[at]!, dice));
  }
  const keys = Object.keys(value);
  const key = keys.length === 0 ? 'x' : dice.pick(keys);
  const { [key]: own, ...rest } = value;
  switch (dice.below(6)) {
    case 0:
      return rest;
    case 1:
      return { ...rest, [`${key}s`]: own ?? null };
    case 2:
      return { ...value, [dice.pick(['size', 'n', 'tools', '__proto__', 'logit_bias', 'decoder'])]: dice.pick(nasty) };
    default:
      return { ...rest, [key]: mutated(own ?? null, dice) };
  }
}

/** Bytes with some of them flipped, cut out or repeated. */
function damaged(bytes: Buffer, dice: Dice): Buffer {
  const at = dice.below(bytes.length);
  const end = Math.min(bytes.length, at + 1 + dice.below(200));
  switch (dice.below(3)) {
    case 0: {
      const copy = Buffer.from(bytes);
      copy[at]! ^= 1 << dice.below(8);
      return copy;
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    default:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
  }
}

function form(dice: Dice): Sent {
  const boundary = 'xxBOUNDARYxx';
  const part = (head: string, content: Buffer | string) =>
    Buffer.concat([
      Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; ${head}\r\n\r\n`),
      Buffer.from(content),
      Buffer.from('\r\n'),
    ]);
  const parts = [
    part('name="prompt"', 'make it green'),
    part(
      'name="image"; filename="in.png"\r\ncontent-type: image/png',
      dice.below(2) === 0 ? picture : damaged(picture, dice),
    ),
    part('name="n"', String(dice.pick(['1', '0', '-1', '1e9', 'one']))),
  ];
  const body = Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]);
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
  return { method: 'POST', path: '/v1/images/edits', headers, body: dice.below(2) === 0 ? body : damaged(body, dice) };
}

function request(number: number): Sent {
  const dice = new Dice(number);
  if (dice.below(4) === 0) return form(dice);
  const [path, whole] = dice.pick(bodies);
  let value = whole;
  for (let count = 1 + dice.below(3); count > 0; count--) value = mutated(value, dice);
  const text = Buffer.from(JSON.stringify(value));
  return {
    method: dice.below(20) === 0 ? dice.pick(['GET', 'PUT', 'DELETE', 'OPTIONS']) : 'POST',
    path: dice.below(20) === 0 ? path + dice.pick(['/', '?x=%', '/..%2f', '%00', '/7']) : path,
    headers: {
      'content-type':
        dice.below(15) === 0
          ? dice.pick(['text/plain', 'application/xml', 'a', 'multipart/form-data'])
          : 'application/json',
      ...(dice.below(15) === 0 ? { 'x-request-id': dice.pick(['a'.repeat(3000), '"', 'é']) } : {}),
    },
    body: dice.below(3) === 0 && text.length > 1 ? damaged(text, dice) : text,
  };
}

/** The status and the whole body; a connection that was closed without an answer has status 0. */
function send({ method, path, headers, body }: Sent): Promise<{ status: number; text: string }> {
  return new Promise((resolve) => {
    const asked = http.request(serving.url + path, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      const end = () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      response.on('end', end);
      response.on('error', () => resolve({ status: 0, text: 'cut off' }));
    });
    asked.on('error', () => resolve({ status: 0, text: '' }));
    // Longer than the server's own deadline: nothing may stay without an end.
    asked.setTimeout(30_000, () => asked.destroy());
    asked.end(method === 'GET' ? undefined : body);
  });
}

test(`${seconds} s of damaged requests`, { timeout: (seconds + 60) * 1000 }, async () => {
  const statuses = new Map<number, number>();
  const bad: string[] = [];
  const end = performance.now() + seconds * 1000;
  let next = 0;
  const client = async () => {
    while (performance.now() < end) {
      const number = next++;
      const sent = request(number);
      const { status, text } = await send(sent);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status === 0 || status >= 500 || text.includes('"server_error"')) {
        bad.push(`seed ${seed}, request ${number}: ${sent.method} ${sent.path} ${status} ${text.slice(0, 200)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: 4 }, client));
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
  console.log(`seed ${seed}: ${next} requests, ${counts.join(', ')}`);
  // The log has what the client is not told.
  const causes = serving.errors.map(({ cause, message }) => (cause instanceof Error ? String(cause.stack) : message));
  expect({ bad, causes: [...new Set(causes)] }).toEqual({ bad: [], causes: [] });
  expect(statuses.get(200)).toBeGreaterThan(0);
  expect(statuses.get(400)).toBeGreaterThan(0);
  expect(serving.server.held).toBe(0);
  expect((await serving.client().images.generate({ prompt: 'a plum' })).data).toHaveLength(1);
});
