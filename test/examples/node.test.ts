/** `examples/node` and `examples/server`, run as programs of somebody else's with the packaged model. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { decodeImage } from '../../src/image/decode.ts';
import { readRecipe } from '../../src/tasks/recipe.ts';
import { installStarstack } from '../cli/starstack.ts';
import { application } from './application.ts';

const starstack = installStarstack();
const node = application(starstack, 'node', []);
const server = application(starstack, 'server', ['openai']);

const prompt = 'a photo of two red apples';
const minute = 60_000;

test(
  'node: draws, edits and asks, and tells how far it is',
  async () => {
    const { stdout, stderr } = await node.run(process.execPath, ['picture.js']);
    expect(stdout).toMatch(/^\w.*\n$/);
    expect(stderr).toContain('drawing: thought of ');
    expect(stderr.match(/drawing: \d+ %/g)).toHaveLength(8);
    expect(stderr).toContain('editing: 100 %\n');
    const asked = { 'picture.png': ['generate', prompt], 'edited.png': ['edit', 'make the apples green'] };
    for (const [name, [task, text]] of Object.entries(asked)) {
      const png = await readFile(path.join(node.folder, name));
      expect(readRecipe(png, name)).toMatchObject({ task, prompt: text, seed: 1 });
      expect(await decodeImage(png)).toMatchObject({ width: 64, height: 64 });
    }
  },
  minute,
);

test(
  'server: pictures by fetch and as a stream, an answer as a stream, and an end',
  async () => {
    const { stdout } = await server.run(process.execPath, ['client.js']);
    expect(stdout).toMatch(/^\s*\w.*\n$/);
    const [fetched, streamed, ...partial] = await Promise.all(
      ['fetched', 'streamed', 'partial-0', 'partial-1'].map((name) =>
        readFile(path.join(server.folder, `${name}.png`)),
      ),
    );
    expect(readRecipe(fetched!, 'fetched.png')).toMatchObject({ prompt, seed: 7 });
    expect(streamed).toEqual(fetched);
    for (const png of partial) {
      expect(await decodeImage(png)).toMatchObject({ width: 64, height: 64 });
      expect(png).not.toEqual(fetched);
    }
  },
  minute,
);
