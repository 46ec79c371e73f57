/** Weights that stay in their files: safetensors and PyTorch archives, read in place by ONNX Runtime. */
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { referencePath } from '../../test/reference-vectors.ts';
import { externalProgram } from '../../test/runtime/programs.ts';
import type { RuntimeError } from './error.ts';
import { Runtime } from './runtime.ts';

const file = referencePath('tiny-a', 'checkpoints/Qwen2.5-VL-tiny-Instruct/model.safetensors');
const folder = dirname(file);

/** A bfloat16 tensor of the file, and its elements as float32. */
function embedding() {
  const bytes = readFileSync(file);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const { dtype, shape, data_offsets } = header['model.embed_tokens.weight']!;
  expect(dtype).toBe('BF16');
  const byteOffset = 8 + headerBytes + data_offsets[0];
  return { dtype: 'bfloat16' as const, shape, byteOffset, elements: widen(bytes, byteOffset, shape[0]! * shape[1]!) };
}

/** bfloat16 is the upper half of a float32. */
function widen(bytes: Buffer, byteOffset: number, count: number): Float32Array {
  const bits = Uint32Array.from({ length: count }, (_, index) => bytes.readUInt16LE(byteOffset + 2 * index) << 16);
  return new Float32Array(bits.buffer);
}

describe('weights outside of the model', () => {
  const { elements, ...entry } = embedding();
  let runtime: Runtime;
  let scratch: string;
  beforeAll(async () => {
    runtime = await Runtime.create({ device: 'cpu', threads: 1 });
    scratch = mkdtempSync(join(tmpdir(), 'starstack-weights-'));
  });
  afterAll(async () => {
    await runtime.dispose();
    rmSync(scratch, { recursive: true });
  });

  async function read(location: string, weightsFolder: string | undefined, byteOffset = entry.byteOffset) {
    await using session = await runtime.load(externalProgram({ ...entry, location, byteOffset }), { weightsFolder });
    return (await session.run({})).y!.data;
  }

  test('a safetensors file, bfloat16, at an offset that is not aligned to a cache line', async () => {
    expect(entry.byteOffset % 64).not.toBe(0);
    expect(await read('model.safetensors', folder)).toEqual(elements);
  });

  test('even an odd offset', async () => {
    const shifted = join(scratch, 'shifted.bin');
    const bytes = readFileSync(file);
    const { writeFileSync } = await import('node:fs');
    writeFileSync(shifted, Buffer.concat([Buffer.of(0), bytes]));
    expect((entry.byteOffset + 1) % 2).toBe(1);
    expect(await read('shifted.bin', scratch, entry.byteOffset + 1)).toEqual(elements);
  });

  test('a PyTorch archive', async () => {
    const archive = referencePath('tiny-a', 'checkpoints/STAR-tiny.pt');
    const bytes = readFileSync(archive);
    const at = bytes.indexOf('STAR-tiny/data/3') - 30;
    expect(bytes.readUInt32LE(at)).toBe(0x04034b50);
    const byteOffset = at + 30 + bytes.readUInt16LE(at + 26) + bytes.readUInt16LE(at + 28);
    const program = externalProgram({ location: 'STAR-tiny.pt', byteOffset, dtype: 'bfloat16', shape: [3072] });
    await using session = await runtime.load(program, { weightsFolder: dirname(archive) });
    expect((await session.run({})).y!.data).toEqual(widen(bytes, byteOffset, 3072));
  });

  test('a folder that is relative to the working directory, or itself a symbolic link', async () => {
    expect(await read('model.safetensors', relative(process.cwd(), folder))).toEqual(elements);
    symlinkSync(folder, join(scratch, 'folder'));
    expect(await read('model.safetensors', join(scratch, 'folder'))).toEqual(elements);
  });

  test('links: hard links and symbolic links inside of the folder are followed, others refused with a hint', async () => {
    // As in the cache of the Hugging Face hub: snapshots/<commit>/model.safetensors -> ../../blobs/<hash>
    const hub = join(scratch, 'hub');
    const snapshot = join(hub, 'snapshots', 'main');
    mkdirSync(join(hub, 'blobs'), { recursive: true });
    mkdirSync(snapshot, { recursive: true });
    copyFileSync(file, join(hub, 'blobs', 'hash'));
    symlinkSync('../../blobs/hash', join(snapshot, 'model.safetensors'));
    linkSync(join(hub, 'blobs', 'hash'), join(snapshot, 'hard.safetensors'));
    expect(await read('hard.safetensors', snapshot)).toEqual(elements);
    expect(await read('snapshots/main/model.safetensors', hub)).toEqual(elements);
    await expect(read('model.safetensors', snapshot)).rejects.toThrow(/name a folder that holds the files themselves/);
  });

  test.each([
    ['no folder given', 'model.safetensors', undefined, /give their weightsFolder/],
    ['a folder that is none', 'model.safetensors', file, /is not a folder/],
    ['a file that is not there', 'none.safetensors', folder, /does not exist/],
    ['a path out of the folder', '../../STAR_tiny.json', folder, /escapes model directory/],
    ['an absolute path', file, folder, /Absolute path not allowed/],
  ])('refuses %s', async (_, location, weightsFolder, message) => {
    const error = await read(location, weightsFolder).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'RuntimeError', code: 'runtime_program_invalid' });
    expect((error as RuntimeError).message).toMatch(message);
  });

  test('refuses weights that end after their file', async () => {
    const end = readFileSync(file).byteLength;
    await expect(read('model.safetensors', folder, end - 10)).rejects.toThrow(/out of bounds/);
  });
});
