/** The curl commands of docs/server.md, run as they stand there against a real server. */
import { execFile, spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { decodeImage } from '../../src/image/decode.ts';
import { picturePath, serve } from './serving.ts';

const run = promisify(execFile);
const page = await readFile(new URL('../../docs/server.md', import.meta.url), 'utf8');
/** Lines that begin with curl, with the lines that a backslash joins to them. */
const commands = page.match(/^curl(?:.*\\\n)*.*$/gm)!.map((text) => text.trim());
const withCurl = spawnSync('curl', ['--version']).status === 0;

const serving = serve();
const folder = await mkdtemp(path.join(tmpdir(), 'starstack-docs-'));
await copyFile(picturePath, path.join(folder, 'in.png'));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What the answer to each command must hold. */
const holds: readonly [part: RegExp, check: (answer: string) => unknown][] = [
  [/generations(?!.*"stream")/s, (answer) => expectPicture(JSON.parse(answer).data[0].b64_json)],
  [
    /generations.*"stream"/s,
    (answer) => {
      const types = [...answer.matchAll(/^event: (\S+)$/gm)].map(([, type]) => type);
      expect(types).toContain('image_generation.partial_image');
      expect(types.at(-1)).toBe('image_generation.completed');
    },
  ],
  [/edits/, (answer) => expectPicture(JSON.parse(answer).data[0].b64_json)],
  [/chat/, (answer) => expect(typeof JSON.parse(answer).choices[0].message.content).toBe('string')],
];

async function expectPicture(base64: string) {
  expect((await decodeImage(Buffer.from(base64, 'base64'))).width).toBeGreaterThan(0);
}

test.skipIf(!withCurl).each(commands)('%s', async (command) => {
  const checks = holds.filter(([part]) => part.test(command));
  expect(checks).toHaveLength(1);
  const asked = command
    .replace('localhost:8080', new URL(serving.url).host)
    .replace(/^curl/, 'curl -sS --fail-with-body');
  const { stdout } = await run('sh', ['-c', asked], { cwd: folder });
  await checks[0]![1](stdout);
});

test('the page has a command for each route', () => {
  expect(commands).toHaveLength(holds.length);
});
