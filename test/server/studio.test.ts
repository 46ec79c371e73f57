/** The studio's files over HTTP, and what the server tells it that OpenAI's API does not. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { serve } from './serving.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'starstack-web-'));
await mkdir(path.join(folder, 'assets'));
await writeFile(path.join(folder, 'index.html'), '<!doctype html><title>studio</title>');
await writeFile(path.join(folder, 'favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
await writeFile(path.join(folder, 'assets', 'index-abc.js'), 'export {};');
await writeFile(path.join(folder, 'assets', 'index-abc.css'), 'a{}');
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a server with a key', () => {
  const serving = serve({ studio: folder, apiKey: 'a-long-secret' });
  const get = (route: string, headers: Record<string, string> = {}) => fetch(`${serving.url}${route}`, { headers });

  test.each([
    ['/', 'text/html; charset=utf-8', 'public, max-age=0'],
    ['/favicon.svg', 'image/svg+xml', 'public, max-age=0'],
    ['/assets/index-abc.js', 'application/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
    ['/assets/index-abc.css', 'text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
  ])('gives %s to everyone, isolated and without anything from elsewhere', async (route, type, caching) => {
    const answer = await get(route);
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': type,
      'cache-control': caching,
      'content-security-policy': expect.stringMatching(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/),
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'x-content-type-options': 'nosniff',
    });
  });

  test('gives nothing else away', async () => {
    expect((await get('/v1/models')).status).toBe(401);
    expect((await get('/metrics')).status).toBe(401);
    for (const route of ['/assets/nothing.js', '/assets/..%2f..%2fpackage.json', '/assets/']) {
      expect([401, 403, 404], route).toContain((await get(route)).status);
    }
  });
});

describe('a server that watches a training', async () => {
  const run = await mkdtemp(path.join(tmpdir(), 'starstack-run-'));
  await mkdir(path.join(run, 'generation', 'previews'), { recursive: true });
  await mkdir(path.join(run, 'model'));
  await writeFile(path.join(run, 'generation', 'metrics.jsonl'), '{"step":1}\n');
  await writeFile(path.join(run, 'generation', 'previews', 'step-00000500.png'), 'a sheet');
  await writeFile(path.join(run, 'generation', 'state.json'), '{}');
  await writeFile(path.join(run, 'model', 'weights.safetensors'), 'weights');
  afterAll(() => rm(run, { recursive: true, force: true }));
  const serving = serve({ studio: false, training: run, apiKey: 'a-long-secret' });
  const get = (route: string, headers: Record<string, string> = {}) =>
    fetch(`${serving.url}${route}`, { headers: { authorization: 'Bearer a-long-secret', ...headers } });

  test('lists its stages, and gives their logs and sheets', async () => {
    expect(await (await get('/training')).json()).toMatchObject({
      object: 'list',
      data: [
        {
          stage: 'generation',
          log: '/training/generation/metrics.jsonl',
          previews: [{ step: 500, picture: '/training/generation/previews/step-00000500.png' }],
        },
      ],
    });
    expect(await (await get('/training/generation/previews/step-00000500.png')).text()).toBe('a sheet');
    const rest = await get('/training/generation/metrics.jsonl', { range: 'bytes=7-' });
    expect([rest.status, await rest.text(), rest.headers.get('content-range')]).toEqual([
      206,
      ':1}\n',
      'bytes 7-10/11',
    ]);
    expect((await get('/training/generation/metrics.jsonl', { range: 'bytes=11-' })).status).toBe(416);
  });

  test('gives nothing else of the folder away, and nothing without the key', async () => {
    for (const name of [
      'generation/state.json',
      'model/weights.safetensors',
      'generation/',
      'generation/previews/',
      'generation/..%2fmodel%2fweights.safetensors',
      '..%2f..%2fetc%2fpasswd',
    ]) {
      expect([400, 403, 404], name).toContain((await get(`/training/${name}`)).status);
    }
    expect((await fetch(`${serving.url}/training`)).status).toBe(401);
    expect((await fetch(`${serving.url}/training/generation/metrics.jsonl`)).status).toBe(401);
  });
});

describe('a server without the studio', () => {
  const serving = serve({ studio: false });

  test('watches no training unless it is told to', async () => {
    expect(await (await fetch(`${serving.url}/training`)).json()).toEqual({ object: 'list', data: [] });
    expect((await fetch(`${serving.url}/training/generation/metrics.jsonl`)).status).toBe(404);
  });

  test('has nothing at /', async () => {
    const answer = await fetch(serving.url);
    expect([answer.status, ((await answer.json()) as { error: object }).error]).toMatchObject([
      404,
      { code: 'route_not_found' },
    ]);
  });

  test('tells the settings of each task with their ranges and the defaults of the model', async () => {
    const { settings, decoders } = (await (
      await fetch(`${serving.url}/v1/models/${serving.star.model.folder.star.modelName}`)
    ).json()) as {
      settings: Record<string, Record<string, object>>;
      decoders: string[];
    };
    expect(decoders[0]).toBe('vq');
    expect(settings.generate).toMatchObject({
      guidance: { type: 'number', minimum: 0, maximum: 1000, default: 1.1 },
      top_p: { exclusiveMinimum: 0, maximum: 1, default: 0.8 },
      reasoning: { type: 'boolean', default: false },
      steps: { type: 'integer', decoder: 'diffusion' },
    });
    expect(settings.generate).not.toHaveProperty('vq_guidance');
    expect(settings.edit).toHaveProperty('vq_guidance');
    expect(settings.understand).toMatchObject({ max_completion_tokens: { default: 256, minimum: 1 } });
  });

  test('tells when drawing starts, with the seed', async () => {
    const answer = await fetch(`${serving.url}/v1/images/generations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'a plum', stream: true, progress: true, seed: 5 }),
    });
    const text = await answer.text();
    expect(text).toContain(
      'event: image_generation.started\ndata: {"type":"image_generation.started","seed":5,"total_tokens":36}\n\n',
    );
  });
});

describe('a studio that is not built', () => {
  const serving = serve({ studio: path.join(folder, 'assets') });

  test('is told of at /', async () => {
    const answer = await fetch(serving.url);
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    expect([answer.status, error.code]).toEqual([404, 'studio_missing']);
    expect(error.message).toMatch(/expected dist\/web\/index\.html; run npm run build/);
  });
});
