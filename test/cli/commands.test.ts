/** What the commands print and write when all goes well, through the compiled program. */
import { access, cp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { readImage } from '../../src/image/decode.ts';
import { resizeImage } from '../../src/image/resize.ts';
import { readRecipe } from '../../src/tasks/recipe.ts';
import { readReference, readReferenceMeta } from '../reference-vectors.ts';
import { installStarstack, models, type Outcome, picture } from './starstack.ts';

const starstack = installStarstack();
const meta = readReferenceMeta('tiny-a') as {
  understand: { question: string; answer: string };
  reasoning: { prompt: string };
};

interface PictureJson {
  readonly seed: number;
  readonly tokens: number[][];
  readonly images: string[];
  readonly thoughts?: readonly string[];
  readonly warnings: { code: string; message: string }[];
  readonly timings: Record<string, number>;
  readonly device: string;
}

interface Comparison {
  readonly parts: { part: string; equal: number; changed: string[]; lost: string[]; added: string[] }[];
  readonly answers: { asked: number; equal: number; different: string[] };
}

/** The only line of standard output, parsed. */
function jsonOf<Value>({ stdout, stderr, code }: Outcome, expectedCode = 0): Value {
  expect(code, stderr).toBe(expectedCode);
  expect(stdout.endsWith('\n') && stdout.trimEnd().split('\n').length === 1, stdout).toBe(true);
  return JSON.parse(stdout) as Value;
}

async function generate(...words: string[]): Promise<PictureJson> {
  return jsonOf(await starstack.run(['generate', ...words, '--json']));
}

const inWork = (file: string) => path.join(starstack.folder, file);

describe('understand', () => {
  test('prints the answer of the reference, and the same in JSON', async () => {
    const words = ['understand', picture, meta.understand.question, '--temperature', '0', '--repetition-penalty', '1'];
    const few = [...words, '--max-new-tokens', '6'];
    const json = jsonOf<{ answer: string; tokenIds: number[]; warnings: { code: string }[] }>(
      await starstack.run([...few, '--json']),
    );
    expect(json.tokenIds).toHaveLength(6);
    expect(meta.understand.answer.startsWith(json.answer), json.answer).toBe(true);
    expect(json.answer).not.toBe('');
    expect(Object.keys(json)).toEqual(['answer', 'tokenIds', 'warnings', 'timings', 'device']);
    expect(json.warnings.map((warning) => warning.code)).toEqual(['answer_cut']);
    const text = await starstack.run(few);
    expect(text.code).toBe(0);
    expect(text.stdout).toBe(`${json.answer}\n`);
    expect(text.stderr).toMatch(/^starstack understand: warning: the answer was cut off at 6 tokens/);
  });
});

describe('generate', () => {
  test('is what a prompt of several words alone asks for', async () => {
    const { stdout, stderr, code } = await starstack.run(['two red apples', '--seed', '7', '-o', 'no-command.png']);
    expect({ stdout, stderr, code }).toEqual({ stdout: 'no-command.png\n', stderr: '', code: 0 });
    const word = await starstack.run(['genrate']);
    expect([word.code, word.stderr]).toEqual([2, expect.stringContaining('did you mean generate')]);
  });

  test('gives the tokens of the reference', async () => {
    const { tokens } = await generate(
      meta.reasoning.prompt,
      '--temperature',
      '0',
      '--guidance',
      '3',
      '-o',
      'greedy.png',
    );
    const expected = readReference('tiny-a', 'generate_cfg3');
    expect(tokens[0]).toEqual([...expected.tokens!.data]);
  });

  test('prints the path of a picture of the size of the model', async () => {
    const { stdout, stderr, code } = await starstack.run(['generate', 'a red apple', '--seed', '7', '-o', 'apple.png']);
    expect({ stdout, stderr, code }).toEqual({ stdout: 'apple.png\n', stderr: '', code: 0 });
    const image = await readImage(inWork('apple.png'));
    expect([image.width, image.height]).toEqual([24, 24]);
  });

  test('--from repeats a saved picture, and warns when the model is another', async () => {
    const first = await generate('two plums', '--seed', '11', '--guidance', '2', '--top-k', '20', '-o', 'plums.png');
    const again = await generate('--from', 'plums.png', '-o', 'again.png');
    expect(again.tokens).toEqual(first.tokens);
    expect(again.seed).toBe(11);
    expect(again.warnings).toEqual([]);
    expect(await readFile(inWork('again.png'))).toEqual(await readFile(inWork('plums.png')));

    const words = ['--from', 'plums.png', '--seed', '12', '--model', models.b, '-o', 'other.png'];
    const other = await generate(...words);
    expect(other.warnings.map((warning) => warning.code)).toEqual(['model_differs']);
    const recipe = readRecipe(await readFile(inWork('other.png')), 'other.png');
    expect(recipe).toMatchObject({ prompt: 'two plums', seed: 12, settings: { guidance: 2, topK: 20 } });
  });

  test('a seed gives the same picture among others, and with other threads', async () => {
    const both = await generate('a pear', '--seed', '5', '--count', '2', '--threads', '2', '-o', 'both.png');
    const second = await generate('a pear', '--seed', '6', '--threads', '1', '-o', 'second.png');
    expect(both.images).toEqual(['both-0.png', 'both-1.png']);
    expect(both.tokens).toHaveLength(2);
    expect(both.tokens[0]).not.toEqual(both.tokens[1]);
    expect(second.tokens[0]).toEqual(both.tokens[1]);
    for (const file of both.images) await access(inWork(file));
  });

  test('a default name never replaces a file; -o does', async () => {
    await writeFile(inWork('generate-21.png'), 'mine');
    const first = await generate('a plum', '--seed', '21');
    expect(first.images).toEqual(['generate-21_2.png']);
    expect(await readFile(inWork('generate-21.png'), 'utf8')).toBe('mine');
    const second = await generate('a plum', '--seed', '21', '-o', 'generate-21.png');
    expect(second.images).toEqual(['generate-21.png']);
    expect((await readImage(inWork('generate-21.png'))).width).toBe(24);
  });

  test('--decoder diffusion draws, and --from repeats it or takes the VQ decoder', async () => {
    const words = ['--decoder', 'diffusion', '--resolution', '32', '--steps', '2', '--guidance-window', '0,0.75'];
    const first = await generate('two plums', '--seed', '11', ...words, '-o', 'diffused.png');
    expect(first.warnings.map((warning) => warning.code)).toEqual(['caption_cut']);
    expect(Object.keys(first.timings)).toEqual(['load', 'tokens', 'diffusion']);
    expect((await readImage(inWork('diffused.png'))).width).toBe(32);
    const { settings } = readRecipe(await readFile(inWork('diffused.png')), 'diffused.png');
    expect(settings).toMatchObject({ decoder: 'diffusion', steps: 2, resolution: 32, guidanceWindow: [0, 0.75] });
    await generate('--from', 'diffused.png', '-o', 'diffused-again.png');
    expect(await readFile(inWork('diffused-again.png'))).toEqual(await readFile(inWork('diffused.png')));
    const vq = await generate('--from', 'diffused.png', '--decoder', 'vq', '-o', 'undiffused.png');
    expect(vq.tokens).toEqual(first.tokens);
    expect((await readImage(inWork('undiffused.png'))).width).toBe(24);
  });

  test('--reasoning gives the thought, and a preview is written', async () => {
    const words = ['a plum', '--seed', '3', '--reasoning', '--reasoning-max-tokens', '4', '--preview', 'look.png'];
    const { thoughts } = await generate(...words, '-o', 'thought.png');
    expect(thoughts).toEqual([readRecipe(await readFile(inWork('thought.png')), 'thought.png').thought]);
    expect((await readImage(inWork('look.png'))).width).toBe(24);
  });

  test('Ctrl-C saves the rows that are drawn', async () => {
    const words = [
      'generate',
      'a plum',
      '--seed',
      '9',
      '--count',
      '32',
      '--preview',
      'row.png',
      '-o',
      'part.png',
      '--json',
    ];
    // The preview of the first row says that drawing has begun; writing those of the later rows takes its time.
    const outcome = await starstack.run(words, {
      whileRunning: async (interrupt) => {
        while (!(await stat(inWork('row-0.png')).catch(() => undefined))) await sleep(2);
        interrupt();
      },
    });
    const json = jsonOf<PictureJson>(outcome, 130);
    expect(json.warnings.map((warning) => warning.code)).toEqual(['picture_partial']);
    const drawn = json.tokens[0]!.length;
    expect(drawn).toBeGreaterThanOrEqual(6);
    expect(drawn).toBeLessThan(36);
    const { data } = await readImage(inWork('part-31.png'));
    const rest = data.subarray((drawn / 6) * 4 * 24 * 3);
    expect(rest.every((value) => value === 127)).toBe(true);
    expect(outcome.stderr).toMatch(/Stopping after this row/);
  });
});

describe('edit', () => {
  test('saves a picture under a name with its seed', async () => {
    const words = ['edit', picture, 'make it green', '--seed', '4'];
    const { stdout, code } = await starstack.run(words);
    expect({ stdout, code }).toEqual({ stdout: 'edit-4.png\n', code: 0 });
    const json = jsonOf<PictureJson>(await starstack.run([...words, '--json']));
    expect(json.images).toEqual(['edit-4_2.png']);
    expect(Object.keys(json)).toEqual(['seed', 'tokens', 'images', 'warnings', 'timings', 'device']);
    expect(await readFile(inWork('edit-4_2.png'))).toEqual(await readFile(inWork('edit-4.png')));
  });

  test('changes nothing under the opaque part of a mask', async () => {
    const source = await readImage(picture);
    const maskOf = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 1 } } }).png();
    await maskOf(source.width, source.height).toFile(inWork('mask.png'));
    const words = ['edit', picture, 'make it green', '--seed', '4', '-o', 'masked.png'];
    jsonOf<PictureJson>(await starstack.run([...words, '--mask', 'mask.png', '--json']));
    const masked = await readImage(inWork('masked.png'));
    expect(masked.data).toEqual(resizeImage(source, masked.width, masked.height, 'bilinear').data);
    expect(readRecipe(await readFile(inWork('masked.png')), 'masked.png').settings.mask).toBe(true);

    await maskOf(8, 8).toFile(inWork('small.png'));
    const small = await starstack.run([...words, '--mask', 'small.png']);
    expect(small).toMatchObject({ stdout: '', code: 2 });
    expect(small.stderr).toMatch(/option --mask: expected \d+ x \d+ opacities, one a pixel of the picture, got 8 x 8/);
    const opaque = await starstack.run([...words, '--mask', picture]);
    expect(opaque.stderr).toMatch(/expected an image with an alpha channel/);
  });
});

test('--vq-guidance belongs to edit', async () => {
  const words = ['edit', picture, 'make it green', '--decoder', 'diffusion', '--resolution', '32', '--steps', '2'];
  const outcome = await starstack.run([...words, '--vq-guidance', '0.5', '-o', 'diffused-edit.png', '--json']);
  jsonOf<PictureJson>(outcome);
  const { settings } = readRecipe(await readFile(inWork('diffused-edit.png')), 'diffused-edit.png');
  expect(settings).toMatchObject({ vqGuidance: 0.5, imageGuidance: 1.8 });
});

describe('compare', () => {
  test('finds a model equal to itself, and another one not', async () => {
    const tiny = models.a;
    const words = ['--questions', '3', '--threads', '1', '--json'];
    const same = jsonOf<Comparison>(await starstack.run(['compare', tiny, tiny, ...words]));
    expect(same.parts.map(({ part }) => part)).toContain('base AR');
    expect(
      same.parts.every(
        ({ equal, changed, lost, added }) => equal > 0 && !changed.length && !lost.length && !added.length,
      ),
    ).toBe(true);
    expect(same.answers).toEqual({ asked: 3, equal: 3, different: [] });
    const other = jsonOf<Comparison>(await starstack.run(['compare', tiny, 'nano', ...words]));
    expect(other.parts.every(({ equal }) => equal === 0)).toBe(true);
    expect(other.answers).toMatchObject({ asked: 3, equal: 0 });
    const { stdout } = await starstack.run(['compare', tiny, tiny, '--questions', '0']);
    expect(stdout).toMatch(/^Tensors\n {2}part +equal {2}changed {2}lost {2}added\n/);
    expect(stdout).not.toContain('Answers');
  });
});

describe('inspect', () => {
  test('counts what is in the files', async () => {
    const json = jsonOf<{
      parts: { name: string; parameters: number; bytes: number }[];
      memory: { task: string; weights: number; cachePerToken: number; cacheLongest: number }[];
      diffusionDecoder: { memory: Record<string, number> };
      threads: number;
    }>(await starstack.run(['inspect', models.a, '--json', '--device', 'cpu', '--threads', '1']));
    const parts = Object.fromEntries(json.parts.map((part) => [part.name, part]));
    // 2 layers of 37,120 parameters and the final norm of 64.
    expect(parts['stacked AR']).toMatchObject({ parameters: 2 * 37_120 + 64, bytes: 2 * (2 * 37_120 + 64) });
    const memory = Object.fromEntries(json.memory.map((each) => [each.task, each]));
    const engine = ['base AR', 'stacked AR', 'pixel adapter', 'pixel output head', 'codebook'];
    const sum = [...engine, 'semantic encoder'].reduce((total, name) => total + 4 * parts[name]!.parameters, 0);
    expect(memory.understand).toMatchObject({ weights: sum, cachePerToken: 3 * 2 * 2 * 16 * 4 });
    expect(memory.edit).toMatchObject({ cachePerToken: 2 * 5 * 2 * 2 * 16 * 4, cacheLongest: 4096 * 2560 });
    expect(json.diffusionDecoder).toMatchObject({ named: true, present: true, supported: true });
    const { atOnce, ...held } = json.diffusionDecoder.memory;
    expect(Object.keys(held)).toEqual(['textEncoder', 'transformer', 'autoencoder']);
    expect(Math.min(...Object.values(held))).toBeGreaterThan(0);
    expect(atOnce).toBe(Math.max(...Object.values(held)));
    expect(json.threads).toBe(1);
  });

  test('tells people the same', async () => {
    const { stdout, code } = await starstack.run(['inspect', models.b]);
    expect(code).toBe(0);
    for (const word of ['Parts', 'Configuration', 'Files', 'Memory', 'Device', 'for --decoder diffusion']) {
      expect(stdout).toContain(word);
    }
  });
});

test('manifest lists the files of a model, and itself not', async () => {
  await cp(models.a, inWork('hosted'), { recursive: true });
  const json = jsonOf<{ files: { path: string; size: number }[] }>(
    await starstack.run(['manifest', 'hosted', '--json']),
  );
  const config = json.files.find(({ path: file }) => file === 'STAR_tiny.json')!;
  expect(config.size).toBe((await stat(inWork('hosted/STAR_tiny.json'))).size);
  const again = await starstack.run(['manifest', 'hosted']);
  expect(again.stdout).toContain(`starstack-manifest.json: ${json.files.length} files, `);
  expect(JSON.parse(await readFile(inWork('hosted/starstack-manifest.json'), 'utf8'))).toEqual(json);
});

test('no reserved file is left empty', async () => {
  for (const file of await readdir(starstack.folder)) expect((await stat(inWork(file))).size, file).toBeGreaterThan(0);
});
