import { describe, expect, it } from 'vitest';
import {
  APPEND,
  APPENDS,
  BINPERSID,
  BUILD,
  call,
  dict,
  EMPTY_DICT,
  EMPTY_LIST,
  EMPTY_TUPLE,
  get,
  global,
  integer,
  MARK,
  NONE,
  pickle,
  put,
  REDUCE,
  SETITEM,
  SETITEMS,
  STACK_GLOBAL,
  STOP,
  TUPLE,
  TUPLE1,
  text,
  tuple,
} from '../../test/checkpoints/pickle-writer.ts';
import { CheckpointError } from './error.ts';
import { maximumOpcodes, type PickleRules, unpickle } from './pickle.ts';
import {
  OpaqueObject,
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from './pickle-value.ts';

/** Names stay names, calls stay closed. */
const rules: PickleRules = {
  global: (module, name) => new PickleGlobal(module, name, false),
  call: (callee, args) => new OpaqueObject(callee, args.holdsTensor),
  persistent: (_, fail) => fail('no storages here'),
};

const place = { file: 'test.pkl', offset: 1000 };
const read = (bytes: Uint8Array) => unpickle(bytes, place, rules);
const readParts = (...parts: Uint8Array[]) => read(pickle(parts));

function plain(value: PickleValue): unknown {
  if (value instanceof PickleTuple || value instanceof PickleList) return value.items.map(plain);
  if (value instanceof PickleSet) return new Set([...value.items].map(plain));
  if (value instanceof PickleDict) return new Map([...value.entries].map(([key, item]) => [plain(key), plain(item)]));
  return value instanceof Uint8Array ? new Uint8Array(value) : value;
}

function failure(bytes: Uint8Array): CheckpointError {
  try {
    read(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    return error as CheckpointError;
  }
  throw new Error('expected the pickle to be refused');
}

const hexadecimal = (bytes: string) => Buffer.from(bytes.replaceAll(' ', ''), 'hex');

describe('unpickle', () => {
  // The output of Python's pickle.dumps for the value in the comment.
  it.each<[string, Uint8Array, unknown]>([
    // [None, True, False, 1, 255, 65535, -1, 2**31, -2**40, 0.5]
    [
      'protocol 2: numbers',
      hexadecimal(
        '80 02 5d7100 28 4e 88 89 4b01 4bff 4dffff 4affffffff 8a050000008000 8a06000000000 0ff 473fe0000000000000 65 2e',
      ),
      [null, true, false, 1, 255, 65535, -1, 2 ** 31, -(2 ** 40), 0.5],
    ],
    // {'é': (1, 2, 3), 'b': b'\x00\xff'}
    [
      'protocol 4: text, tuple, bytes',
      hexadecimal('80 04 95 1900000000000000 7d94 28 8c02c3a994 4b01 4b02 4b03 87 94 8c016294 430200ff 94 75 2e'),
      new Map<string, unknown>([
        ['é', [1, 2, 3]],
        ['b', new Uint8Array([0, 255])],
      ]),
    ],
    // {1, 2}
    ['protocol 4: set', hexadecimal('80 04 95 0900000000000000 8f94 28 4b01 4b02 90 2e'), new Set([1, 2])],
  ])('reads %s', (_, bytes, expected) => {
    expect(plain(read(bytes))).toEqual(expected);
  });

  it('keeps integers beyond 2^53 exact', () => {
    expect(readParts(integer(2n ** 70n))).toBe(2n ** 70n);
    expect(readParts(integer(-(2n ** 70n)))).toBe(-(2n ** 70n));
    expect(readParts(integer(2 ** 53 - 1))).toBe(2 ** 53 - 1);
  });

  it('gives a recalled object back as the same object', () => {
    const value = readParts(MARK, EMPTY_LIST, put(7), get(7), TUPLE) as PickleTuple;
    expect(value.items[0]).toBe(value.items[1]);
  });

  it('keeps keys with a meaning in JavaScript', () => {
    const value = readParts(dict([text('__proto__'), integer(1)], [text('constructor'), integer(2)]));
    expect([...(value as PickleDict).entries]).toEqual([
      ['__proto__', 1],
      ['constructor', 2],
    ]);
  });

  it('calls nothing: an unknown object swallows arguments, items and state', () => {
    const made = Buffer.concat([call(global('subprocess', 'Popen'), text('true')), NONE, BUILD]);
    const value = readParts(made, MARK, text('key'), integer(1), SETITEMS, MARK, integer(1), APPENDS) as OpaqueObject;
    expect(value).toBeInstanceOf(OpaqueObject);
    expect(value.callee.path).toBe('subprocess.Popen');
    const twice = readParts(call(call(global('operator', 'methodcaller'), text('system')), global('posix', '')));
    expect((twice as OpaqueObject).callee.path).toBe('operator.methodcaller');
  });

  it('reads nesting as deep as the opcodes go, without recursion', () => {
    const depth = 400_000;
    let value = readParts(EMPTY_LIST, Buffer.alloc(depth, TUPLE1));
    let count = 0;
    while (value instanceof PickleTuple) {
      value = value.items[0]!;
      count++;
    }
    expect(count).toBe(depth);
  });

  it('reads an object that holds itself', () => {
    const value = readParts(EMPTY_LIST, put(0), get(0), APPEND) as PickleList;
    expect(value.items[0]).toBe(value);
  });

  const huge = Buffer.concat([Buffer.from('X'), Buffer.from([0xff, 0xff, 0xff, 0xff])]);
  it.each<[string, Buffer, number, RegExp]>([
    ['no bytes', Buffer.alloc(0), 0, /does not start with a pickle/],
    ['protocol 0', Buffer.from('(lp0\n.'), 0, /does not start with a pickle/],
    ['protocol 1', pickle([NONE], 1), 0, /protocol 1, expected/],
    ['protocol 6', pickle([NONE], 6), 0, /protocol 6, expected/],
    ['a second header', pickle([Buffer.from([0x80, 2]), NONE]), 2, /second pickle header/],
    ['no end', pickle([NONE]).subarray(0, -1), 3, /the pickle is cut/],
    ['bytes behind the end', Buffer.concat([pickle([NONE]), Buffer.from('x')]), 3, /bytes after the end/],
    ['two results', pickle([NONE, NONE]), 4, /values left over/],
    ['no result', pickle([]), 2, /takes more from its stack/],
    ['a group left open', pickle([NONE, MARK, NONE]), 5, /values left over/],
    ['a result inside of a group', pickle([MARK, NONE]), 4, /values left over/],
    ['a group that was not opened', pickle([NONE, TUPLE]), 3, /closes a group/],
    ['an opcode that takes across a group', pickle([NONE, MARK, TUPLE1]), 4, /takes more from its stack/],
    ['a memo from an empty stack', pickle([put(0)]), 2, /looks at an empty stack/],
    ['a memo from across a group', pickle([NONE, MARK, put(0)]), 4, /looks at an empty stack/],
    ['a memo that was not stored', pickle([get(3)]), 2, /recalls 3, which it never/],
    ['a text beyond the end', pickle([huge]), 2, /4294967295 bytes are needed/],
    ['a text that is not UTF-8', pickle([Buffer.from([0x8c, 1, 0xff])]), 2, /not valid UTF-8/],
    ['half an integer', Buffer.from([0x80, 2, 0x4a, 0]), 2, /4 bytes are needed/],
    ['half a float', Buffer.from([0x80, 2, 0x47, 0]), 2, /8 bytes are needed/],
    ['a name without end', pickle([Buffer.from('cos')]), 2, /a line does not end/],
    ['a frame beyond the end', pickle([Buffer.from([0x95, 9, 0, 0, 0, 0, 0, 0, 0]), NONE], 4), 2, /frame of 9 bytes/],
    ['INST', pickle([MARK, Buffer.from('ios\nsystem\n')]), 3, /opcode 0x69 is not one/],
    ['OBJ', pickle([MARK, Buffer.from('o')]), 3, /opcode 0x6f/],
    ['EXT1', pickle([Buffer.from([0x82, 1])]), 2, /opcode 0x82/],
    ['PERSID', pickle([Buffer.from('P0\n')]), 2, /opcode 0x50/],
    ['NEWOBJ_EX', pickle([Buffer.from([0x92])], 4), 2, /opcode 0x92/],
    ['NEXT_BUFFER', pickle([Buffer.from([0x97])], 5), 2, /opcode 0x97/],
    ['a persistent id that the rules refuse', pickle([NONE, BINPERSID]), 3, /no storages here/],
    ['a call of a text', pickle([text('f'), EMPTY_TUPLE, REDUCE]), 9, /a string cannot be called/],
    [
      'a call without a tuple',
      pickle([global('a', 'b'), EMPTY_LIST, REDUCE]),
      8,
      /a call is given a list, not a tuple/,
    ],
    ['a global whose name is a number', pickle([text('a'), integer(1), STACK_GLOBAL], 4), 11, /name is no string/],
    // Type confusion: each of these would write to memory of the wrong kind in a careless reader.
    ['items for a list', pickle([EMPTY_LIST, text('a'), NONE, SETITEM]), 10, /cannot set items of a list/],
    ['items for a tuple', pickle([EMPTY_TUPLE, MARK, NONE, NONE, SETITEMS]), 6, /cannot set items of a tuple/],
    ['an append to a dict', pickle([EMPTY_DICT, NONE, APPEND]), 4, /cannot append to a dict/],
    ['an append to a text', pickle([text('a'), NONE, APPEND]), 9, /cannot append to a string/],
    ['set items for a list', pickle([EMPTY_LIST, MARK, NONE, Buffer.from([0x90])], 4), 5, /cannot add items to a list/],
    ['a state for a list', pickle([EMPTY_LIST, NONE, BUILD]), 4, /cannot set the state of a list/],
    ['a key without a value', pickle([EMPTY_DICT, MARK, NONE, SETITEMS]), 5, /a key without a value/],
    ['a list as a key', pickle([EMPTY_DICT, EMPTY_LIST, NONE, SETITEM]), 5, /a list cannot be a key/],
  ])('refuses %s', (_, bytes, at, message) => {
    const error = failure(bytes);
    expect(error.message).toMatch(message);
    expect(error.byteOffset).toBe(place.offset + at);
    expect(error.file).toBe('test.pkl');
  });

  it('limits the number of opcodes', () => {
    const bytes = Buffer.concat([Buffer.from([0x80, 2]), MARK, Buffer.alloc(maximumOpcodes, 'N'), TUPLE, STOP]);
    expect(failure(bytes).message).toMatch(/more than 1000000 pickle opcodes/);
  });

  it('is not slowed down by large values that are recalled again and again', () => {
    const list = Buffer.concat([EMPTY_LIST, put(0), MARK, Buffer.alloc(200_000, 'N'), APPENDS]);
    const recalls = Buffer.concat(Array.from({ length: 100_000 }, () => Buffer.concat([get(0), TUPLE1])));
    const start = performance.now();
    const value = readParts(MARK, list, recalls, tuple(text('x')), TUPLE) as PickleTuple;
    expect(value.items).toHaveLength(100_002);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});
