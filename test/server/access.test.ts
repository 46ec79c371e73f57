/** Who is answered, and how much of what they send is read. */
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { openApiDocument } from '../../src/server/openapi.ts';
import { outcomeOf, picturePath, serve } from './serving.ts';

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

/** A request with any headers, also those that `fetch` keeps to itself; the body is sent in chunks, without its length. */
function ask(url: string, headers: Record<string, string>, method = 'GET', body?: Iterable<Buffer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers, body: text }));
    });
    sent.on('error', reject);
    for (const chunk of body ?? []) sent.write(chunk);
    sent.end();
  });
}

const codeOf = ({ body }: Answer) => (JSON.parse(body) as { error?: { code: string } }).error?.code;

describe('with a key', () => {
  const key = 'a-key-of-some-length';
  const serving = serve({ apiKey: key, maxBody: 1, maxFile: 0.1, maxPixels: 1_000_000 });
  const json = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };

  test('every route but the public ones asks for it', async () => {
    const routes = Object.keys(openApiDocument().paths).map((route) => route.replace('{id}', 'x'));
    const open: string[] = [];
    for (const route of [...routes, '/v1/nothing']) {
      for (const method of ['GET', 'POST']) {
        const { status, body } = await ask(serving.url + route, {}, method);
        if (status === 401) expect(JSON.parse(body)).toMatchObject({ error: { type: 'authentication_error' } });
        else open.push(`${method} ${route}`);
      }
    }
    // The page is public, so that it can ask for the key.
    expect(open).toEqual(['GET /', 'GET /healthz', 'GET /readyz']);
  });

  test.each([
    ['none', {}, 401],
    ['another', { authorization: 'Bearer a-key-of-some-lengtH' }, 401],
    ['another form', { authorization: key }, 401],
    ['the right one', { authorization: `Bearer ${key}` }, 200],
  ])('%s', async (_, headers, status) => {
    expect((await ask(`${serving.url}/v1/models`, headers)).status).toBe(status);
  });

  test('bodies over the limit are refused while they are read', async () => {
    const chunks = function* () {
      yield Buffer.from('{"prompt":"');
      for (let kibibytes = 0; kibibytes < 1100; kibibytes++) yield Buffer.alloc(1024, 97);
      yield Buffer.from('"}');
    };
    const answer = await ask(`${serving.url}/v1/images/generations`, json, 'POST', chunks());
    expect([answer.status, codeOf(answer)]).toEqual([413, 'payload_too_large']);
  });

  test('files over the limit are refused while they are read', async () => {
    const form = new FormData();
    form.set('prompt', 'x');
    form.set('image', new Blob([Buffer.alloc(200_000, 1)]), 'x.png');
    const headers = { authorization: json.authorization };
    const answer = await fetch(`${serving.url}/v1/images/edits`, { method: 'POST', headers, body: form });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ error: { code: 'payload_too_large', type: 'invalid_request_error' } });
  });

  test.each([
    [
      'a bomb',
      async () => sharp({ create: { width: 4000, height: 4000, channels: 3, background: '#fff' } }).png(),
      413,
    ],
    ['a drawing', async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 400],
    ['an animation', async () => sharp(picturePath).gif(), 400],
    ['a scan', async () => sharp(picturePath).tiff(), 400],
    ['a line', async () => sharp({ create: { width: 1, height: 900, channels: 3, background: '#fff' } }).png(), 400],
  ])('%s is refused', async (_, make, status) => {
    const made = await make();
    const bytes = Buffer.isBuffer(made) ? made : await made.toBuffer();
    const body = JSON.stringify({ prompt: 'x', images: [{ image_url: bytes.toString('base64') }] });
    const answer = await ask(`${serving.url}/v1/images/edits`, json, 'POST', [Buffer.from(body)]);
    expect([answer.status, answer.body]).toEqual([status, expect.stringMatching(/invalid_image|payload_too_large/)]);
    expect(answer.body).not.toMatch(/vips|sharp/i);
  });
});

describe('on loopback', () => {
  const serving = serve({ allowHost: ['studio.example'], allowOrigin: ['https://studio.example'] });
  const get = (headers: Record<string, string>) => ask(`${serving.url}/v1/models`, headers);

  test.each([
    ['localhost', 200],
    ['127.0.0.1:80', 200],
    ['[::1]:80', 200],
    ['studio.example', 200],
    ['evil.example', 403],
    ['localhost.evil.example', 403],
    ['127.0.0.1.evil.example', 403],
  ])('the host %s gets %i', async (host, status) => {
    expect((await get({ host })).status).toBe(status);
  });

  test.each([
    ['http://localhost:5173', 200],
    ['https://studio.example', 200],
    ['https://evil.example', 403],
    ['http://localhost.evil.example', 403],
    ['null', 403],
  ])('a page of %s gets %i', async (origin, status) => {
    const { status: got, headers } = await get({ origin });
    expect(got).toBe(status);
    expect(headers['access-control-allow-origin']).toBe(status === 200 ? origin : undefined);
  });

  test('a browser may send what the client sends', async () => {
    const asked = 'authorization, content-type, x-stainless-lang';
    const preflight = { origin: 'http://localhost:5173', 'access-control-request-method': 'POST' };
    const answer = await ask(
      `${serving.url}/v1/chat/completions`,
      { ...preflight, 'access-control-request-headers': asked },
      'OPTIONS',
    );
    expect(answer.status).toBe(204);
    expect(answer.headers['access-control-allow-headers']).toBe(asked);
    const stranger = await ask(`${serving.url}/v1/models`, { ...preflight, origin: 'https://evil.example' }, 'OPTIONS');
    expect(stranger.status).toBe(403);
  });

  test('a body of another kind is refused', async () => {
    const body = [Buffer.from('{"prompt":"x"}')];
    const answer = await ask(`${serving.url}/v1/images/generations`, { 'content-type': 'text/plain' }, 'POST', body);
    expect([answer.status, codeOf(answer)]).toEqual([415, 'unsupported_media_type']);
  });

  test('what is no HTTP gets an answer, and the server lives', async () => {
    const port = Number(new URL(serving.url).port);
    const say = (text: string) =>
      new Promise<string>((resolve, reject) => {
        let got = '';
        const socket = connect(port, '127.0.0.1', () => socket.write(text));
        socket.setEncoding('utf8').on('data', (part: string) => {
          got += part;
        });
        socket.on('close', () => resolve(got)).on('error', reject);
      });
    expect(await say('\u0001\u0002 nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 [\s\S]*"invalid_request_error"/);
    const climbing = await say(
      'GET /v1/models/../../etc/passwd HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
    );
    expect(climbing).toMatch(/^HTTP\/1\.1 404 /);
    expect((await fetch(`${serving.url}/healthz`)).status).toBe(200);
  });

  test('the document lists the routes, with their defaults, and those that the model has only in words', async () => {
    const document = (await (await fetch(`${serving.url}/openapi.json`)).json()) as ReturnType<typeof openApiDocument>;
    for (const [route, methods] of Object.entries(document.paths)) {
      const method = 'post' in methods ? 'POST' : 'GET';
      const answer = await ask(serving.url + route, { 'content-type': 'application/json' }, method);
      expect(answer.body).not.toContain('route_not_found');
    }
    const { requestBody } = document.paths['/v1/images/generations'].post as never as {
      requestBody: {
        content: {
          'application/json': { schema: { properties: Record<string, { default?: unknown; description: string }> } };
        };
      };
    };
    const { properties } = requestBody.content['application/json'].schema;
    expect([properties.n!.default, properties.guidance!.default]).toEqual([1, undefined]);
    expect(properties.guidance!.description).toMatch(/Default the model's, else 1\.1/);
  });

  test('the client asks from a page of its own', async () => {
    const client = serving.client({ defaultHeaders: { origin: 'https://studio.example' } });
    expect(await outcomeOf(client.models.list())).not.toBeInstanceOf(Error);
  });
});
