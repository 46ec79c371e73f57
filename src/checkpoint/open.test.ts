import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dtypes } from '../tensor/dtype.ts';
import { openCheckpoint } from './open.ts';
import { writeSafetensors } from './safetensors-writer.ts';

const reference = fileURLToPath(new URL('../../test/reference', import.meta.url));
const samples = fileURLToPath(new URL('../../test/checkpoints', import.meta.url));
const qwen = 'Qwen2.5-VL-tiny-Instruct';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starstack-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each(['tiny-a', 'tiny-b'])('the published layout: %s', (model) => {
  const checkpoints = join(reference, model, 'checkpoints');

  it('holds the base model twice, in STAR’s archive and in the Hugging Face folder', async () => {
    await using star = await openCheckpoint(join(checkpoints, 'STAR-tiny.pt'));
    await using base = await openCheckpoint(join(checkpoints, qwen));
    expect([star.format, base.format]).toEqual(['pytorch', 'safetensors']);
    expect(base.entries.size).toBeGreaterThan(90);
    for (const name of base.entries.keys()) {
      const [ours, theirs] = [await star.read(`llm.${name}`), await base.read(name)];
      expect([ours.dtype, ours.shape], name).toEqual([theirs.dtype, theirs.shape]);
      expect(Buffer.compare(new Uint8Array(ours.data.buffer), new Uint8Array(theirs.data.buffer)), name).toBe(0);
    }
  });

  it('places every tensor of STAR’s archive where its bytes are', async () => {
    await using star = await openCheckpoint(join(checkpoints, 'STAR-tiny.pt'));
    expect(star.warnings).toEqual([]);
    const bytes = await readFile(join(checkpoints, 'STAR-tiny.pt'));
    for (const { name, dtype, offset, byteLength, shape } of star.entries.values()) {
      expect(byteLength).toBe(shape.reduce((count, size) => count * size, dtypes[dtype].bytes));
      expect(offset % 64).toBe(0);
      const { data } = await star.read(name);
      expect(Buffer.compare(bytes.subarray(offset, offset + byteLength), new Uint8Array(data.buffer))).toBe(0);
    }
  });

  it('reads the tokenizer as numbers', async () => {
    await using tokenizer = await openCheckpoint(join(checkpoints, 'VQ-Model.pt'));
    for (const [name, { dtype }] of tokenizer.entries) {
      if (dtype !== 'float32') continue;
      const { data } = await tokenizer.readFloat32(name);
      expect(
        data.every((value) => Number.isFinite(value) && Math.abs(value) < 100),
        name,
      ).toBe(true);
    }
  });
});

describe('openCheckpoint', () => {
  const tensor = { name: 't', dtype: 'uint8', shape: [1], data: new Uint8Array([7]) } as const;

  it('tells the kind by the first bytes, and follows links', async () => {
    const model = join(folder, 'weights.pt');
    await writeSafetensors(model, [tensor]);
    await symlink(model, join(folder, 'link.bin'));
    for (const name of ['weights.pt', 'link.bin']) {
      await using checkpoint = await openCheckpoint(join(folder, name));
      expect(checkpoint.format).toBe('safetensors');
      expect(checkpoint.entries.get('t')!.file).toBe(join(folder, name));
    }
    await symlink(join(samples, 'dtypes.pt'), join(folder, 'archive.safetensors'));
    await using archive = await openCheckpoint(join(folder, 'archive.safetensors'));
    expect(archive.format).toBe('pytorch');
    const index = join(folder, 'index.txt');
    await writeFile(index, ' \n{ "weight_map": { "t": "weights.pt" } }');
    await using sharded = await openCheckpoint(index);
    expect(sharded.files).toEqual([model]);
  });

  it('finds the weights of a folder', async () => {
    const place = await mkdtemp(join(folder, 'diffusers-'));
    await expect(openCheckpoint(place)).rejects.toThrow(/holds no weights: expected one of "model.safetensors"/);
    await writeSafetensors(join(place, 'diffusion_pytorch_model.safetensors'), [tensor]);
    {
      await using checkpoint = await openCheckpoint(place);
      expect(checkpoint.entries.size).toBe(1);
    }
    await writeSafetensors(join(place, 'model.safetensors'), [tensor]);
    await expect(openCheckpoint(place)).rejects.toThrow(/name the file that is meant/);
  });

  it.each<[string, string | Buffer, RegExp]>([
    ['an empty file', '', /no kind of checkpoint/],
    ['text', 'hello, these are no weights at all', /no kind of checkpoint/],
    ['GGUF', 'GGUF\x03\0\0\0\0\0\0\0', /is a GGUF file/],
    ['a pointer', 'version https://git-lfs.github.com/spec/v1\n', /Git LFS pointer/],
    ['a bare pickle', Buffer.from([0x80, 2, 0x4e, 0x2e]), /format before PyTorch 1.6/],
  ])('says what %s is', async (_, content, message) => {
    const path = join(folder, 'other');
    await writeFile(path, content, 'latin1');
    const error = await openCheckpoint(path).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'checkpoint_unsupported', file: path });
    expect((error as Error).message).toMatch(message);
  });

  it('says what is missing', async () => {
    const missing = { code: 'checkpoint_not_found' };
    await expect(openCheckpoint(join(folder, 'nowhere'))).rejects.toMatchObject(missing);
  });

  it('opens nothing but files and folders', async () => {
    if (process.platform === 'win32') return;
    await expect(openCheckpoint('/dev/zero')).rejects.toThrow(/is not a regular file/);
  });
});
