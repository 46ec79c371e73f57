import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MetricsLog } from './metrics.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'starstack-metrics-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

it('appends lines, and cuts those past the step it goes on from and a torn last one', async () => {
  const path = join(root, 'new', 'metrics.jsonl');
  {
    await using log = await MetricsLog.open(path, 0);
    for (const step of [1, 2, 3]) await log.append({ step, kind: 'step', loss: step / 10 });
    await log.append({ step: 2, kind: 'preview', loss: Number.NaN, rate: -Infinity });
  }
  await appendFile(path, '{"loss":0.4,"step":');
  {
    await using log = await MetricsLog.open(path, 4);
    await log.append({ step: 4, kind: 'step', loss: 1 });
    await log.sync();
  }
  expect(await readFile(path, 'utf8')).toBe(
    '{"step":1,"kind":"step","loss":0.1}\n{"step":2,"kind":"step","loss":0.2}\n{"step":3,"kind":"step","loss":0.3}\n' +
      '{"step":2,"kind":"preview","loss":"NaN","rate":"-Infinity"}\n{"step":4,"kind":"step","loss":1}\n',
  );
  {
    await using log = await MetricsLog.open(path, 2);
    await log.append({ step: 3, kind: 'maintain', revived: 5 });
  }
  expect(await readFile(path, 'utf8')).toBe(
    '{"step":1,"kind":"step","loss":0.1}\n{"step":2,"kind":"step","loss":0.2}\n{"step":3,"kind":"maintain","revived":5}\n',
  );
  await (await MetricsLog.open(path, 0))[Symbol.asyncDispose]();
  expect(await readFile(path, 'utf8')).toBe('');
});
