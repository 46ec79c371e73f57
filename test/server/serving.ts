/** A server with a tiny model on a free port, and the official client for it. */
import OpenAI, { type ClientOptions } from 'openai';
import { afterAll, beforeAll } from 'vitest';
import type { ServerError } from '../../src/server/error.ts';
import type { ServerOptions } from '../../src/server/options.ts';
import { type RequestRecord, StarServer } from '../../src/server/server.ts';
import { Star } from '../../src/tasks/star.ts';
import { referencePath } from '../reference-vectors.ts';

export const modelFolder = referencePath('tiny-a', '');
export const modelId = 'STAR_Qwen2.5-tiny_VQGAN';
export const picturePath = referencePath('tiny-a', 'expected/image.png');

export interface Serving {
  readonly server: StarServer;
  readonly url: string;
  readonly star: Star;
  /** What the server logged so far. */
  readonly records: RequestRecord[];
  readonly errors: ServerError[];
  /** A client that does not retry. */
  client(options?: ClientOptions): OpenAI;
  /** The value of a metric; the sum over its labels where they are left out. */
  metric(name: string, labels?: string): Promise<number>;
}

/** One server for the tests of a file. */
export function serve(options: ServerOptions = {}, folder = modelFolder): Serving {
  const state = { server: undefined as unknown as StarServer, star: undefined as unknown as Star };
  const records: RequestRecord[] = [];
  const errors: ServerError[] = [];
  beforeAll(async () => {
    state.star = await Star.load(folder, { device: 'cpu', threads: 1 });
    const hooks = {
      onRequest: (record: RequestRecord) => records.push(record),
      onError: (e: ServerError) => errors.push(e),
    };
    state.server = await StarServer.listen({ port: 0, ...options }, async () => state.star, hooks);
    await state.server.ready;
  }, 120_000);
  afterAll(async () => {
    await state.server[Symbol.asyncDispose]();
  });
  const url = () => state.server.url;
  return {
    get server() {
      return state.server;
    },
    get star() {
      return state.star;
    },
    get url() {
      return url();
    },
    records,
    errors,
    client: (more) => new OpenAI({ baseURL: `${url()}/v1`, apiKey: options.apiKey ?? 'none', maxRetries: 0, ...more }),
    metric: async (name, labels = '') => {
      const answer = await fetch(`${url()}/metrics`);
      return (await answer.text())
        .split('\n')
        .filter((line) => line.startsWith(`${name}{${labels}`) || line.startsWith(`${name} `))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
  };
}

/** The last word on a promise: what it gave, or what it threw. */
export async function outcomeOf<Value>(promise: PromiseLike<Value>): Promise<Value | Error> {
  try {
    return await promise;
  } catch (error) {
    return error as Error;
  }
}

/** Waits until a condition holds, at most `seconds`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, seconds = 20): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
