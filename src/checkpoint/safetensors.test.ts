import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../test/checkpoints/memory-source.ts';
import { CheckpointError } from './error.ts';
import { openSafetensors } from './open.ts';
import { readSafetensors } from './safetensors.ts';
import { createCheckpoint } from './source.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** A file with an honest length field. */
function file(header: string, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), data]);
}

const open = async (bytes: Uint8Array) => createCheckpoint(await readSafetensors(memorySource(bytes)));

async function failure(bytes: Uint8Array): Promise<CheckpointError> {
  const error = await open(bytes).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CheckpointError);
  return error as CheckpointError;
}

const matrix = '{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}';
const sixty = '<\0\0\0\0\0\0\0';

// The cases of the reference implementation's own tests (huggingface/safetensors, safetensors/src/tensor.rs).
describe('the reference tests', () => {
  it('test_deserialization', async () => {
    const checkpoint = await open(latin1(`${sixty}${matrix}${'\0'.repeat(16)}`));
    expect([...checkpoint.entries.keys()]).toEqual(['test']);
    expect(checkpoint.entries.get('test')).toMatchObject({ dtype: 'int32', shape: [2, 2], offset: 68, byteLength: 16 });
    expect(await checkpoint.read('test')).toEqual({ dtype: 'int32', shape: [2, 2], data: new Int32Array(4) });
  });

  it('test_empty_shapes_allowed', async () => {
    const header = '{"test":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}';
    const checkpoint = await open(file(header, Buffer.from([7, 0, 0, 0])));
    expect(await checkpoint.read('test')).toEqual({ dtype: 'int32', shape: [], data: new Int32Array([7]) });
  });

  it('test_zero_sized_tensor', async () => {
    const checkpoint = await open(latin1(`${sixty}{"test":{"dtype":"I32","shape":[2,0],"data_offsets":[0, 0]}}`));
    expect(await checkpoint.read('test')).toEqual({ dtype: 'int32', shape: [2, 0], data: new Int32Array(0) });
  });

  it('test_empty, test_whitespace_padded_header and leading white space', async () => {
    for (const header of ['{}      ', '{}\r \t\n', '\t\n{}\r '])
      expect((await open(file(header))).entries.size).toBe(0);
  });

  it('test_json_attack: ten tensors on one range', async () => {
    const members = Array.from(
      { length: 10 },
      (_, i) => `"weight_${i}":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}`,
    );
    expect((await failure(file(`{${members.join()}}`, Buffer.alloc(16)))).message).toMatch(
      /overlaps the tensor before/,
    );
  });

  it.each<[string, Buffer, RegExp]>([
    [
      'extra bytes',
      latin1(`${sixty}${matrix}${'\0'.repeat(16)}extra_bogus_data_for_polyglot_file`),
      /bytes follow the last/,
    ],
    ['two bytes missing', latin1(`${sixty}${matrix}${'\0'.repeat(14)}`), /the file is cut/],
    [
      'header too large',
      latin1(`<\0\0\0\0\xff\xff\xff${matrix}${'\0'.repeat(16)}`),
      /header claims \d+ bytes, the limit is/,
    ],
    ['header too small', latin1(''), /8 bytes of header length, this has 0/],
    ['header length beyond the file', latin1(sixty), /needs 60 bytes here/],
    ['not UTF-8', latin1('\x01\0\0\0\0\0\0\0\xff'), /not valid UTF-8/],
    ['not JSON', latin1('\x01\0\0\0\0\0\0\0{'), /not valid JSON/],
    ['invalid info', latin1(`${sixty}{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0, 4]}}`), /needs 16 bytes/],
    [
      'validation overflow of the shape',
      file('{"test":{"dtype":"I32","shape":[2,18446744073709551614],"data_offsets":[0,16]}}', Buffer.alloc(16)),
      /"shape" must be/,
    ],
    [
      'validation overflow of the bytes',
      file('{"test":{"dtype":"I32","shape":[2,4503599627370496],"data_offsets":[0,16]}}', Buffer.alloc(16)),
      /overflows/,
    ],
  ])('%s', async (_, bytes, message) => {
    const error = await failure(bytes);
    expect(error.message).toMatch(message);
    expect(error.code).toBe('checkpoint_invalid');
  });
});

describe('what is stricter here', () => {
  const tensor = (fields: string) => file(`{"t":{${fields}}}`, Buffer.alloc(8));
  const bytes = (name: string, begin: number, end: number) =>
    `"${name}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`;

  it.each<[string, Buffer, RegExp]>([
    ['a repeated tensor', file(`{${bytes('t', 0, 0)},${bytes('t', 0, 0)}}`), /key that was there before/],
    ['a gap', file(`{${bytes('t', 4, 8)}}`, Buffer.alloc(8)), /leaves a gap/],
    ['partial overlap', file(`{${bytes('a', 0, 4)},${bytes('b', 2, 6)}}`, Buffer.alloc(6)), /overlaps/],
    ['offsets in reverse', tensor('"dtype":"U8","shape":[8],"data_offsets":[8,0]'), /before they begin/],
    ['a negative dimension', tensor('"dtype":"U8","shape":[-8],"data_offsets":[0,8]'), /"shape" must be/],
    ['a fractional dimension', tensor('"dtype":"U8","shape":[8.0],"data_offsets":[0,8]'), /"shape" must be/],
    [
      'an offset of 2^53',
      tensor('"dtype":"U8","shape":[8],"data_offsets":[0,9007199254740992]'),
      /"data_offsets" must/,
    ],
    ['three offsets', tensor('"dtype":"U8","shape":[8],"data_offsets":[0,8,8]'), /"data_offsets" must be/],
    ['rank 17', tensor(`"dtype":"U8","shape":[8${',1'.repeat(16)}],"data_offsets":[0,8]`), /rank 17/],
    ['an unknown type', tensor('"dtype":"F7","shape":[8],"data_offsets":[0,8]'), /unknown element type "F7"/],
    ['an unknown field', tensor('"dtype":"U8","shape":[8],"data_offsets":[0,8],"x":1'), /expected exactly/],
    ['metadata that is no string', file('{"__metadata__":{"a":1}}'), /object of strings/],
    ['a header that is no object', file('[]'), /not a JSON object/],
  ])('refuses %s', async (_, content, message) => {
    expect((await failure(content)).message).toMatch(message);
  });

  it('says which element types are sound but not supported', async () => {
    const error = await failure(tensor('"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]'));
    expect(error).toMatchObject({ code: 'checkpoint_unsupported', byteOffset: 8, file: 'memory' });
  });

  it('gives the byte at which the JSON breaks', async () => {
    expect((await failure(file('{"é":}'))).byteOffset).toBe(8 + Buffer.byteLength('{"é":'));
  });

  it('reads tensors called __proto__ and constructor', async () => {
    const header = `{${bytes('__proto__', 0, 1)},${bytes('constructor', 1, 2)}}`;
    const checkpoint = await open(file(header, Buffer.from([5, 6])));
    expect([...checkpoint.entries.keys()]).toEqual(['__proto__', 'constructor']);
    expect((await checkpoint.read('__proto__')).data).toEqual(new Uint8Array([5]));
  });

  it('refuses bool bytes other than 0 and 1 when they are read', async () => {
    const header = '{"t":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}';
    const checkpoint = await open(file(header, Buffer.from([0, 1, 2])));
    await expect(checkpoint.read('t')).rejects.toThrow(/element 2 is 2, expected a bool/);
  });

  // attacks/ of the reference implementation: ten million tensors over one range.
  it('gives up early on a header of very many tensors', async () => {
    const members = Array.from({ length: 150_000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`);
    expect((await failure(file(`{${members.join()}}`, Buffer.alloc(1)))).message).toMatch(/more than 1000000 values/);
  });
});

describe('reading', () => {
  it('closes its file, and says so afterwards', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'starstack-'));
    const path = join(folder, 'x.safetensors');
    await writeFile(path, file('{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', Buffer.from([1])));
    const checkpoint = await openSafetensors(path);
    await checkpoint[Symbol.asyncDispose]();
    await checkpoint[Symbol.asyncDispose]();
    await expect(checkpoint.read('t')).rejects.toThrow(/was closed/);
    await rm(folder, { recursive: true });
  });

  it('notices a file that is cut after it was opened', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'starstack-'));
    const path = join(folder, 'x.safetensors');
    const whole = file('{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', Buffer.alloc(4));
    await writeFile(path, whole);
    {
      await using checkpoint = await openSafetensors(path);
      await writeFile(path, whole.subarray(0, whole.length - 1));
      await expect(checkpoint.read('t')).rejects.toThrow(/ends here, 1 bytes too early/);
    }
    await rm(folder, { recursive: true });
  });

  it('converts every floating type to float32 and refuses the others', async () => {
    const data = Buffer.alloc(30);
    data.writeDoubleLE(1 + 2 ** -30, 0);
    data.writeFloatLE(-0.1, 8);
    const bits = [0x3c00, 0x8001, 0x7bff, 0xfc00, 0x7e00, 0x0400];
    for (const [i, value] of bits.entries()) data.writeUInt16LE(value, 12 + 2 * i);
    data.writeUInt16LE(0xc040, 24);
    data.writeInt32LE(5, 26);
    const header = {
      d: { dtype: 'F64', shape: [1], data_offsets: [0, 8] },
      f: { dtype: 'F32', shape: [], data_offsets: [8, 12] },
      h: { dtype: 'F16', shape: [2, 3], data_offsets: [12, 24] },
      b: { dtype: 'BF16', shape: [1], data_offsets: [24, 26] },
      i: { dtype: 'I32', shape: [1], data_offsets: [26, 30] },
    };
    const checkpoint = await open(file(JSON.stringify(header), data));
    expect([...(await checkpoint.readFloat32('d')).data]).toEqual([1]);
    expect([...(await checkpoint.readFloat32('f')).data]).toEqual([Math.fround(-0.1)]);
    const halves = [1, -(2 ** -24), 65504, Number.NEGATIVE_INFINITY, Number.NaN, 2 ** -14];
    expect([...(await checkpoint.readFloat32('h')).data]).toEqual(halves);
    expect((await checkpoint.readFloat32('b')).data).toEqual(new Float32Array([-3]));
    await expect(checkpoint.readFloat32('i')).rejects.toThrow(/holds int32, expected floating-point/);
    await expect(checkpoint.read('nothing')).rejects.toMatchObject({ code: 'checkpoint_not_found' });
  });

  it('refuses a float64 that float32 cannot hold', async () => {
    const data = Buffer.alloc(16);
    data.writeDoubleLE(Number.POSITIVE_INFINITY, 0);
    data.writeDoubleLE(1e39, 8);
    const checkpoint = await open(file('{"d":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}', data));
    await expect(checkpoint.readFloat32('d')).rejects.toThrow(/element 1 is beyond float32's range/);
  });

  it('converts tensors larger than its working piece', async () => {
    const count = 9 * 1024 * 1024;
    const data = Buffer.alloc(2 * count);
    data.writeUInt16LE(0x3f80, 2 * (count - 1));
    data.writeUInt16LE(0x4000, 16 * 1024 * 1024);
    const header = `{"b":{"dtype":"BF16","shape":[${count}],"data_offsets":[0,${2 * count}]}}`;
    const { data: values } = await (await open(file(header, data))).readFloat32('b');
    expect([values[count - 1], values[8 * 1024 * 1024], values[8 * 1024 * 1024 - 1]]).toEqual([1, 2, 0]);
  });
});
