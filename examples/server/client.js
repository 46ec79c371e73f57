/** Starts the server, and uses it as any program does that speaks HTTP: with `fetch`, and with OpenAI's client. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';

// `starstack serve --port 0`; a server of your own runs already, and has an address.
const program = fileURLToPath(new URL('cli/main.js', import.meta.resolve('starstack')));
const words = [program, 'serve', '--model', 'nano', '--port', '0', '--no-studio', '--no-log'];
const server = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
const ended = once(server, 'exit');
const { value: url } = await createInterface(server.stdout)[Symbol.asyncIterator]().next();
if (url === undefined) throw new Error('the server did not start');

try {
  while (!(await fetch(`${url}/readyz`)).ok) await sleep(100);
  const asked = { prompt: 'a photo of two red apples', seed: 7 };

  const response = await fetch(`${url}/v1/images/generations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(asked),
  });
  const { data, error } = await response.json();
  if (error) throw new Error(error.message);
  await writeFile('fetched.png', data[0].b64_json, 'base64');

  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
  const { data: models } = await client.models.list();
  const model = models[0].id;
  const pictures = await client.images.generate({ ...asked, model, stream: true, partial_images: 2 });
  for await (const event of pictures) {
    const partial = event.type === 'image_generation.partial_image';
    await writeFile(partial ? `partial-${event.partial_image_index}.png` : 'streamed.png', event.b64_json, 'base64');
  }

  const content = [
    { type: 'image_url', image_url: { url: `data:image/png;base64,${data[0].b64_json}` } },
    { type: 'text', text: 'What color are the apples?' },
  ];
  const messages = [{ role: 'user', content }];
  const answer = await client.chat.completions.create({ model, messages, temperature: 0, stream: true });
  for await (const { choices } of answer) process.stdout.write(choices[0]?.delta.content ?? '');
  console.log();
} finally {
  server.kill(); // accepted requests may finish
  await ended;
}
