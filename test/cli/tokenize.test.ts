/** Sets of codes by the compiled program: stopped, gone on with, told of. */
import { copyFile, mkdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { installStarstack, models, type Outcome, picture } from './starstack.ts';

const starstack = installStarstack();
const inWork = (file: string) => path.join(starstack.folder, file);

/** The only line of standard output, parsed. */
function jsonOf<Value>({ stdout, stderr, code }: Outcome, expectedCode = 0): Value {
  expect(code, stderr).toBe(expectedCode);
  expect(stdout.endsWith('\n') && stdout.trimEnd().split('\n').length === 1, stdout).toBe(true);
  return JSON.parse(stdout) as Value;
}

test('stops by Ctrl-C and goes on, and prints what is whole', async () => {
  await mkdir(inWork('pictures'));
  await copyFile(picture, inWork('pictures/a.png'));
  const lines = (count: number) => `${JSON.stringify({ image: 'a.png', caption: 'a plum' })}\n`.repeat(count);
  await writeFile(inWork('pictures/train.jsonl'), lines(40));
  await writeFile(inWork('pictures/held.jsonl'), `${lines(2)}{"image": "none.png", "caption": "a pear"}\n`);
  const source = (name: string) => `{ kind: jsonl, file: ${inWork(`pictures/${name}.jsonl`)} }`;
  await writeFile(
    inWork('plums.yaml'),
    `model: ${models.a}
stages:
  generation:
    steps: 1
    batch: 1
    learningRate: 1
    promptTokens: 64
    data: { train: ${source('train')}, heldOut: ${source('held')} }
`,
  );
  const words = ['tokenize', 'plums.yaml', '--stage', 'generation', '--out', 'sets'];
  const stopped = await starstack.run(words, {
    whileRunning: async (interrupt) => {
      while (!(await stat(inWork('sets/data/train')).catch(() => undefined))) await sleep(2);
      interrupt();
    },
  });
  expect([stopped.code, stopped.stdout]).toEqual([130, 'stopped; --resume goes on\n']);
  const rest = await starstack.run([...words, '--resume']);
  expect({ stdout: rest.stdout, code: rest.code }, rest.stderr).toEqual({
    stdout: 'data.train: 40 samples: sets/data/train\ndata.heldOut: 2 samples, 1 skipped: sets/data/heldOut\n',
    code: 0,
  });
  expect(rest.stderr).toMatch(/warning: data\.heldOut: skipped held\.jsonl:3: none\.png: does not exist/);
  const json = jsonOf<{ tokenizer: string }>(await starstack.run([...words, '--resume', '--json']));
  const set = (field: string, samples: number) => ({
    ...{ field: `data.${field}`, folder: path.join('sets/data', field) },
    ...{ samples, skipped: 0 },
  });
  expect(json).toEqual({
    stage: 'generation',
    tokenizer: expect.stringMatching(/^[0-9a-f]{16}$/),
    sets: [set('train', 40), set('heldOut', 2)],
    stopped: 'finished',
  });
  const refused = jsonOf<{ error: { code: string; message: string } }>(await starstack.run([...words, '--json']), 1);
  expect(refused.error).toMatchObject({
    code: 'data_option_invalid',
    message: expect.stringMatching(/^sets\/data\/train: is not empty; choose a new folder$/),
  });
}, 120_000);
