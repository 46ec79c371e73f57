import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type MemberToWrite, writeArchive } from '../../test/checkpoints/archive-writer.ts';
import { memorySource } from '../../test/checkpoints/memory-source.ts';
import {
  BINPERSID,
  BUILD,
  call,
  dict,
  EMPTY_DICT,
  EMPTY_LIST,
  FALSE,
  get,
  global,
  integer,
  MARK,
  NONE,
  pickle,
  put,
  storage,
  TUPLE,
  tensor,
  text,
  tuple,
} from '../../test/checkpoints/pickle-writer.ts';
import { CheckpointError } from './error.ts';
import { openTorchCheckpoint } from './open.ts';
import type { Checkpoint } from './source.ts';
import { createCheckpoint } from './source.ts';
import { readTorchCheckpoint, type TorchOptions } from './torch.ts';
import { maximumExpandedBytes } from './torch-pickle.ts';

const sample = (name: string) => fileURLToPath(new URL(`../../test/checkpoints/${name}`, import.meta.url));
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

async function values(checkpoint: Checkpoint, name: string): Promise<number[]> {
  return [...((await checkpoint.read(name)).data as Float32Array)];
}

async function failure(action: Promise<unknown>): Promise<CheckpointError> {
  const error = await action.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(CheckpointError);
  return error as CheckpointError;
}

// Files that PyTorch 2.13 wrote; test/checkpoints/make.py says what is in them.
describe('checkpoints written by PyTorch', () => {
  it.each(['dtypes.pt', 'protocol4.pt'])('reads every element type of %s', async (name) => {
    await using checkpoint = await openTorchCheckpoint(sample(name));
    for (const dtype of ['float32', 'float64', 'int32', 'int16', 'int8', 'uint8']) {
      expect(checkpoint.entries.get(dtype)).toMatchObject({ dtype, shape: [2, 3] });
      expect(await values(checkpoint, dtype)).toEqual(range(6));
    }
    expect((await checkpoint.read('int64')).data).toEqual(BigInt64Array.from(range(6).map(BigInt)));
    expect((await checkpoint.read('bfloat16')).data).toEqual(
      new Uint16Array([0, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0]),
    );
    expect((await checkpoint.read('float16')).data).toEqual(
      new Uint16Array([0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500]),
    );
    for (const dtype of ['float16', 'bfloat16', 'float64']) {
      expect([...(await checkpoint.readFloat32(dtype)).data]).toEqual(range(6));
    }
    expect(await checkpoint.read('bool')).toEqual({ dtype: 'bool', shape: [3], data: new Uint8Array([1, 0, 1]) });
    expect(await checkpoint.read('scalar')).toEqual({ dtype: 'float32', shape: [], data: new Float32Array([7.5]) });
    expect(await checkpoint.read('empty')).toEqual({ dtype: 'float32', shape: [2, 0], data: new Float32Array(0) });
    expect([...checkpoint.entries.values()].every((entry) => entry.strides === undefined)).toBe(true);
    expect(checkpoint.warnings).toEqual([]);
    expect(Object.fromEntries(checkpoint.metadata)).toEqual({ byteorder: 'little', version: '3' });
  });

  it('reads views of one storage', async () => {
    await using checkpoint = await openTorchCheckpoint(sample('views.pt'));
    const { entries } = checkpoint;
    const base = entries.get('base')!;
    expect(await values(checkpoint, 'base')).toEqual(range(24));
    expect(entries.get('tied')).toEqual({ ...base, name: 'tied' });
    expect(entries.get('rows')).toEqual({
      ...base,
      name: 'rows',
      shape: [2, 6],
      offset: base.offset + 24,
      byteLength: 48,
    });
    expect(await values(checkpoint, 'rows')).toEqual(range(12).map((value) => value + 6));
    expect(entries.get('transposed')).toMatchObject({ shape: [6, 4], strides: [1, 6], byteLength: 96 });
    expect(await values(checkpoint, 'transposed')).toEqual(range(24).map((i) => (i % 4) * 6 + Math.floor(i / 4)));
    expect(entries.get('column')).toMatchObject({ offset: base.offset + 8, byteLength: 19 * 4, strides: [6] });
    expect(await values(checkpoint, 'column')).toEqual([2, 8, 14, 20]);
    expect(await values(checkpoint, 'steps')).toEqual([1, 3, 5, 13, 15, 17]);
    expect(await values(checkpoint, 'axes')).toEqual(
      range(24).map((i) => Math.floor(i / 4) + 12 * (Math.floor(i / 2) % 2) + 6 * (i % 2)),
    );
    expect(await values(checkpoint, 'expanded')).toEqual(range(15).map((i) => i % 3));
    expect([...(await checkpoint.readFloat32('steps')).data]).toEqual([1, 3, 5, 13, 15, 17]);
  });

  it('reads state dicts of modules and parameters with attributes', async () => {
    await using module = await openTorchCheckpoint(sample('module.pt'), { strictPickle: true });
    expect(await values(module, 'weight')).toEqual(range(6));
    await using parameters = await openTorchCheckpoint(sample('parameters.pt'), { strictPickle: true });
    expect([...parameters.entries.keys()]).toEqual(['weight', 'bias', 'marked']);
    expect(await values(parameters, 'marked')).toEqual([0, 1]);
  });

  it('leaves what is no tensor of the state dict unread, and says so', async () => {
    await using checkpoint = await openTorchCheckpoint(sample('training.pt'));
    expect([...checkpoint.entries.keys()]).toEqual(['weight', '__proto__', 'constructor']);
    expect(await values(checkpoint, '__proto__')).toEqual([0, 1, 2]);
    expect(checkpoint.warnings).toEqual([
      'Python objects were left unread: "argparse.Namespace", "attrdict.AttrDict"',
      'beside "state_dict" were left unread: "args", "optimizer", "device", "dtype", "bytes", "counter", "set", "list"',
      'values of the state dict that are no tensors were left unread: "step"',
    ]);
    const strict = await failure(openTorchCheckpoint(sample('training.pt'), { strictPickle: true }));
    expect(strict.message).toMatch(/names "argparse.Namespace", which is not on the list/);
  });

  it.each<[string, string, RegExp]>([
    ['attrdict.pt', 'checkpoint_unsupported', /"state_dict" is an object of attrdict.AttrDict/],
    ['sparse.pt', 'checkpoint_unsupported', /"weight" is a tensor inside of "torch._utils._rebuild_sparse_tensor"/],
    ['complex.pt', 'checkpoint_unsupported', /"weight" is a tensor inside of "torch.ComplexFloatStorage"/],
    ['uint16.pt', 'checkpoint_unsupported', /"weight" is a tensor inside of "torch.uint16"/],
    ['negative.pt', 'checkpoint_invalid', /lazy negation/],
    ['whole-module.pt', 'checkpoint_unsupported', /holds an object of torch.nn.modules.linear.Linear/],
    ['legacy.pt', 'checkpoint_unsupported', /format before PyTorch 1.6/],
    ['malicious-system.pt', 'checkpoint_invalid', /names "posix.system".*made to attack/],
    ['malicious-popen.pt', 'checkpoint_unsupported', /holds no tensor/],
    ['malicious-eval.pt', 'checkpoint_unsupported', /holds no tensor/],
    ['reference.safetensors', 'checkpoint_invalid', /does not start as a ZIP archive/],
  ])('refuses %s', async (name, code, message) => {
    const error = await failure(openTorchCheckpoint(sample(name)));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });
});

/** An archive of `data.pkl` and one storage of 6 floats, 0 to 5, under the key 0. */
function archive(root: Uint8Array, extra: Readonly<Record<string, string>> = {}): Buffer {
  const members: MemberToWrite[] = [
    { name: 'archive/data.pkl', data: pickle([root]) },
    { name: 'archive/data/0', data: Buffer.from(Float32Array.from(range(6)).buffer) },
  ];
  for (const [name, data] of Object.entries(extra)) members.push({ name, data: Buffer.from(data) });
  return writeArchive(members);
}

const open = async (bytes: Uint8Array, options?: TorchOptions) =>
  createCheckpoint(await readTorchCheckpoint(memorySource(bytes), options));
const weight = (value: Uint8Array) => dict([text('weight'), value]);
const six = { length: 6, size: [2, 3], stride: [3, 1] };

describe('archives', () => {
  it('reads the smallest one', async () => {
    expect(await values(await open(archive(weight(tensor(six)))), 'weight')).toEqual(range(6));
  });

  const sound = weight(tensor(six));
  it.each<[string, Uint8Array, RegExp]>([
    ['big-endian numbers', archive(sound, { 'archive/byteorder': 'big' }), /"big"-endian/],
    ['an unknown byte order', archive(sound, { 'archive/byteorder': 'odd' }), /"odd"-endian/],
    ['a long text record', archive(sound, { 'archive/byteorder': ' '.repeat(1025) }), /the limit is 1024/],
    ['TorchScript', archive(sound, { 'archive/constants.pkl': '' }), /TorchScript/],
    ['two top folders', archive(sound, { 'other/data.pkl': '' }), /outside of the folder "archive"/],
    ['a file beside the top folder', archive(sound, { README: '' }), /outside of the folder/],
    ['another kind of ZIP archive', writeArchive([{ name: 'a/b', data: Buffer.alloc(0) }]), /without data.pkl/],
    ['an archive of nothing', writeArchive([]), /does not start as a ZIP archive/],
  ])('refuses %s', async (_, bytes, message) => {
    expect((await failure(open(bytes))).message).toMatch(message);
  });

  // attacks/torch_dos_create.py of the safetensors project hides 40 GB of zeros in a deflated record.
  it('refuses a compressed record', async () => {
    const data = Buffer.alloc(8);
    const bytes = writeArchive([
      { name: 'archive/data.pkl', data: pickle([sound]) },
      { name: 'archive/data/0', data, method: 8, descriptor: false },
    ]);
    expect((await failure(open(bytes))).message).toMatch(/"archive\/data\/0" is compressed/);
  });
});

describe('tensors', () => {
  const large = 2n ** 53n;
  const rebuild = global('torch._utils', '_rebuild_tensor_v2');
  it.each<[string, Uint8Array, RegExp]>([
    ['a size beyond the storage', tensor({ length: 6, size: [7], stride: [1] }), /leaves its storage of 6/],
    ['an offset beyond the storage', tensor({ length: 6, offset: 6, size: [1], stride: [1] }), /leaves its storage/],
    ['a stride beyond the storage', tensor({ length: 6, size: [2], stride: [6] }), /leaves its storage/],
    ['sizes that overflow', tensor({ length: 6, size: [2 ** 52, 2 ** 52], stride: [1, 1] }), /leaves its storage/],
    ['strides that overflow', tensor({ length: 6, size: [3, 3], stride: [2 ** 53 - 1, 2 ** 53 - 1] }), /leaves its/],
    ['a size of 2^53', tensor({ length: 6, size: [large], stride: [1] }), /natural numbers/],
    ['a negative size', tensor({ length: 6, size: [-1], stride: [1] }), /natural numbers/],
    ['a negative stride', tensor({ length: 6, offset: 5, size: [6], stride: [-1] }), /natural numbers/],
    ['a negative offset', tensor({ length: 6, offset: -1, size: [1], stride: [1] }), /not a natural number/],
    ['more sizes than strides', tensor({ length: 6, size: [1, 1], stride: [1] }), /2 sizes and 1 strides/],
    ['rank 17', tensor({ length: 6, size: Array(17).fill(1), stride: Array(17).fill(1) }), /rank 17/],
    ['an expansion to 1e12 elements', tensor({ length: 6, size: [1e12], stride: [0] }), /expanded from 1 elements/],
    ['an expansion beyond 2^53', tensor({ length: 6, size: [2 ** 50, 2 ** 50], stride: [0, 0] }), /expanded from 1/],
    [
      'overlapping windows without a zero stride',
      tensor({
        length: 6,
        size: [2, 2, 2, 2, 2].concat(Array(11).fill(2 ** 20)),
        stride: Array(5).fill(1).concat(Array(11).fill(0)),
      }),
      /expanded from 6/,
    ],
    ['a storage shorter than it says', tensor({ ...six, length: 7 }), /does not fit its record of 24 bytes/],
    ['a storage longer than it says', tensor({ ...six, length: 5 }), /does not fit its record/],
    ['a storage of another type', tensor({ ...six, type: 'DoubleStorage' }), /does not fit its record/],
    ['a storage that is not there', tensor({ ...six, key: '1' }), /storage "1" is not in the archive/],
    ['a storage key with a path', tensor({ ...six, key: '../data.pkl' }), /is not in the archive/],
    ['a very long storage key', tensor({ ...six, key: '0'.repeat(513) }), /513 characters/],
    ['a storage of 2^60 floats', tensor({ ...six, length: 2n ** 60n }), /has a number for its length/],
    [
      'one storage as two types',
      tuple(storage('FloatStorage', '0', 6), storage('IntStorage', '0', 6)),
      /"0" has two element types/,
    ],
    ['a tensor of a text', call(rebuild, text('x'), integer(0), tuple(), tuple()), /built from a string/],
    ['a tensor of nothing', call(rebuild), /built from None/],
    [
      'sizes in a list',
      call(rebuild, storage('FloatStorage', '0', 6), integer(0), EMPTY_LIST, EMPTY_LIST),
      /not a tuple of natural/,
    ],
    ['a parameter of a text', call(global('torch._utils', '_rebuild_parameter'), text('x')), /made of a string/],
    ['a state for a tensor', Buffer.concat([tensor(six), NONE, BUILD]), /cannot set the state of a tensor/],
    ['a persistent id of another kind', Buffer.concat([tuple(text('module')), BINPERSID]), /not one to a storage/],
    ['a persistent id that is a text', Buffer.concat([text('storage'), BINPERSID]), /not one to a storage/],
    ['a global with a very long name', global('a', 'b'.repeat(513)), /more than 512 characters/],
    ['sys', global('sys', 'modules'), /made to attack/],
    ['nt', global('nt', 'system'), /made to attack/],
  ])('refuses %s', async (_, value, message) => {
    const error = await failure(open(archive(weight(value))));
    expect(error.message).toMatch(message);
    expect(error.code).toBe('checkpoint_invalid');
    expect(error.byteOffset).toBeGreaterThan(0);
  });

  it('reads a size of zero whatever its strides', async () => {
    const checkpoint = await open(
      archive(weight(tensor({ length: 6, offset: 6, size: [0, 2 ** 50], stride: [1, 1] }))),
    );
    expect(await checkpoint.read('weight')).toMatchObject({ shape: [0, 2 ** 50], data: new Float32Array(0) });
  });

  it('reads an expansion up to the limit', async () => {
    const count = maximumExpandedBytes / 4;
    const expanded = (size: number) => archive(weight(tensor({ length: 6, offset: 5, size: [size], stride: [0] })));
    const checkpoint = await open(expanded(count));
    const { data } = await checkpoint.read('weight');
    expect([data.length, data[0], data[count - 1]]).toEqual([count, 5, 5]);
    expect((await failure(open(expanded(count + 1)))).message).toMatch(/save it contiguous/);
  });

  it('reads untyped storages through _rebuild_tensor_v3', async () => {
    const untyped = Buffer.concat([
      tuple(text('storage'), global('torch.storage', 'UntypedStorage'), text('0'), text('cpu'), integer(24)),
      BINPERSID,
    ]);
    const build = (offset: number) =>
      call(
        global('torch._utils', '_rebuild_tensor_v3'),
        untyped,
        integer(offset),
        tuple(integer(3)),
        tuple(integer(2)),
        FALSE,
        EMPTY_DICT,
        global('torch', 'float32'),
      );
    expect(await values(await open(archive(weight(build(1)))), 'weight')).toEqual([1, 3, 5]);
    expect((await failure(open(archive(weight(build(2)))))).message).toMatch(/leaves its storage of 6/);
  });

  it('reads tensors of plain types through _rebuild_from_type_v2 and no others', async () => {
    const view = [storage('FloatStorage', '0', 6), integer(0), tuple(integer(6)), tuple(integer(1)), FALSE, EMPTY_DICT];
    const typed = (module: string, name: string) =>
      call(
        global('torch._tensor', '_rebuild_from_type_v2'),
        global('torch._utils', '_rebuild_tensor_v2'),
        global(module, name),
        tuple(...view),
        EMPTY_DICT,
      );
    const parameter = await open(archive(weight(typed('torch.nn.parameter', 'Parameter'))));
    expect(await values(parameter, 'weight')).toEqual(range(6));
    const error = await failure(open(archive(weight(typed('torchao', 'PackedTensor')))));
    expect(error).toMatchObject({ code: 'checkpoint_unsupported' });
    expect(error.message).toMatch(/a tensor inside of "torchao.PackedTensor"/);
  });
});

describe('state dicts', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['a list', EMPTY_LIST, /holds a list, expected a state dict/],
    ['a tensor', tensor(six), /holds a tensor, expected a state dict/],
    ['a list under state_dict', dict([text('state_dict'), EMPTY_LIST]), /"state_dict" is a list/],
    ['no tensors', dict([text('epoch'), integer(3)]), /holds no tensor/],
    ['a dict of dicts', dict([text('model'), weight(tensor(six))]), /"model" is a dict that holds tensors/],
    ['a tensor under a number', dict([integer(1), tensor(six)]), /"a number" is a tensor that holds/],
    [
      'a tensor that went into an unknown object',
      weight(call(global('mystery', 'Tensor'), tuple(tuple(tensor(six))))),
      /"weight" is a tensor inside of "mystery.Tensor"/,
    ],
    [
      'a tensor that became the state of an unknown object',
      weight(Buffer.concat([call(global('mystery', 'Tensor')), dict([text('data'), tensor(six)]), BUILD])),
      /"weight" is a tensor inside of "mystery.Tensor"/,
    ],
  ])('refuses %s', async (_, root, message) => {
    const error = await failure(open(archive(root)));
    expect(error.message).toMatch(message);
    expect(error.code).toBe('checkpoint_unsupported');
  });

  it('knows the old name of builtins', async () => {
    const root = dict(
      [text('weight'), tensor(six)],
      [text('seen'), call(global('__builtin__', 'set'), Buffer.concat([EMPTY_LIST, put(0)]))],
      [text('again'), Buffer.concat([MARK, get(0), TUPLE])],
    );
    const checkpoint = await open(archive(root), { strictPickle: true });
    expect(checkpoint.warnings).toEqual([
      'values of the state dict that are no tensors were left unread: "seen", "again"',
    ]);
  });
});
