/** Full queues, clients that go, deadlines, shutting down, damaged weights: each against a real server. */
import { copyFile, mkdir, mkdtemp, open, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { APIConnectionError, APIError } from 'openai';
import { afterAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.ts';
import { StarServer } from '../../src/server/server.ts';
import { modelFolder, modelId, outcomeOf, type Serving, serve, until } from './serving.ts';

const slow = { prompt: 'a plum', n: 10 };
const streamed = { prompt: 'a plum', stream: true, progress: true } as const;
const draw = (serving: Serving, request: object = slow, options: object = {}) =>
  serving.client().images.generate({ prompt: 'a plum', ...request }, options);

describe('a full queue', () => {
  const serving = serve({ queue: 3 });

  test('turns away exactly what is over its limit, and resets nothing', async () => {
    // Many pictures each, so that the first one is still drawn when the last one asks.
    const outcomes = await Promise.all(Array.from({ length: 3 + 20 }, () => outcomeOf(draw(serving, { n: 10 }))));
    const refused = outcomes.filter((outcome) => outcome instanceof APIError);
    expect(refused).toHaveLength(20);
    for (const error of refused) {
      expect(error).toMatchObject({ status: 429, code: 'queue_full', type: 'rate_limit_error' });
      expect(Number(error.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    expect(outcomes.filter((outcome) => outcome instanceof Error)).toHaveLength(20);
    expect(await serving.metric('star_rejected_total', 'reason="queue_full"')).toBe(20);
    expect(serving.server.held).toBe(0);
    // A client that retries, as it does by default, waits and is served.
    const others = Array.from({ length: 3 }, () => draw(serving, { n: 1 }));
    await until('a full queue', () => serving.server.held === 3);
    const patient = serving.client({ maxRetries: 20 }).images.generate({ prompt: 'a plum' });
    expect((await patient).data).toHaveLength(1);
    await Promise.all(others);
  });

  test('tells the place in it', async () => {
    const first = draw(serving, { n: 4 });
    await until('the first runs', () => serving.server.held === 1);
    const second = draw(serving, { n: 1 }, {});
    await until('the second waits', () => serving.server.held === 2);
    const stream = await serving.client().images.generate(streamed);
    const places: unknown[] = [];
    for await (const event of stream as AsyncIterable<object>) {
      if ('queue_position' in event) places.push(event.queue_position);
    }
    expect(places).toEqual([2, 1]);
    await Promise.all([first, second]);
  });
});

describe('a client that goes', () => {
  const serving = serve();

  test('frees its slot within one row of tokens', async () => {
    const controller = new AbortController();
    const request = draw(serving, slow, { signal: controller.signal });
    void outcomeOf(request);
    await until('the first row', async () => (await serving.metric('star_image_tokens_total')) > 0);
    const drawn = await serving.metric('star_image_tokens_total');
    const started = performance.now();
    controller.abort();
    await until('the slot is free', () => serving.server.held === 0);
    const milliseconds = performance.now() - started;
    // A row more may have been done before the server could see it, and the one that runs goes to its end.
    const more = (await serving.metric('star_image_tokens_total')) - drawn;
    console.log(`slot free ${milliseconds.toFixed(0)} ms after the client went, ${more / 60} rows later`);
    expect(more).toBeLessThanOrEqual(2 * 60);
    expect(drawn + more).toBeLessThan(360);
    expect(serving.records.at(-1)!.path === '/metrics' || serving.records.at(-1)!.status === 499).toBe(true);
    expect(serving.records.some(({ status }) => status === 499)).toBe(true);
    expect(await serving.metric('star_cancelled_total', 'reason="client_closed_request"')).toBe(1);
    expect((await draw(serving, { n: 1 })).data).toHaveLength(1);
  });

  test('leaves the queue without having run', async () => {
    const first = draw(serving, { n: 4 });
    await until('the first runs', () => serving.server.held === 1);
    const controller = new AbortController();
    void outcomeOf(draw(serving, slow, { signal: controller.signal }));
    await until('the second waits', () => serving.server.held === 2);
    const before = await serving.metric('star_image_tokens_total');
    controller.abort();
    await until('it has left', () => serving.server.held === 1);
    await first;
    expect((await serving.metric('star_image_tokens_total')) - before).toBeLessThanOrEqual(144);
  });

  test('does not slow the sign of life', async () => {
    const busy = draw(serving, { n: 10 });
    await until('a picture forms', () => serving.server.held === 1);
    const times: number[] = [];
    while (serving.server.held > 0) {
      const started = performance.now();
      expect((await fetch(`${serving.url}/healthz`)).status).toBe(200);
      times.push(performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await busy;
    times.sort((a, b) => a - b);
    const [median, largest] = [times[Math.floor(times.length / 2)]!, times.at(-1)!];
    console.log(`/healthz while a picture forms: median ${median.toFixed(1)} ms, largest ${largest.toFixed(1)} ms`);
    expect(times.length).toBeGreaterThan(5);
    expect(median).toBeLessThan(50);
  });
});

describe('a deadline', () => {
  const serving = serve({ deadline: 0.002 });

  test('ends what has not finished', async () => {
    const outcomes = await Promise.all([1, 2].map(() => outcomeOf(draw(serving, { n: 10 }))));
    for (const error of outcomes) {
      expect(error).toBeInstanceOf(APIError);
      expect(error).toMatchObject({ status: 504, type: 'timeout_error', code: 'deadline_exceeded' });
    }
    await until('the slot is free', () => serving.server.held === 0);
  });
});

describe('a server that drains', () => {
  const serving = serve({ drain: 60 });

  test('finishes what it accepted and refuses what is new', async () => {
    const accepted = Array.from({ length: 3 }, () => draw(serving, { n: 2 }));
    await until('all are accepted', () => serving.server.held === 3);
    const drained = serving.server.drain();
    expect(await outcomeOf(draw(serving))).toMatchObject({ status: 503, code: 'shutting_down' });
    expect((await fetch(`${serving.url}/readyz`)).status).toBe(503);
    for (const { data } of await Promise.all(accepted)) expect(data).toHaveLength(2);
    await drained;
    expect(await outcomeOf(draw(serving))).toBeInstanceOf(APIConnectionError);
  });
});

describe('a server whose drain time is over', () => {
  const serving = serve({ drain: 0 });

  test('ends the rest with 503', async () => {
    const accepted = [draw(serving), draw(serving)].map(outcomeOf);
    await until('both are accepted', () => serving.server.held === 2);
    await serving.server.drain();
    for (const error of await Promise.all(accepted)) {
      expect(error).toMatchObject({ status: 503, code: 'shutting_down', type: 'unavailable_error' });
    }
  });
});

describe('a server that loads', () => {
  test('says so, and tells when it cannot', async () => {
    let fail = (_: Error) => {};
    const loading = new Promise<never>((_, reject) => {
      fail = reject;
    });
    await using server = await StarServer.listen({ port: 0 }, () => loading);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    for (const route of ['/readyz', '/v1/models']) {
      const answer = await fetch(server.url + route);
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('2');
      expect(await answer.json()).toMatchObject({ error: { code: 'model_loading', type: 'unavailable_error' } });
    }
    fail(new Error('no such model'));
    await expect(server.ready).rejects.toThrow('no such model');
  });
});

describe('damaged weights', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'star-nan-'));
  afterAll(() => rm(folder, { recursive: true }));
  await copyModelWithNaN(folder);
  const serving = serve({}, folder);

  test('are told once, and the server lives', async () => {
    const client = serving.client({ maxRetries: 2 });
    const error = await outcomeOf(client.images.generate({ prompt: 'a plum' }));
    expect(error).toMatchObject({ status: 500, code: 'non_finite_output', type: 'server_error' });
    expect((error as APIError).headers!.get('x-should-retry')).toBe('false');
    expect(serving.records.filter(({ path: route }) => route === '/v1/images/generations')).toHaveLength(1);
    expect(serving.errors.map(({ code }) => code)).toEqual(['non_finite_output']);
    expect(await serving.metric('star_nonfinite_total')).toBe(1);
    // The words' weights are sound.
    const messages = [{ role: 'user' as const, content: 'What is it?' }];
    const answer = await client.chat.completions.create({ model: modelId, messages, max_completion_tokens: 2 });
    expect(answer.usage!.completion_tokens).toBeGreaterThan(0);
  });
});

/** The tiny model with a NaN for one weight of the head that draws codes. */
async function copyModelWithNaN(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'checkpoints'));
  await copyFile(path.join(modelFolder, 'STAR_tiny.json'), path.join(folder, 'STAR_tiny.json'));
  for (const name of ['Qwen2.5-VL-tiny-Instruct', 'VQ-Model.pt', 'lumina-image2-tiny']) {
    await symlink(path.join(modelFolder, 'checkpoints', name), path.join(folder, 'checkpoints', name));
  }
  const file = path.join(folder, 'checkpoints/STAR-tiny.pt');
  await copyFile(path.join(modelFolder, 'checkpoints/STAR-tiny.pt'), file);
  await using checkpoint = await openCheckpoint(file);
  const entry = [...checkpoint.entries.values()].find(({ name }) => name.startsWith('pixel_output_head.'))!;
  const handle = await open(file, 'r+');
  // All bits set are a NaN in every float format.
  await handle.write(Buffer.alloc(4, 0xff), 0, 4, entry.offset);
  await handle.close();
}
