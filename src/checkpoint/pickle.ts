/**
 * A restricted unpickler: it reads the opcodes that PyTorch's own `weights_only` unpickler reads
 * (`torch/_weights_only_unpickler.py`), and the data opcodes that protocol 4 adds. It makes plain data and never
 * imports or calls anything: what a global means when it is "called" is decided by the caller's `PickleRules`.
 *
 * An explicit stack, no recursion; the work is bounded by the pickle's length and the number of opcodes.
 */

import { CheckpointError } from './error.ts';
import {
  describe,
  holdsTensor,
  OpaqueObject,
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from './pickle-value.ts';

/** What the three opcodes mean that reach beyond plain data. Each may throw through `fail`, which knows the place. */
export interface PickleRules {
  /** A global is named. */
  global(module: string, name: string, fail: Fail): PickleGlobal;
  /** A global is called with arguments, by REDUCE or NEWOBJ. */
  call(callee: PickleGlobal, args: PickleTuple, fail: Fail): PickleValue;
  /** A persistent id is resolved. */
  persistent(id: PickleValue, fail: Fail): PickleValue;
}

export type Fail = (reason: string) => never;

/** Where the pickle comes from: the file and where the pickle starts in it. */
export interface PicklePlace {
  readonly file: string;
  readonly offset: number;
}

export const maximumPickleLength = 64 * 1024 * 1024;
export const maximumOpcodes = 1_000_000;

/** Reads one pickle that fills `bytes` to the end. */
export function unpickle(bytes: Uint8Array, place: PicklePlace, rules: PickleRules): PickleValue {
  return new Unpickler(bytes, place, rules).run();
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #place: PicklePlace;
  readonly #rules: PickleRules;
  readonly #stack: PickleValue[] = [];
  /** Stack heights at the open MARKs; values below the last one are out of reach. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #position = 0;
  /** Where the opcode at work began. */
  #opcodeAt = 0;

  constructor(bytes: Uint8Array, place: PicklePlace, rules: PickleRules) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#place = place;
    this.#rules = rules;
  }

  run(): PickleValue {
    if (this.#bytes.length > maximumPickleLength) {
      this.#fail(`a pickle of ${this.#bytes.length} bytes, the limit is ${maximumPickleLength}`);
    }
    if (this.#bytes[0] !== 0x80) this.#fail('does not start with a pickle of protocol 2 or later');
    for (let count = 1; ; count++) {
      this.#opcodeAt = this.#position;
      if (count > maximumOpcodes) this.#fail(`more than ${maximumOpcodes} pickle opcodes`);
      const opcode = this.#unsigned8();
      if (opcode === 0x2e /* STOP */) break;
      this.#step(opcode);
    }
    const result = this.#pop();
    if (this.#stack.length > 0 || this.#marks.length > 0) this.#fail('the pickle stops with values left over');
    if (this.#position !== this.#bytes.length) this.#fail('bytes after the end of the pickle');
    return result;
  }

  readonly #fail: Fail = (reason) => {
    const { file, offset } = this.#place;
    throw new CheckpointError(reason, { file, byteOffset: offset + this.#opcodeAt });
  };

  #step(opcode: number): void {
    switch (opcode) {
      case 0x80: // PROTO
        this.#protocol();
        break;
      case 0x95: // FRAME
        this.#frame();
        break;
      case 0x28: // MARK
        this.#marks.push(this.#stack.length);
        break;

      case 0x4e: // NONE
        this.#push(null);
        break;
      case 0x88: // NEWTRUE
        this.#push(true);
        break;
      case 0x89: // NEWFALSE
        this.#push(false);
        break;
      case 0x4a: // BININT
        this.#push(this.#view.getInt32(this.#take(4), true));
        break;
      case 0x4b: // BININT1
        this.#push(this.#unsigned8());
        break;
      case 0x4d: // BININT2
        this.#push(this.#view.getUint16(this.#take(2), true));
        break;
      case 0x8a: // LONG1
        this.#push(this.#long(this.#unsigned8()));
        break;
      case 0x47: // BINFLOAT
        this.#push(this.#view.getFloat64(this.#take(8), false));
        break;
      case 0x58: // BINUNICODE
        this.#push(this.#text(this.#unsigned32()));
        break;
      case 0x8c: // SHORT_BINUNICODE
        this.#push(this.#text(this.#unsigned8()));
        break;
      case 0x55: // SHORT_BINSTRING: text of Python 2, ASCII in what PyTorch writes
        this.#push(this.#text(this.#unsigned8()));
        break;
      case 0x43: // SHORT_BINBYTES
        this.#push(this.#slice(this.#unsigned8()));
        break;
      case 0x42: // BINBYTES
        this.#push(this.#slice(this.#unsigned32()));
        break;

      case 0x7d: // EMPTY_DICT
        this.#push(new PickleDict());
        break;
      case 0x5d: // EMPTY_LIST
        this.#push(new PickleList());
        break;
      case 0x8f: // EMPTY_SET
        this.#push(new PickleSet());
        break;
      case 0x29: // EMPTY_TUPLE
        this.#push(new PickleTuple([]));
        break;
      case 0x74: // TUPLE
        this.#push(new PickleTuple(this.#popMark()));
        break;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        this.#push(new PickleTuple(this.#popMany(opcode - 0x84)));
        break;
      case 0x61: // APPEND
        this.#append(this.#popMany(1));
        break;
      case 0x65: // APPENDS
        this.#append(this.#popMark());
        break;
      case 0x73: // SETITEM
        this.#setItems(this.#popMany(2));
        break;
      case 0x75: // SETITEMS
        this.#setItems(this.#popMark());
        break;
      case 0x90: // ADDITEMS
        this.#addItems(this.#popMark());
        break;

      case 0x68: // BINGET
        this.#recall(this.#unsigned8());
        break;
      case 0x6a: // LONG_BINGET
        this.#recall(this.#unsigned32());
        break;
      case 0x71: // BINPUT
        this.#memorize(this.#unsigned8());
        break;
      case 0x72: // LONG_BINPUT
        this.#memorize(this.#unsigned32());
        break;
      case 0x94: // MEMOIZE
        this.#memorize(this.#memo.size);
        break;

      case 0x63: // GLOBAL
        this.#global(this.#line(), this.#line());
        break;
      case 0x93: // STACK_GLOBAL
        this.#stackGlobal();
        break;
      case 0x52: // REDUCE
      case 0x81: // NEWOBJ
        this.#call();
        break;
      case 0x62: // BUILD
        this.#build();
        break;
      case 0x51: // BINPERSID
        this.#push(this.#rules.persistent(this.#pop(), this.#fail));
        break;
      default:
        this.#fail(`pickle opcode 0x${opcode.toString(16).padStart(2, '0')} is not one that weights need`);
    }
  }

  #protocol(): void {
    const protocol = this.#unsigned8();
    if (this.#opcodeAt !== 0) this.#fail('a second pickle header');
    if (protocol < 2 || protocol > 5) this.#fail(`pickle protocol ${protocol}, expected 2 to 5`);
  }

  /** A frame is only a hint for buffering, but it must not claim more than there is. */
  #frame(): void {
    const length = this.#view.getBigUint64(this.#take(8), true);
    if (length > BigInt(this.#bytes.length - this.#position)) this.#fail(`a frame of ${length} bytes beyond the end`);
  }

  // Reading

  /** Moves past `length` bytes and returns where they begin. */
  #take(length: number): number {
    const start = this.#position;
    if (length > this.#bytes.length - start) this.#fail(`the pickle is cut: ${length} bytes are needed here`);
    this.#position += length;
    return start;
  }

  #unsigned8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  #unsigned32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  #slice(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  #text(length: number): string {
    const bytes = this.#slice(length);
    try {
      return decoder.decode(bytes);
    } catch {
      return this.#fail('a string that is not valid UTF-8');
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end < 0) this.#fail('the pickle is cut: a line does not end');
    const text = this.#text(end - this.#position);
    this.#position++;
    return text;
  }

  /** A signed little-endian integer of any length, at most 255 bytes here. */
  #long(length: number): number | bigint {
    const bytes = this.#slice(length);
    let value = 0n;
    for (let index = bytes.length - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index]!);
    value = BigInt.asIntN(length * 8, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  // The stack

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #popMany(count: number): PickleValue[] {
    const start = this.#stack.length - count;
    if (start < (this.#marks.at(-1) ?? 0)) this.#fail('the pickle takes more from its stack than there is');
    return this.#stack.splice(start);
  }

  #pop(): PickleValue {
    return this.#popMany(1)[0]!;
  }

  #popMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) return this.#fail('the pickle closes a group that it did not open');
    return this.#stack.splice(mark);
  }

  #top(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) this.#fail('the pickle looks at an empty stack');
    return this.#stack.at(-1)!;
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) this.#fail(`the pickle recalls ${index}, which it never stored`);
    this.#push(value!);
  }

  #memorize(index: number): void {
    this.#memo.set(index, this.#top());
  }

  // Containers: each opcode works on its own kind only. Opaque objects swallow what is put in.

  #append(items: readonly PickleValue[]): void {
    const target = this.#top();
    if (target instanceof OpaqueObject) this.#swallow(target, items);
    else if (target instanceof PickleList) for (const item of items) target.append(item);
    else this.#fail(`cannot append to ${describe(target)}`);
  }

  #addItems(items: readonly PickleValue[]): void {
    const target = this.#top();
    if (!(target instanceof PickleSet)) this.#fail(`cannot add items to ${describe(target)}`);
    for (const item of items) target.add(this.#hashable(item));
  }

  #setItems(items: readonly PickleValue[]): void {
    const target = this.#top();
    if (items.length % 2 !== 0) this.#fail('a dict is given a key without a value');
    if (target instanceof OpaqueObject) this.#swallow(target, items);
    else if (target instanceof PickleDict) {
      for (let at = 0; at < items.length; at += 2) target.set(this.#hashable(items[at]!), items[at + 1]!);
    } else this.#fail(`cannot set items of ${describe(target)}`);
  }

  #hashable(key: PickleValue): PickleValue {
    if (key instanceof PickleList || key instanceof PickleDict || key instanceof PickleSet) {
      this.#fail(`${describe(key)} cannot be a key`);
    }
    return key;
  }

  #swallow(target: OpaqueObject, items: readonly PickleValue[]): void {
    if (items.some(holdsTensor)) target.holdsTensor = true;
  }

  // Globals

  #global(module: string, name: string): void {
    this.#push(this.#rules.global(module, name, this.#fail));
  }

  #stackGlobal(): void {
    const [module, name] = this.#popMany(2);
    if (typeof module !== 'string' || typeof name !== 'string') this.#fail('a global whose name is no string');
    this.#global(module, name);
  }

  #call(): void {
    const [callee, args] = this.#popMany(2) as [PickleValue, PickleValue];
    if (!(args instanceof PickleTuple)) this.#fail(`a call is given ${describe(args)}, not a tuple`);
    if (callee instanceof PickleGlobal) this.#push(this.#rules.call(callee, args, this.#fail));
    // What an unknown function would have returned may be a class; calling it leads nowhere either.
    else if (callee instanceof OpaqueObject) {
      this.#push(new OpaqueObject(callee.callee, callee.holdsTensor || args.holdsTensor));
    } else this.#fail(`${describe(callee)} cannot be called`);
  }

  /** State of an object: attributes of an OrderedDict (such as `_metadata`) and of opaque objects are not needed. */
  #build(): void {
    const state = this.#pop();
    const target = this.#top();
    if (target instanceof OpaqueObject) this.#swallow(target, [state]);
    else if (!(target instanceof PickleDict)) this.#fail(`cannot set the state of ${describe(target)}`);
  }
}
