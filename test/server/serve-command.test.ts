/** `starstack serve` as a process: what it prints, how it stops. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { installStarstack, models, textOf } from '../cli/starstack.ts';
import { outcomeOf, until } from './serving.ts';

const starstack = installStarstack();

interface Process {
  readonly child: ChildProcess;
  readonly url: string;
  readonly stderr: () => string;
  readonly exit: Promise<unknown[]>;
}

async function start(...words: string[]): Promise<Process> {
  const child = spawn(process.execPath, [starstack.main, 'serve', '--port', '0', '--model', models.a, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit');
  const written = textOf(child);
  await until('listening', () => written.stdout.endsWith('\n') || child.exitCode !== null);
  return { child, url: written.stdout.trim(), stderr: () => written.stderr, exit };
}

test('SIGTERM lets ten requests finish, refuses new ones, and ends with 0', async () => {
  const { child, url, stderr, exit } = await start('--threads', '1');
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  await until('ready', async () => (await fetch(`${url}/readyz`)).status === 200, 40);
  const accepted = Array.from({ length: 10 }, () => outcomeOf(client.images.generate({ prompt: 'a plum' })));
  const depth = async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/^star_queue_depth (\d+)$/m.exec(text)?.[1]);
  };
  await until('all are accepted', async () => (await depth()) >= 8);
  child.kill('SIGTERM');
  await until('the signal was heard', () => /finishing \d+ requests/.test(stderr()));
  const late = await outcomeOf(client.images.generate({ prompt: 'late' }));
  expect(late).toMatchObject({ status: 503, code: 'shutting_down' });
  const outcomes = await Promise.all(accepted);
  expect(outcomes.filter((outcome) => outcome instanceof Error)).toEqual([]);
  expect(await exit).toEqual([0, null]);
  expect(stderr()).toMatch(/POST \/v1\/images\/generations 200 \d+\.\d{3} s req_/);
});

test('a model that is not there ends it with a line', async () => {
  const { code, stderr, stdout } = await starstack.run(['serve', '--port', '0', '--model', 'nowhere']);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/);
  expect(stderr).toMatch(/^starstack serve: .*nowhere/);
});

test.each([
  [['--port', '70000'], /option --port: Too big/],
  [['--queue', '0'], /option --queue: Too small/],
  [['--api-key-file', 'nowhere.txt'], /cannot read nowhere\.txt/],
])('%j is refused', async (words, message) => {
  const { code, stderr } = await starstack.run(['serve', ...words]);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});
