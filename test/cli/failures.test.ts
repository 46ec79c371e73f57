/** What the compiled program says, and how it ends, when something is wrong. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { installStarstack, models, picture } from './starstack.ts';

const starstack = installStarstack();

/** A PNG whose header promises so many pixels and that ends after it. */
function pngHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(data.length, 0);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', Buffer.alloc(16)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

beforeAll(async () => {
  const { pixel_decoder: _, ...bare } = JSON.parse(await readFile(path.join(models.a, 'STAR_tiny.json'), 'utf8'));
  await mkdir(path.join(starstack.folder, 'bare'));
  await writeFile(path.join(starstack.folder, 'bare/STAR_tiny.json'), JSON.stringify(bare));
  await symlink(path.join(models.a, 'checkpoints'), path.join(starstack.folder, 'bare/checkpoints'));
  await writeFile(path.join(starstack.folder, 'bomb.png'), pngHeader(30_000, 30_000));
  await writeFile(path.join(starstack.folder, 'text.png'), 'not a picture');
});

interface Case {
  readonly words: readonly string[];
  readonly code: 1 | 2;
  readonly error: string;
  readonly message: RegExp;
  readonly model?: string | null;
  readonly input?: string;
}

/** A token a digit. */
const long = '7'.repeat(4200);

const cases: Record<string, Case> = {
  'a missing picture': {
    words: ['understand', 'none.png', 'What is it?'],
    code: 1,
    error: 'image_not_found',
    message: /no image at none\.png/,
  },
  'a file that is no picture': {
    words: ['edit', 'text.png', 'make it green'],
    code: 1,
    error: 'image_format_unsupported',
    message: /expected a JPEG, PNG or WebP file/,
  },
  'a picture too large to decode': {
    words: ['understand', 'bomb.png', 'What is it?'],
    code: 1,
    error: 'image_too_large',
    message: /got 30000 x 30000/,
  },
  'an empty prompt': { words: ['generate', ' '], code: 1, error: 'prompt_empty', message: /^the prompt is empty/ },
  'no prompt': { words: ['generate'], code: 2, error: 'prompt_missing', message: /--from/ },
  'a prompt beyond the context': {
    words: ['generate', long],
    code: 1,
    error: 'prompt_too_long',
    message: /the model's context holds 4096/,
  },
  'a prompt beyond the context on standard input': {
    words: ['generate', '-'],
    input: 'apple '.repeat(5000),
    code: 1,
    error: 'prompt_too_long',
    message: /the model's context holds 4096/,
  },
  // ONNX Runtime 1.30 brings the process down: a crash without a word, found with this very text.
  'a command line that ONNX Runtime does not survive': {
    words: ['understand', picture, 'apple '.repeat(5000)],
    code: 2,
    error: 'command_line_too_long',
    message: /standard input/,
  },
  'a question beyond the context': {
    words: ['understand', picture, long],
    code: 1,
    error: 'prompt_too_long',
    message: /the model's context holds 4096/,
  },
  'an unknown option': {
    words: ['generate', 'a plum', '--topp', '1'],
    code: 2,
    error: 'usage',
    message: /^unknown option '--topp'; did you mean --top-p\?$/,
  },
  'an option out of range': {
    words: ['generate', 'a plum', '--top-p', '3'],
    code: 2,
    error: 'option_invalid',
    message: /^option --top-p: .*1, got 3$/,
  },
  'a number with something after it': {
    words: ['generate', 'a plum', '--seed', '3x'],
    code: 2,
    error: 'usage',
    message: /'3x' is invalid\. Expected a number/,
  },
  'a device that does not exist': {
    words: ['edit', picture, 'make it green', '--device', 'abacus'],
    code: 2,
    error: 'runtime_option_invalid',
    message: /device must be one of auto, cpu, webgpu/,
  },
  "an option of the diffusion decoder's without it": {
    words: ['generate', 'a plum', '--steps', '4'],
    code: 2,
    error: 'option_invalid',
    message: /^option --steps: expected the decoder diffusion, which alone takes it, got decoder vq$/,
  },
  'a resolution that the diffusion decoder cannot do': {
    words: ['edit', picture, 'make it green', '--decoder', 'diffusion', '--resolution', '40'],
    code: 2,
    error: 'option_invalid',
    message: /^option --resolution: expected a multiple of 16 up to 256, got 40$/,
  },
  'a window that is none': {
    words: ['generate', 'a plum', '--decoder', 'diffusion', '--guidance-window', '0.5,0.25'],
    code: 2,
    error: 'option_invalid',
    message: /^option --guidance-window: expected two numbers, 0 <= from < to <= 2, got \[0.5,0.25\]$/,
  },
  'a window with a word in it': {
    words: ['generate', 'a plum', '--guidance-window', '0,half'],
    code: 2,
    error: 'usage',
    message: /'0,half' is invalid\. Expected a number/,
  },
  'guidance by the tokens where there is nothing to edit': {
    words: ['generate', 'a plum', '--decoder', 'diffusion', '--vq-guidance', '1'],
    code: 2,
    error: 'usage',
    message: /^unknown option '--vq-guidance'/,
  },
  'a model without a diffusion decoder': {
    words: ['generate', 'a plum', '--decoder', 'diffusion', '--model', 'bare'],
    code: 1,
    error: 'not_supported',
    message: /names no pixel_decoder; use decoder vq$/,
  },
  'an unknown command': { words: ['paint', 'a plum'], code: 2, error: 'usage', message: /^unknown command 'paint'/ },
  'a text without quotes': {
    words: ['generate', 'a', 'plum'],
    code: 2,
    error: 'usage',
    message: /put a text of several words in quotes/,
  },
  'a folder that is no model': {
    words: ['generate', 'a plum', '--model', '.'],
    code: 1,
    error: 'config_not_found',
    message: /expected one STAR_<name>\.json, got none/,
  },
  'a model folder that does not exist': {
    words: ['inspect', 'nowhere'],
    code: 1,
    error: 'config_not_found',
    message: /^nowhere: /,
  },
  'a manifest of a folder that is no model': {
    words: ['manifest', '.'],
    code: 1,
    error: 'config_not_found',
    message: /expected one STAR_<name>\.json, got none/,
  },
  'an output that cannot be written': {
    words: ['generate', 'a plum', '-o', 'nowhere/plum.png'],
    code: 2,
    error: 'output_invalid',
    message: /^option -o: expected a file in a folder/,
  },
  'an output of an unknown format': {
    words: ['generate', 'a plum', '-o', 'plum.gif'],
    code: 2,
    error: 'output_invalid',
    message: /^option -o: expected a file that ends in \.png/,
  },
  'a picture without recipe': {
    words: ['generate', '--from', picture],
    code: 1,
    error: 'recipe_missing',
    message: /no Starstack recipe inside/,
  },
  'a recipe from no PNG': {
    words: ['generate', '--from', 'none.png'],
    code: 2,
    error: 'recipe_unreadable',
    message: /does not exist/,
  },
};

test.each(Object.entries(cases))(
  '%s is told in one JSON object',
  async (_, { words, code, error, message, ...options }) => {
    const outcome = await starstack.run([...words, '--json'], options);
    expect(outcome.code, outcome.stderr).toBe(code);
    expect(outcome.stderr).toBe('');
    const parsed = JSON.parse(outcome.stdout) as { error: { code: string; message: string } };
    expect(Object.keys(parsed)).toEqual(['error']);
    expect(parsed.error.code).toBe(error);
    expect(parsed.error.message).toMatch(message);
  },
);

test.each([
  ['starstack understand', 'a missing picture'],
  ['starstack generate', 'an option out of range'],
  ['starstack', 'an unknown command'],
])('%s tells people of %s in one line', async (name, which) => {
  const { words, code, message } = cases[which]!;
  const outcome = await starstack.run(words);
  expect(outcome.code).toBe(code);
  expect(outcome.stdout).toBe('');
  expect(outcome.stderr.startsWith(`${name}: `), outcome.stderr).toBe(true);
  expect(outcome.stderr.slice(name.length + 2).trimEnd()).toMatch(message);
  expect(outcome.stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('--debug adds the stack', async () => {
  const { stderr, code } = await starstack.run(['generate', 'a plum', '--top-p', '3', '--debug']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/\n\s+at /);
});

test('no command shows the help and is a usage error', async () => {
  const { stdout, stderr, code } = await starstack.run([]);
  expect({ stdout, code }).toEqual({ stdout: '', code: 2 });
  expect(stderr).toMatch(/^Usage: starstack/);
});
