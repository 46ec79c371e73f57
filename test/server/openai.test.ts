/** The official client against a real server. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import type OpenAI from 'openai';
import { APIError, toFile } from 'openai';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { decodeImage, readImage, sniffImageFormat } from '../../src/image/decode.ts';
import { resizeImage } from '../../src/image/resize.ts';
import { readRecipe } from '../../src/tasks/recipe.ts';
import { readReferenceMeta } from '../reference-vectors.ts';
import { modelId, outcomeOf, picturePath, serve } from './serving.ts';

const serving = serve();
const { understand } = readReferenceMeta('tiny-a') as { understand: { question: string; answer: string } };
const picture = await readFile(picturePath);
const dataUrl = `data:image/png;base64,${picture.toString('base64')}`;
const png = (name = 'picture.png', bytes: Uint8Array = picture) => toFile(bytes, name, { type: 'image/png' });

/** Fields of ours that the client's types do not know; it sends them as they are. */
const ours = (fields: object) => fields as Record<never, never>;
const bytesOf = (base64: string | undefined) => Buffer.from(base64 ?? '', 'base64');

describe('models', () => {
  test('are listed and looked up', async () => {
    const { data } = await serving.client().models.list();
    expect(data.map(({ id, object, owned_by }) => ({ id, object, owned_by }))).toEqual([
      { id: modelId, object: 'model', owned_by: 'starstack' },
    ]);
    expect((await serving.client().models.retrieve(modelId)).id).toBe(modelId);
    expect(await outcomeOf(serving.client().models.retrieve('gpt-image-2'))).toMatchObject({
      status: 404,
      code: 'model_not_found',
      type: 'not_found_error',
      requestID: expect.stringMatching(/^req_/),
    });
  });
});

describe('generations', () => {
  test('are the pictures of the library, with their recipe', async () => {
    const { images } = await serving.star.generate('a red apple', { seed: 7, topK: 50, count: 2 });
    const answer = await serving.client().images.generate({
      model: modelId,
      prompt: 'a red apple',
      n: 2,
      size: '24x24' as '256x256',
      quality: 'auto',
      ...ours({ seed: 7, top_k: 50 }),
    });
    expect(answer).toMatchObject({ size: '24x24', output_format: 'png', background: 'opaque', quality: 'auto' });
    const seeds: number[] = [];
    for (const [index, { b64_json }] of answer.data!.entries()) {
      const file = bytesOf(b64_json);
      expect((await decodeImage(file)).data).toEqual(images[index]!.data);
      const recipe = readRecipe(file, 'answer');
      expect(recipe.settings.topK).toBe(50);
      seeds.push(recipe.seed);
    }
    expect(seeds).toEqual([7, 8]);
    const { usage } = answer;
    expect(usage).toMatchObject({ output_tokens: 72, input_tokens_details: { image_tokens: 0 } });
    expect(usage!.input_tokens).toBeGreaterThan(3);
    expect(usage!.total_tokens).toBe(usage!.input_tokens + 72);
  });

  test.each([
    ['jpeg', 40],
    ['webp', undefined],
  ] as const)('come as %s', async (output_format, output_compression) => {
    const { data } = await serving.client().images.generate({
      prompt: 'a plum',
      output_format,
      ...(output_compression ? { output_compression } : {}),
    });
    expect(sniffImageFormat(bytesOf(data![0]!.b64_json))).toBe(output_format);
  });

  test('tell the thought that was drawn', async () => {
    const fields = ours({ reasoning: true, reasoning_max_tokens: 4, seed: 1 });
    const { data } = await serving.client().images.generate({ prompt: 'a plum', ...fields });
    expect(data![0]!.revised_prompt).toBe(readRecipe(bytesOf(data![0]!.b64_json), 'answer').thought);
  });

  test('say which fields had no effect', async () => {
    const fields = { style: 'vivid', user: 'me', quality: 'high' } as const;
    const answer = await serving.client().images.generate({ prompt: 'a plum', ...fields });
    const { warnings } = answer as unknown as { warnings: { message: string }[] };
    expect(warnings.map(({ message }) => message.split(' ')[0])).toEqual(['style', 'user', 'quality']);
  });

  test('are streamed with partial pictures; the last event is the whole one', async () => {
    const { images } = await serving.star.generate('a red apple', { seed: 7 });
    const stream = await serving.client().images.generate({
      prompt: 'a red apple',
      stream: true,
      partial_images: 2,
      ...ours({ seed: 7 }),
    });
    const events: OpenAI.Images.ImageGenStreamEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events.map(({ type }) => type)).toEqual([
      'image_generation.partial_image',
      'image_generation.partial_image',
      'image_generation.completed',
    ]);
    const partials = events.slice(0, 2) as OpenAI.Images.ImageGenPartialImageEvent[];
    expect(partials.map((event) => event.partial_image_index)).toEqual([0, 1]);
    const last = events[2] as OpenAI.Images.ImageGenCompletedEvent;
    expect((await decodeImage(bytesOf(last.b64_json))).data).toEqual(images[0]!.data);
    expect(last.usage.output_tokens).toBe(36);
    for (const event of events) {
      expect(event).toMatchObject({ size: '24x24', output_format: 'png', background: 'opaque', quality: 'auto' });
      expect(Math.abs(event.created_at - Date.now() / 1000)).toBeLessThan(60);
    }
    expect(partials[0]!.b64_json).not.toBe(partials[1]!.b64_json);
  });

  test('tell of each row when asked to', async () => {
    const fields = ours({ progress: true });
    const stream = await serving.client().images.generate({ prompt: 'a plum', stream: true, ...fields });
    const done: unknown[] = [];
    for await (const event of stream as AsyncIterable<object>) {
      if ('done_tokens' in event) done.push(event.done_tokens);
    }
    expect(done).toEqual([6, 12, 18, 24, 30, 36]);
  });
});

describe('edits', () => {
  test('of one picture are those of the library, as form and as JSON', async () => {
    const { images } = await serving.star.edit(picturePath, 'make it green', { seed: 4 });
    const fields = { prompt: 'make it green', ...ours({ seed: 4 }) };
    const file = await serving.client().images.edit({ image: await png(), ...fields });
    expect((await decodeImage(bytesOf(file.data![0]!.b64_json))).data).toEqual(images[0]!.data);
    expect(file.usage!.input_tokens_details.image_tokens).toBeGreaterThan(36);
    const list = await serving.client().images.edit({ image: [createReadStream(picturePath)], ...fields });
    expect(list.data![0]!.b64_json).toBe(file.data![0]!.b64_json);
    const json = await serving.client().post<OpenAI.ImagesResponse>('/images/edits', {
      body: { images: [{ image_url: dataUrl }], ...fields },
    });
    expect(json.data![0]!.b64_json).toBe(file.data![0]!.b64_json);
  });

  test('of several pictures are refused', async () => {
    const image = [await png('a.png'), await png('b.png')];
    expect(await outcomeOf(serving.client().images.edit({ image, prompt: 'join them' }))).toMatchObject({
      status: 400,
      code: 'too_many_images',
      param: 'image',
    });
  });

  test('keep every pixel under the opaque part of a mask', async () => {
    const source = await readImage(picturePath);
    const { width, height } = source;
    // The left half is opaque.
    const rgba = Buffer.alloc(width * height * 4);
    for (let pixel = 0; pixel < width * height; pixel++) rgba[4 * pixel + 3] = pixel % width < width / 2 ? 255 : 0;
    const mask = await sharp(rgba, { raw: { width, height, channels: 4 } })
      .png()
      .toBuffer();
    const fields = { prompt: 'make it green', ...ours({ seed: 4 }) };
    const free = await serving.star.edit(picturePath, 'make it green', { seed: 4 });
    const { data } = await serving
      .client()
      .images.edit({ image: await png(), mask: await png('mask.png', mask), ...fields });
    const edited = await decodeImage(bytesOf(data![0]!.b64_json));
    const kept = resizeImage(source, 24, 24, 'bilinear');
    const column = (image: { data: Uint8Array }, x: number) =>
      Array.from({ length: 24 }, (_, y) => [...image.data.subarray((y * 24 + x) * 3, (y * 24 + x) * 3 + 3)]);
    for (let x = 0; x < 10; x++) expect(column(edited, x)).toEqual(column(kept, x));
    for (let x = 14; x < 24; x++) expect(column(edited, x)).toEqual(column(free.images[0]!, x));
    expect(column(free.images[0]!, 3)).not.toEqual(column(kept, 3));
    expect(readRecipe(bytesOf(data![0]!.b64_json), 'answer').settings.mask).toBe(true);

    const wrong = await sharp(rgba, { raw: { width, height, channels: 4 } })
      .resize(8, 8)
      .png()
      .toBuffer();
    const refused = serving.client().images.edit({ image: await png(), mask: await png('mask.png', wrong), ...fields });
    expect(await outcomeOf(refused)).toMatchObject({ status: 400, code: 'invalid_mask', param: 'mask' });
    const opaque = serving.client().images.edit({ image: await png(), mask: await png(), ...fields });
    expect(await outcomeOf(opaque)).toMatchObject({ status: 400, code: 'invalid_mask', param: 'mask' });
  });

  test('are streamed', async () => {
    const fields = { prompt: 'make it green', stream: true, partial_images: 1 } as const;
    const stream = await serving.client().images.edit({ image: await png(), ...fields });
    const types: string[] = [];
    for await (const { type } of stream) types.push(type);
    expect(types).toEqual(['image_edit.partial_image', 'image_edit.completed']);
  });
});

describe('chat', () => {
  const greedy = { temperature: 0, max_completion_tokens: 6, ...ours({ repetition_penalty: 1 }) };
  const content = (image: object | string): OpenAI.ChatCompletionContentPart[] => [
    { type: 'image_url', image_url: image as OpenAI.ChatCompletionContentPartImage.ImageURL },
    { type: 'text', text: understand.question },
  ];

  test('answers about a picture as the library does', async () => {
    const library = await serving.star.understand(picturePath, understand.question, {
      temperature: 0,
      repetitionPenalty: 1,
      maxNewTokens: 6,
    });
    expect(understand.answer.startsWith(library.answer)).toBe(true);
    for (const image of [{ url: dataUrl, detail: 'high' }, dataUrl, picture.toString('base64')]) {
      const answer = await serving
        .client()
        .chat.completions.create({ model: modelId, messages: [{ role: 'user', content: content(image) }], ...greedy });
      expect(answer.object).toBe('chat.completion');
      expect(answer.choices).toMatchObject([
        { index: 0, message: { role: 'assistant', content: library.answer }, finish_reason: 'length' },
      ]);
      const { promptTokens } = library;
      expect(answer.usage).toEqual({
        prompt_tokens: promptTokens,
        completion_tokens: 6,
        total_tokens: promptTokens + 6,
      });
    }
  });

  test('ends before a stop, of which no chunk shows a part', async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: content(dataUrl) }];
    const request = { model: modelId, messages, ...greedy };
    const whole = (await serving.client().chat.completions.create(request)).choices[0]!.message.content!;
    const place = Math.floor(whole.length / 2);
    const stop = ['never said', whole.slice(place, place + 4)];
    const before = whole.slice(0, whole.indexOf(stop[1]!));
    const { choices, usage } = await serving.client().chat.completions.create({ ...request, stop });
    expect(choices).toMatchObject([{ message: { content: before }, finish_reason: 'stop' }]);
    expect(usage!.completion_tokens).toBeLessThan(6);
    const stream = await serving.client().chat.completions.create({ ...request, stop: stop[1]!, stream: true });
    let text = '';
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      expect(before.startsWith(text)).toBe(true);
    }
    expect(text).toBe(before);
  });

  test('streams several turns with two pictures, and the usage last', async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: content({ url: dataUrl }) },
      { role: 'assistant', content: 'A star.' },
      { role: 'user', content: [...content({ url: dataUrl }), { type: 'text', text: 'And now?' }] },
    ];
    const request = { model: modelId, messages, ...greedy };
    const whole = await serving.client().chat.completions.create(request);
    const options = { stream: true, stream_options: { include_usage: true } } as const;
    const stream = await serving.client().chat.completions.create({ ...request, ...options });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(new Set(chunks.map(({ id, created }) => `${id} ${created}`)).size).toBe(1);
    expect(chunks[0]!.choices[0]!.delta.role).toBe('assistant');
    const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
    expect(text).toBe(whole.choices[0]!.message.content);
    expect(chunks.flatMap(({ choices }) => choices.map((choice) => choice.finish_reason)).at(-1)).toBe('length');
    expect(chunks.at(-1)!.choices).toEqual([]);
    expect(chunks.at(-1)!.usage).toEqual(whole.usage);
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });
});

describe('errors', () => {
  const images = () => serving.client().images;
  const chat = (fields: object) =>
    serving
      .client()
      .chat.completions.create({ model: modelId, messages: [], ...fields } as never) as PromiseLike<unknown>;
  const ask = (image_url: string) =>
    chat({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url }] }] });
  const long = 'word '.repeat(5000);

  test.each<[string, () => PromiseLike<unknown>, object]>([
    [
      'another model',
      () => images().generate({ prompt: 'x', model: 'dall-e-3' }),
      { status: 404, code: 'model_not_found' },
    ],
    ['no prompt', () => images().generate({} as never), { code: 'missing_required_parameter', param: 'prompt' }],
    ['an empty prompt', () => images().generate({ prompt: ' ' }), { code: 'invalid_prompt', param: 'prompt' }],
    ['a prompt over the context', () => images().generate({ prompt: long }), { code: 'context_length_exceeded' }],
    ['n of 11', () => images().generate({ prompt: 'x', n: 11 }), { code: 'invalid_value', param: 'n' }],
    ['n with stream', () => images().generate({ prompt: 'x', n: 2, stream: true }), { param: 'n' }],
    ['a size', () => images().generate({ prompt: 'x', size: '1024x1024' }), { code: 'invalid_value', param: 'size' }],
    ['url', () => images().generate({ prompt: 'x', response_format: 'url' }), { param: 'response_format' }],
    ['transparency', () => images().generate({ prompt: 'x', background: 'transparent' }), { param: 'background' }],
    ['top_p of 3', () => images().generate({ prompt: 'x', ...ours({ top_p: 3 }) }), { param: 'top_p' }],
    ['steps of vq', () => images().generate({ prompt: 'x', ...ours({ steps: 3 }) }), { param: 'steps' }],
    [
      'a field',
      () => images().generate({ prompt: 'x', ...ours({ topp: 1 }) }),
      { code: 'unknown_parameter', param: 'topp' },
    ],
    ['no messages', () => chat({}), { param: 'messages' }],
    [
      'tools',
      () => chat({ messages: [{ role: 'user', content: 'x' }], tools: [{ type: 'function' }] }),
      { param: 'tools.0' },
    ],
    ['an empty stop', () => chat({ messages: [{ role: 'user', content: 'x' }], stop: [''] }), { param: 'stop.0' }],
    [
      'five stops',
      () => chat({ messages: [{ role: 'user', content: 'x' }], stop: [...'abcde'] }),
      { param: 'stop', message: expect.stringContaining('expected array to have <=4 items') },
    ],
    [
      'a URL',
      () => ask('http://169.254.169.254/'),
      { code: 'url_not_allowed', param: 'messages.0.content.0.image_url' },
    ],
    ['a file', () => ask('file:///etc/passwd'), { code: 'url_not_allowed' }],
    ['no base64', () => ask('data:image/png;base64,####'), { code: 'invalid_image' }],
    ['no picture', () => ask('data:image/png;base64,AAAA'), { code: 'invalid_image' }],
    ['a picture that is cut', () => ask(dataUrl.slice(0, 100)), { code: 'invalid_image' }],
  ])('of %s', async (_, call, expected) => {
    const error = await outcomeOf(call());
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 400, type: expect.stringMatching(/_error$/), ...expected });
    // Names of decoders and of files tell strangers too much.
    expect((error as Error).message).not.toMatch(/sharp|vips|png:|node_modules|\/src\//i);
  });

  test('have all four keys, and the id that was sent', async () => {
    const answer = await fetch(`${serving.url}/v1/images/generations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'mine-1' },
      body: '{"prompt": ',
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get('x-request-id')).toBe('mine-1');
    expect(await answer.json()).toEqual({
      error: {
        message: 'the body is not valid JSON',
        type: 'invalid_request_error',
        param: null,
        code: 'invalid_json',
      },
    });
  });

  test('after the stream has begun come as an event', async () => {
    // The first request makes the second wait, which opens its stream.
    const first = images().generate({ prompt: 'x', n: 4 });
    const stream = await images().generate({ prompt: long, stream: true, ...ours({ progress: true }) });
    const read = async () => {
      const types: string[] = [];
      for await (const { type } of stream) types.push(type);
      return types;
    };
    expect(await outcomeOf(read())).toMatchObject({ code: 'context_length_exceeded', type: 'invalid_request_error' });
    await first;
  });

  test('of a form that is none, or is cut off', async () => {
    const whole = '--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\ngreen\r\n--x--\r\n';
    for (const [type, body] of [
      ['multipart/form-data', whole],
      ['multipart/form-data; boundary=y', whole],
      ['multipart/form-data; boundary=x', whole.slice(0, -8)],
      // A part whose header cannot be read, longer than what the parser takes at once.
      ['multipart/form-data; boundary=x', `--x\r\nname="image"\r\n\r\n${'.'.repeat(100_000)}\r\n${whole}`],
    ]) {
      const headers = { 'content-type': type! };
      const answer = await fetch(`${serving.url}/v1/images/edits`, { method: 'POST', headers, body });
      const { error } = (await answer.json()) as { error: { code: string } };
      expect([answer.status, error.code]).toEqual([400, 'invalid_multipart']);
    }
  });

  test('are not given to a form that comes slowly', { timeout: 30_000 }, async () => {
    const form = new FormData();
    form.set('prompt', 'make it green');
    form.set('image', new Blob([picture], { type: 'image/png' }), 'in.png');
    const whole = new Request(serving.url, { method: 'POST', body: form });
    const type = whole.headers.get('content-type')!;
    const bytes = Buffer.from(await whole.arrayBuffer());
    const status = await new Promise((resolve, reject) => {
      const sent = request(`${serving.url}/v1/images/edits`, { method: 'POST', headers: { 'content-type': type } });
      sent.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject);
      sent.write(bytes.subarray(0, -100));
      setTimeout(() => sent.end(bytes.subarray(-100)), 3000);
    });
    expect(status).toBe(200);
  });

  test('of a prompt that no PNG can carry', async () => {
    for (const prompt of ['a\0plum', 'a \ud800 plum']) {
      const error = await outcomeOf(serving.client().images.generate({ prompt }));
      expect(error).toMatchObject({ status: 400, code: 'invalid_prompt' });
    }
  });

  test('of a route that is not there', async () => {
    expect(await outcomeOf(serving.client().embeddings.create({ model: modelId, input: 'x' }))).toMatchObject({
      status: 404,
      code: 'route_not_found',
    });
  });
});
