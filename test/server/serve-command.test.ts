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

test('300 pictures in a row leave its memory as it was', async () => {
  const { child, url, exit } = await start('--threads', '1');
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  await until('ready', async () => (await fetch(`${url}/readyz`)).status === 200, 40);
  const resident = async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1]) / 2 ** 20;
  };
  /** Draws so many pictures and gives the median of the memory after each of them, in MiB. */
  const draw = async (count: number) => {
    const seen: number[] = [];
    for (let seed = 0; seed < count; seed++) {
      const { data } = await client.images.generate({ prompt: 'a plum', ...{ seed } });
      expect(data).toHaveLength(1);
      seen.push(await resident());
    }
    return seen.sort((a, b) => a - b)[Math.floor(count / 2)]!;
  };
  // Until then the engine's arenas and the compiler's code still grow.
  await draw(50);
  const early = await draw(50);
  await draw(150);
  const late = await draw(50);
  console.log(`resident memory: ${early.toFixed(1)} MiB after 100 pictures, ${late.toFixed(1)} MiB after 300`);
  // Asked are 10 %; it moves by some 4 to 8 MiB.
  expect(late).toBeLessThan(early + 16);
  child.kill('SIGTERM');
  expect(await exit).toEqual([0, null]);
}, 600_000);

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
