/** Pictures at URLs: only from origins that were listed, never from a private address behind a name, bounded and not redirected. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelId, outcomeOf, picturePath, serve } from './serving.ts';

const picture = await readFile(picturePath);

/** A host of pictures that also does what bad ones do. */
const asked: string[] = [];
const host: Server = createServer((request, response) => {
  asked.push(request.url!);
  switch (request.url) {
    case '/picture.png':
      response.end(picture);
      break;
    case '/moved':
      response.writeHead(302, { location: '/picture.png' }).end();
      break;
    case '/endless': {
      // No length is told beforehand.
      const more = () => {
        while (response.write(Buffer.alloc(1 << 16))) if (response.destroyed) return;
        response.once('drain', more);
      };
      more();
      break;
    }
    case '/silent':
      break;
    case '/broken':
      response.writeHead(503).end();
      break;
    default:
      response.writeHead(404).end();
  }
});
await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
const { port } = host.address() as AddressInfo;
const listed = `http://127.0.0.1:${port}`;
/** A name that leads to a private address, as one that was rebound would. */
const named = `http://localhost:${port}`;
afterAll(() => {
  host.closeAllConnections();
  host.close();
});

const serving = serve({ allowImageOrigin: [listed, named], maxFile: 1 });
let ask: (...urls: string[]) => Promise<OpenAI.ChatCompletion>;
beforeAll(() => {
  ask = (...urls) =>
    serving.client().chat.completions.create({
      model: modelId,
      seed: 1,
      max_completion_tokens: 4,
      messages: [
        {
          role: 'user',
          content: [
            ...urls.map((url) => ({ type: 'image_url' as const, image_url: { url } })),
            { type: 'text', text: 'What is it?' },
          ],
        },
      ],
    });
});

describe('a picture at a URL', () => {
  test('is read as one that is sent', async () => {
    const sent = await ask(`data:image/png;base64,${picture.toString('base64')}`);
    const fetched = await ask(`${listed}/picture.png`);
    expect(fetched.choices[0]!.message).toEqual(sent.choices[0]!.message);
    expect(fetched.usage).toEqual(sent.usage);
  });

  test('may be edited', async () => {
    const response = await fetch(`${serving.url}/v1/images/edits`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: modelId, prompt: 'a cup', images: [{ image_url: `${listed}/picture.png` }] }),
    });
    expect(response.status).toBe(200);
    expect(((await response.json()) as { data: unknown[] }).data).toHaveLength(1);
  });

  test.each([
    ['another port', () => `http://127.0.0.1:${port + 1}/picture.png`, { status: 400, code: 'url_not_allowed' }],
    ['the metadata of a cloud', () => 'http://169.254.169.254/', { status: 400, code: 'url_not_allowed' }],
    ['a password', () => listed.replace('//', '//me:secret@'), { status: 400, code: 'url_not_allowed' }],
    ['a name with a private address', () => `${named}/picture.png`, { status: 400, code: 'url_not_allowed' }],
    ['a file', () => 'file:///etc/passwd', { status: 400, code: 'url_not_allowed' }],
    ['a redirect', () => `${listed}/moved`, { status: 422, code: 'image_fetch_failed' }],
    ['nothing there', () => `${listed}/none`, { status: 422, code: 'image_fetch_failed' }],
    ['a host in trouble', () => `${listed}/broken`, { status: 502, code: 'image_fetch_failed' }],
    ['a body without end', () => `${listed}/endless`, { status: 413, code: 'payload_too_large' }],
  ])('is refused: %s', async (_, url, expected) => {
    asked.length = 0;
    const error = await outcomeOf(ask(url()));
    expect(error).toMatchObject({ ...expected, param: 'messages.0.content.0.image_url' });
    expect(asked).toHaveLength(url().startsWith(listed) && !url().includes('@') ? 1 : 0);
  });

  test('that does not come is given up', { timeout: 20_000 }, async () => {
    expect(await outcomeOf(ask(`${listed}/silent`))).toMatchObject({ status: 504, code: 'image_fetch_failed' });
  });

  test('is not fetched where another one of the request is refused', async () => {
    asked.length = 0;
    const error = await outcomeOf(ask(`${listed}/picture.png`, 'http://192.168.0.1/'));
    expect(error).toMatchObject({ status: 400, code: 'url_not_allowed' });
    expect(asked).toEqual([]);
  });
});
