import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeSafetensors } from '../src/checkpoint/safetensors-writer.ts';
import { run } from '../src/cli/program.ts';
import type { VerifyRow } from '../src/evaluation/verify/rows.ts';
import { verify } from '../src/evaluation/verify/verify.ts';
import { type ReferenceTensor, readReference, referencePath, referenceVariants } from './reference-vectors.ts';

const temporary = await mkdtemp(path.join(tmpdir(), 'starstack-verify-'));
afterAll(() => rm(temporary, { recursive: true, force: true }));

async function rowsOf(folder: string): Promise<VerifyRow[]> {
  const rows: VerifyRow[] = [];
  for await (const row of verify(folder, { device: 'cpu' })) rows.push(row);
  return rows;
}

/** Runs a command line in this process. */
async function starstack(...words: string[]) {
  const printed: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
  const before = process.exitCode;
  try {
    return { code: await run(words), stdout: () => printed.join('') };
  } finally {
    write.mockRestore();
    process.exitCode = before;
  }
}

/** A copy of a reference folder to spoil. */
async function copyOf(name: string): Promise<string> {
  const folder = path.join(temporary, name);
  await cp(referencePath('tiny-a', '.'), folder, { recursive: true });
  return folder;
}

type Header = Record<string, { data_offsets: [number, number] }>;

async function spoil(file: string, change: (bytes: Buffer, offsetOf: (tensor: string) => number) => void) {
  const bytes = await readFile(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Header;
  change(bytes, (tensor) => 8 + length + header[tensor]!.data_offsets[0]);
  await writeFile(file, bytes);
}

/** Renames a tensor, so that the file lacks it. */
async function lose(file: string, tensor: string) {
  await spoil(file, (bytes) => {
    const at = bytes.indexOf(`"${tensor}"`);
    expect(at).toBeGreaterThan(0);
    bytes.write('!', at + 1);
  });
}

const failures = (rows: readonly VerifyRow[]) => rows.filter((row) => row.status === 'fail');

describe.each(referenceVariants)('%s', (variant) => {
  it('computes what the published code computed', async () => {
    const rows = await rowsOf(referencePath(variant, '.'));
    expect(failures(rows)).toEqual([]);
    const files = (status: VerifyRow['status']) => [
      ...new Set(rows.filter((row) => row.status === status).map((row) => row.file)),
    ];
    expect(files('pass')).toEqual([
      'diffusion_edit',
      'diffusion_generate',
      'diffusion_text_encoder',
      'diffusion_transformer',
      'diffusion_vae',
      'edit',
      'generate_cfg1',
      'generate_cfg3',
      'generate_n3',
      'generate_reasoning',
      'sampling',
      'text',
      'train_diffusion',
      'train_generation',
      'understand',
      'vision',
      'vq',
    ]);
    // A tensor that no check looks at would be listed as well.
    expect(files('not supported')).toEqual([]);
  });
});

it('takes numbers of images and sizes of pictures from the files', async () => {
  const folder = await copyOf('sizes');
  const expected = path.join(folder, 'expected');
  await rm(expected, { recursive: true });
  await mkdir(expected);
  await cp(referencePath('tiny-a', 'expected/meta.json'), path.join(expected, 'meta.json'));
  const write = (name: string, tensors: Record<string, ReferenceTensor>) =>
    writeSafetensors(
      path.join(expected, `${name}.safetensors`),
      Object.entries(tensors).map(([tensor, { shape, data }]) => {
        return { name: tensor, dtype: data instanceof Int32Array ? 'int32' : 'float32', shape, data };
      }),
    );
  const { tokens, logits } = readReference('tiny-a', 'generate_n3');
  const [steps, images, codes] = logits!.shape as [number, number, number];
  const two = Array.from({ length: steps * 2 * codes }, (_, index) => {
    const step = Math.floor(index / (2 * codes));
    return logits!.data[step * images * codes + (index % (2 * codes))]!;
  });
  await write('generate_n3', {
    tokens: { shape: [2, steps], data: tokens!.data.slice(0, 2 * steps) },
    logits: { shape: [steps, 2, codes], data: Float32Array.from(two) },
  });
  // The pictures change places.
  const { grid_thw, pixel_values, image_embeds, ...odd } = readReference('tiny-a', 'vision');
  await cp(referencePath('tiny-a', 'expected/image_odd_size.png'), path.join(expected, 'image.png'));
  await cp(referencePath('tiny-a', 'expected/image.png'), path.join(expected, 'image_odd_size.png'));
  await write('vision', {
    grid_thw: odd.odd_grid_thw!,
    pixel_values: odd.odd_pixel_values!,
    image_embeds: odd.odd_image_embeds!,
    odd_grid_thw: grid_thw!,
    odd_pixel_values: pixel_values!,
    odd_image_embeds: image_embeds!,
  });
  const rows = await rowsOf(folder);
  expect(rows.filter((row) => row.status !== 'pass')).toEqual([]);
  expect(rows).toHaveLength(8);
});

describe('a folder whose expectations are wrong', () => {
  let rows: VerifyRow[];
  const rowOf = (file: string, what: string) => rows.find((row) => row.file === file && row.what === what);

  beforeAll(async () => {
    const folder = await copyOf('changed');
    const file = (name: string) => path.join(folder, 'expected', name);
    await spoil(file('generate_cfg3.safetensors'), (bytes, offsetOf) => bytes.writeInt32LE(7, offsetOf('tokens') + 20));
    await spoil(file('text.safetensors'), (bytes, offsetOf) => bytes.writeFloatLE(1e3, offsetOf('logits')));
    await spoil(file('edit.safetensors'), (bytes, offsetOf) => bytes.writeFloatLE(Number.NaN, offsetOf('image')));
    await lose(file('generate_cfg1.safetensors'), 'prefill_base_hidden');
    await lose(file('vq.safetensors'), 'grad_decoder_conv_out');
    await lose(file('train_generation.safetensors'), 'grad.pixel_output_head.bias');
    await lose(file('diffusion_vae.safetensors'), 'moments_logvar');
    await spoil(file('diffusion_generate.safetensors'), (bytes, offsetOf) =>
      bytes.writeFloatLE(9, offsetOf('step_latents') + 4),
    );
    await spoil(file('train_diffusion.safetensors'), (bytes, offsetOf) => {
      bytes.writeFloatLE(1, offsetOf('grad.x_embedder.weight'));
      bytes.write('grad.norm_out.linear_9', bytes.indexOf('grad.norm_out.linear_2'));
    });
    await writeFile(file('sampling.safetensors'), 'not a safetensors file');
    await rm(file('image_odd_size.png'));
    const meta = JSON.parse(await readFile(file('meta.json'), 'utf8'));
    meta.reasoning.answer += '!';
    meta.understand.question = 3;
    await writeFile(file('meta.json'), JSON.stringify(meta));
    await writeFile(file('notes.txt'), 'of a stranger');
    rows = await rowsOf(folder);
  }, 120_000);

  it('fails exactly the rows that are concerned', () => {
    expect(failures(rows).map((row) => `${row.file}: ${row.what}`)).toEqual([
      'diffusion_generate: latents after each step',
      'diffusion_vae: logarithm of their variance',
      'edit: image',
      'generate_cfg1: base hidden states',
      'generate_cfg3: tokens',
      'generate_reasoning: answer',
      'sampling: the file',
      'text: logits',
      'train_diffusion: grad.norm_out.linear_9.weight',
      'train_diffusion: grad.x_embedder.weight',
      'train_generation: grad.pixel_output_head.bias',
      'understand: the check',
      'vision: image_odd_size.png',
      'vq: grad_decoder_conv_out',
      'vq: grad_decoder_conv_out, from own features',
    ]);
  });

  it.each([
    ['generate_cfg3', 'tokens', /^first difference at 5: \d+, expected 7$/],
    ['text', 'logits', /^largest error at 0: .*, expected 1000$/],
    ['diffusion_generate', 'latents after each step', /^largest error at 1: .*, expected 9$/],
    ['train_diffusion', 'grad.norm_out.linear_9.weight', /^the diffusion transformer has no such parameter$/],
    ['edit', 'image', /^not comparable at 0: .*, expected NaN$/],
    ['generate_cfg1', 'base hidden states', /generate_cfg1\.safetensors: there is no tensor prefill_base_hidden$/],
    ['generate_reasoning', 'answer', /^first difference at \d+: .*, expected ".*!"$/],
    ['understand', 'the check', /meta\.json: understand\.question: .*string/],
    ['vision', 'image_odd_size.png', /no image at .*image_odd_size\.png/],
  ])('says why: %s, %s', (file, what, note) => {
    expect(rowOf(file, what)?.note).toMatch(note);
  });

  it('names what it has no check for', () => {
    expect(rowOf('generate_cfg1', '!refill_base_hidden')?.status).toBe('not supported');
    expect(rowOf('notes.txt', 'all of it')?.status).toBe('not supported');
  });
});

describe('starstack verify', () => {
  it('prints one object, and needs settings only for what they are about', async () => {
    const folder = await copyOf('no-settings');
    const expected = path.join(folder, 'expected');
    await writeFile(path.join(expected, 'meta.json'), '{');
    for (const name of ['vq', 'train_generation', 'generate_n3', 'generate_reasoning', 'generate_cfg1', 'edit']) {
      await rm(path.join(expected, `${name}.safetensors`));
    }
    const { code, stdout } = await starstack('verify', folder, '--device', 'cpu', '--threads', '1', '--json');
    expect(code).toBe(1);
    const { verified, passed, failed, notSupported, rows, ...rest } = JSON.parse(stdout());
    expect({ verified, passed, failed, notSupported }).toEqual({
      verified: false,
      passed: 13,
      failed: 8,
      notSupported: 0,
    });
    expect(rest).toMatchObject({ device: { chosen: 'cpu' }, threads: 1 });
    expect(rows).toHaveLength(21);
    expect(failures(rows).map((row) => row.file)).toEqual([
      'diffusion_edit',
      'diffusion_generate',
      'diffusion_text_encoder',
      'generate_cfg3',
      'text',
      'text',
      'train_diffusion',
      'understand',
    ]);
    for (const row of failures(rows)) expect(row.note).toMatch(/meta\.json: .*JSON/);
  });

  it('ends with 0 and a row for people where all agrees', async () => {
    const folder = await copyOf('agrees');
    await cp(referencePath('tiny-a', 'expected/sampling.safetensors'), path.join(temporary, 'sampling'));
    const expected = path.join(folder, 'expected');
    await rm(expected, { recursive: true });
    await cp(path.join(temporary, 'sampling'), path.join(expected, 'sampling.safetensors'));
    const { code, stdout } = await starstack('verify', folder, '--device', 'cpu');
    expect(stdout()).toMatch(/^pass +sampling +top-k 5, top-p 1 +absolute error 0\.00e\+0, at most 2e-4\n/);
    expect(stdout()).toMatch(/\n3 passed, 0 failed, 0 not supported; on cpu with \d+ threads?\n$/);
    expect(code).toBe(0);
  });

  it('does not take a folder for verified in which nothing was compared', async () => {
    const folder = await copyOf('nothing');
    const expected = path.join(folder, 'expected');
    await rm(expected, { recursive: true });
    await cp(referencePath('tiny-a', 'expected/diffusion_vae.safetensors'), path.join(expected, 'later.safetensors'));
    const { code, stdout } = await starstack('verify', folder, '--device', 'cpu');
    expect(stdout()).toMatch(/0 passed, 0 failed, 1 not supported; nothing could be compared/);
    expect(code).toBe(1);
  });

  it('refuses a folder where there is nothing to compare with', async () => {
    const folder = await copyOf('bare');
    await rm(path.join(folder, 'expected'), { recursive: true });
    const { code, stdout } = await starstack('verify', folder, '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout())).toMatchObject({
      error: {
        code: 'expected_missing',
        message: expect.stringMatching(/nothing to verify against; expected a folder/),
      },
    });
  });
});
