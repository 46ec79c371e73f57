/** An assembler for pickles: for tests of the restricted unpickler. Each function gives the bytes of some opcodes. */

export const MARK = Buffer.from('(');
export const STOP = Buffer.from('.');
export const NONE = Buffer.from('N');
export const FALSE = Buffer.from([0x89]);
export const EMPTY_DICT = Buffer.from('}');
export const EMPTY_LIST = Buffer.from(']');
export const EMPTY_TUPLE = Buffer.from(')');
export const TUPLE = Buffer.from('t');
export const TUPLE1 = Buffer.from([0x85]);
export const REDUCE = Buffer.from('R');
export const NEWOBJ = Buffer.from([0x81]);
export const BUILD = Buffer.from('b');
export const APPEND = Buffer.from('a');
export const APPENDS = Buffer.from('e');
export const SETITEM = Buffer.from('s');
export const SETITEMS = Buffer.from('u');
export const STACK_GLOBAL = Buffer.from([0x93]);
export const BINPERSID = Buffer.from('Q');

/** A whole pickle of protocol 2 (or another) around `parts`. */
export function pickle(parts: readonly Uint8Array[], protocol = 2): Buffer {
  return Buffer.concat([Buffer.from([0x80, protocol]), ...parts, STOP]);
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.alloc(5, 'X');
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** LONG1, which holds integers of any size. */
export function integer(value: number | bigint): Buffer {
  const bytes: number[] = [];
  for (let rest = BigInt(value); ; rest >>= 8n) {
    bytes.push(Number(rest & 0xffn));
    const sign = (rest >> 7n) as bigint;
    if (sign === 0n || sign === -1n) break;
  }
  return Buffer.from([0x8a, bytes.length, ...bytes]);
}

export function global(module: string, name: string): Buffer {
  return Buffer.from(`c${module}\n${name}\n`);
}

export function tuple(...items: readonly Uint8Array[]): Buffer {
  return Buffer.concat([MARK, ...items, TUPLE]);
}

export function put(index: number): Buffer {
  return Buffer.from([0x71, index]);
}

export function get(index: number): Buffer {
  return Buffer.from([0x68, index]);
}

export function dict(...pairs: readonly (readonly [Uint8Array, Uint8Array])[]): Buffer {
  return Buffer.concat([EMPTY_DICT, MARK, ...pairs.flat(), SETITEMS]);
}

export function call(callee: Uint8Array, ...args: readonly Uint8Array[]): Buffer {
  return Buffer.concat([callee, tuple(...args), REDUCE]);
}

export function storage(type: string, key: string, length: number | bigint): Buffer {
  const id = tuple(text('storage'), global('torch', type), text(key), text('cpu'), integer(length));
  return Buffer.concat([id, BINPERSID]);
}

export interface TensorToPickle {
  readonly type?: string;
  readonly key?: string;
  readonly length: number | bigint;
  readonly offset?: number | bigint;
  readonly size: readonly (number | bigint)[];
  readonly stride: readonly (number | bigint)[];
}

/** A tensor as `_rebuild_tensor_v2` makes it. */
export function tensor({ type = 'FloatStorage', key = '0', length, offset = 0, size, stride }: TensorToPickle): Buffer {
  return call(
    global('torch._utils', '_rebuild_tensor_v2'),
    storage(type, key, length),
    integer(offset),
    tuple(...size.map(integer)),
    tuple(...stride.map(integer)),
    FALSE,
    call(global('collections', 'OrderedDict')),
  );
}
