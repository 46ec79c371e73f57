import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { slowFeeds, vector } from '../../test/runtime/contract.ts';
import { doubleProgram, linearProgram, powerProgram } from '../../test/runtime/programs.ts';
import { NodeHost } from './node-host.ts';
import { Runtime } from './runtime.ts';
import { WorkerRuntime } from './worker-runtime.ts';

const device = { requested: 'cpu', chosen: 'cpu', reason: 'The CPU was asked for.' } as const;
const settings = { device: 'cpu', threads: 1, logLevel: 'fatal' } as const;

describe('a worker that stops', () => {
  test('rejects what is pending and all that comes after, and can still be disposed', async () => {
    const host = new NodeHost(settings);
    const runtime = new WorkerRuntime({ host, device, threads: 1 });
    const feeds = await slowFeeds(runtime, 128, 200);
    const session = await runtime.load(powerProgram(128));
    const tensor = await runtime.upload(vector(1));
    const calls = [session.run(feeds), session.run(feeds), tensor.read(), runtime.load(doubleProgram())];
    const outcomes = Promise.allSettled(calls);
    // A message that no runtime sends: the worker has nobody to answer and fails.
    host.worker.postMessage(null);
    // The first run may have come to its end before.
    for (const outcome of (await outcomes).slice(1)) {
      expect(outcome.status).toBe('rejected');
      expect((outcome as PromiseRejectedResult).reason).toMatchObject({ name: 'RuntimeError', code: 'runtime_dead' });
    }
    await expect(session.run(feeds)).rejects.toThrow(/worker stopped .*create a new runtime/);
    await expect(runtime.started()).rejects.toMatchObject({ cause: { name: 'TypeError' } });
    await tensor.dispose();
    await session.dispose();
    await runtime.dispose();
  });
});

describe('the process', () => {
  const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const loader = new URL('./typescript-loader.mjs', import.meta.url).href;
  /** Runs a script in a process of its own and gives what it printed. */
  async function script(body: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
    const source = `
      import { Runtime } from ${module('./runtime.ts')};
      import { doubleProgram, powerProgram } from ${module('../../test/runtime/programs.ts')};
      const runtime = await Runtime.create({ device: 'cpu', threads: 1 });
      const session = await runtime.load(doubleProgram());
      const x = { dtype: 'float32', shape: [1], data: Float32Array.of(21) };
      ${body}`;
    const args = ['--import', loader, '--input-type=module', '--eval', source];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 30_000, env });
    expect(stderr).toBe('');
    return stdout;
  }

  test('ends while a runtime is idle, though nobody disposed it', async () => {
    expect(await script(`console.log((await session.run({ x })).doubled.data[0]);`)).toBe('42\n');
  });

  test('does not end while calls are pending', async () => {
    const body = 'for (let i = 1; i <= 3; i++) void session.run({ x }).then(() => console.log(i));';
    expect(await script(body)).toBe('1\n2\n3\n');
  });

  test('may exit in the middle of a run, and keeps its exit code', async () => {
    const body = `
      const slow = await runtime.load(powerProgram(256));
      const x2 = { dtype: 'float32', shape: [256, 256], data: new Float32Array(65536) };
      const trips = { dtype: 'int64', shape: [], data: BigInt64Array.of(1000n) };
      void slow.run({ x: x2, trips }).then(() => console.log('not reached'));
      setTimeout(() => process.exit(7), 30);`;
    await expect(script(body)).rejects.toMatchObject({ code: 7, stdout: '', stderr: '' });
  });

  test('sends no usage data: ONNX Runtime leaves no trace of its telemetry', async () => {
    const home = mkdtempSync(join(tmpdir(), 'starstack-home-'));
    try {
      const { ORT_DISABLE_TELEMETRY: _, XDG_CACHE_HOME: __, ...inherited } = process.env;
      await script('await session.run({ x });', { ...inherited, HOME: home, TMPDIR: home });
      const left = readdirSync(home).filter((name) => !name.startsWith('tsx-'));
      expect(left).toEqual([]);
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  test('ends after a runtime was disposed, and not before', async () => {
    expect(await script(`void runtime.dispose().then(() => console.log('disposed'));`)).toBe('disposed\n');
  });
});

describe('memory', () => {
  test('stays level over a hundred loads and disposals', async () => {
    const size = 1448; // 8.4 MB of weights
    const program = linearProgram(size);
    const x = { dtype: 'float32', shape: [4, size], data: new Float32Array(4 * size) } as const;
    await using runtime = await Runtime.create({ device: 'cpu', threads: 1 });
    const cycle = async (times: number) => {
      for (let index = 0; index < times; index++) {
        const session = await runtime.load(program);
        await session.run({ x }, { keep: ['y'] });
        await session.dispose();
      }
      return process.memoryUsage.rss();
    };
    const settled = await cycle(30);
    const after = await cycle(70);
    // A leak of the weights alone would be 590 MB; what is allowed is the garbage collector's slack.
    expect(after - settled).toBeLessThan(150e6);
  });
});
