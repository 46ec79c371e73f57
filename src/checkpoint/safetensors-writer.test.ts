import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DType, dtypes, type TypedArray } from '../tensor/dtype.ts';
import { writeFileDurably } from './durable.ts';
import { openSafetensors } from './open.ts';
import { type TensorToWrite, writeSafetensors } from './safetensors-writer.ts';

const reference = fileURLToPath(new URL('../../test/checkpoints/reference.safetensors', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starstack-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('writeSafetensors', () => {
  it('gives the reference writer’s bytes, whatever the order of the tensors', async () => {
    await using checkpoint = await openSafetensors(reference);
    const path = join(folder, 'copy.safetensors');
    const tensors: TensorToWrite[] = [];
    for (const [name, { dtype, shape }] of checkpoint.entries) {
      tensors.push({ name, dtype, shape, data: async () => (await checkpoint.read(name)).data });
    }
    expect(tensors).toHaveLength(25);
    await writeSafetensors(path, tensors.reverse(), Object.fromEntries(checkpoint.metadata));
    expect(await readFile(path)).toEqual(await readFile(reference));
  });

  // The bytes of the reference implementation's test_serialization_forced_alignement and test_empty.
  it('aligns the tensors to 8 bytes', async () => {
    const path = join(folder, 'aligned.safetensors');
    const data = new Float32Array([0, 1, 2, 3, 4, 5]);
    await writeSafetensors(path, [{ name: 'attn0', dtype: 'float32', shape: [1, 1, 2, 3], data }]);
    const header = '{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       ';
    expect(await readFile(path)).toEqual(
      Buffer.concat([Buffer.from([72, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(header), Buffer.from(data.buffer)]),
    );
    await writeSafetensors(path, []);
    expect(await readFile(path, 'latin1')).toBe('\x08\0\0\0\0\0\0\0{}      ');
    await writeSafetensors(path, [], { framework: 'pt' });
    expect(await readFile(path, 'latin1')).toBe('\x28\0\0\0\0\0\0\0{"__metadata__":{"framework":"pt"}}     ');
  });

  it('round-trips any tensors', async () => {
    const kind = fc.record({
      dtype: fc.constantFrom(...(Object.keys(dtypes) as DType[])),
      shape: fc.array(fc.nat(4), { maxLength: 4 }),
      seed: fc.nat(255),
    });
    const names = fc.uniqueArray(fc.string({ unit: 'binary', maxLength: 12 }), { maxLength: 6 });
    const path = join(folder, 'round-trip.safetensors');
    await fc.assert(
      fc.asyncProperty(names, fc.array(kind, { minLength: 6, maxLength: 6 }), async (keys, kinds) => {
        const tensors = keys.map((name, index) => {
          const { dtype, shape, seed } = kinds[index]!;
          const count = shape.reduce((product, size) => product * size, 1);
          const bytes = Uint8Array.from({ length: count * dtypes[dtype].bytes }, (_, i) =>
            dtype === 'bool' ? (i + seed) % 2 : (i * 37 + seed) & 0x3f,
          );
          const data: TypedArray = new dtypes[dtype].array(bytes.buffer);
          return { name, dtype, shape, data };
        });
        await writeSafetensors(path, tensors, { key: 'value' });
        await using checkpoint = await openSafetensors(path);
        expect(new Set(checkpoint.entries.keys())).toEqual(new Set(keys));
        for (const { name, ...value } of tensors) {
          expect(await checkpoint.read(name)).toEqual(value);
          expect(checkpoint.entries.get(name)!.offset % dtypes[value.dtype].bytes).toBe(0);
        }
      }),
      { seed: 3, numRuns: 50 },
    );
  });

  const zeros = { dtype: 'float32', shape: [2], data: new Float32Array(2) } as const;
  it.each<[string, TensorToWrite[], RegExp]>([
    [
      'a repeated name',
      [
        { name: 'a', ...zeros },
        { name: 'a', ...zeros },
      ],
      /given twice/,
    ],
    ['the reserved name', [{ name: '__metadata__', ...zeros }], /reserved/],
    ['too few elements', [{ name: 'a', ...zeros, shape: [3] }], /expected 12 bytes in a Float32Array, got 8/],
    ['another array', [{ name: 'a', ...zeros, dtype: 'int32' }], /8 bytes in a Int32Array, got 8 in a Float32Array/],
    ['a broken shape', [{ name: 'a', ...zeros, shape: [-2] }], /not valid/],
    ['a broken name', [{ name: '\ud800', ...zeros }], /not valid Unicode/],
  ])('refuses %s and leaves nothing behind', async (_, tensors, message) => {
    const place = await mkdtemp(join(folder, 'refused-'));
    await expect(writeSafetensors(join(place, 'x.safetensors'), tensors)).rejects.toThrow(message);
    expect(await readdir(place)).toEqual([]);
  });
});

describe('writeFileDurably', () => {
  it('keeps the old file and removes the new one when its bytes cannot be made', async () => {
    const place = await mkdtemp(join(folder, 'failing-'));
    const path = join(place, 'file');
    await writeFile(path, 'old');
    async function* chunks() {
      yield Buffer.from('new');
      throw new RangeError('out of data');
    }
    await expect(writeFileDurably(path, chunks())).rejects.toThrow(RangeError);
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(place)).toEqual(['file']);
    await writeFileDurably(path, [Buffer.from('n'), Buffer.alloc(0), Buffer.from('ew')]);
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await readdir(place)).toEqual(['file']);
  });

  it('says why a file cannot be written', async () => {
    const place = await mkdtemp(join(folder, 'refused-'));
    const refused = { code: 'checkpoint_write_failed' };
    await expect(writeFileDurably(join(place, 'no', 'file'), [])).rejects.toMatchObject(refused);
    // A folder cannot be replaced by a file; the failure comes at the last step.
    await expect(writeFileDurably(place, [Buffer.from('x')])).rejects.toMatchObject(refused);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  // A limit on the file size is met in the middle of a write, as the end of the disk would be.
  it.skipIf(process.platform === 'win32')('keeps the old file when there is no more room', async () => {
    const place = await mkdtemp(join(folder, 'full-'));
    const path = join(place, 'file');
    await writeFile(path, 'old');
    const script = `
      import { writeFileDurably } from ${JSON.stringify(new URL('./durable.ts', import.meta.url).href)};
      try {
        await writeFileDurably(${JSON.stringify(path)}, [Buffer.alloc(3_000_000)]);
        console.log('written');
      } catch (error) {
        console.log(error.code, error.cause.code);
      }`;
    const command = 'ulimit -f 1024; exec "$0" --import tsx --input-type=module --eval "$1"';
    const { stdout } = await promisify(execFile)('bash', ['-c', command, process.execPath, script], {
      timeout: 30_000,
    });
    expect(stdout.trim()).toBe('checkpoint_write_failed EFBIG');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(place)).toEqual(['file']);
  });
});
