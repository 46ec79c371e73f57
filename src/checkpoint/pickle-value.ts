/** What a pickle can hold here: plain data. Nothing of it can run. */

import type { DType } from '../tensor/dtype.ts';

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleSet
  | PickleGlobal
  | OpaqueObject
  | PickledStorage
  | PickledTensor;

/**
 * A container. `holdsTensor` says whether a tensor or storage was seen inside; it is kept up as values are put in,
 * because walking nested containers later would need recursion.
 */
abstract class PickleContainer {
  holdsTensor = false;

  protected note(value: PickleValue): void {
    if (holdsTensor(value)) this.holdsTensor = true;
  }
}

export class PickleTuple extends PickleContainer {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    super();
    this.items = items;
    for (const item of items) this.note(item);
  }
}

export class PickleList extends PickleContainer {
  readonly items: PickleValue[] = [];

  append(item: PickleValue): void {
    this.items.push(item);
    this.note(item);
  }
}

/** A dict or an OrderedDict. A Map, so that a key such as `__proto__` is a key like any other. */
export class PickleDict extends PickleContainer {
  readonly entries = new Map<PickleValue, PickleValue>();

  set(key: PickleValue, value: PickleValue): void {
    this.entries.set(key, value);
    this.note(value);
  }
}

export class PickleSet extends PickleContainer {
  readonly items = new Set<PickleValue>();

  add(item: PickleValue): void {
    this.items.add(item);
    this.note(item);
  }
}

/** The name of a Python class or function. It stays a name: nothing is ever imported. */
export class PickleGlobal {
  readonly module: string;
  readonly name: string;
  /** True for what a checkpoint is expected to mention. */
  readonly known: boolean;

  constructor(module: string, name: string, known: boolean) {
    this.module = module;
    this.name = name;
    this.known = known;
  }

  get path(): string {
    return `${this.module}.${this.name}`;
  }
}

/** Where a call of something that is not interpreted here would have put its result. Never called, never read. */
export class OpaqueObject {
  readonly callee: PickleGlobal;
  /** True if a tensor or storage went in, so that what is lost may be a weight. */
  holdsTensor: boolean;

  constructor(callee: PickleGlobal, holdsTensor: boolean) {
    this.callee = callee;
    this.holdsTensor = holdsTensor;
  }
}

/** A storage of a PyTorch archive: a record of bytes and their element type; undefined for untyped bytes. */
export class PickledStorage {
  readonly key: string;
  readonly dtype: DType | undefined;
  /** Number of elements; of bytes where untyped. */
  readonly length: number;

  constructor(key: string, dtype: DType | undefined, length: number) {
    this.key = key;
    this.dtype = dtype;
    this.length = length;
  }
}

/** A view of a storage, checked to lie inside of it. */
export class PickledTensor {
  readonly storage: PickledStorage;
  readonly dtype: DType;
  /** In elements of `dtype`, from the storage's start. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: PickledStorage,
    dtype: DType,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

export function holdsTensor(value: PickleValue): boolean {
  if (value instanceof PickledTensor || value instanceof PickledStorage) return true;
  return (value instanceof PickleContainer || value instanceof OpaqueObject) && value.holdsTensor;
}

/** Names a value in a message, in Python's words. */
export function describe(value: PickleValue): string {
  if (value === null) return 'None';
  if (value instanceof PickleTuple) return 'a tuple';
  if (value instanceof PickleList) return 'a list';
  if (value instanceof PickleDict) return 'a dict';
  if (value instanceof PickleSet) return 'a set';
  if (value instanceof PickleGlobal) return `the name ${value.path}`;
  if (value instanceof OpaqueObject) return `an object of ${value.callee.path}`;
  if (value instanceof PickledStorage) return 'a storage';
  if (value instanceof PickledTensor) return 'a tensor';
  if (value instanceof Uint8Array) return 'bytes';
  return typeof value === 'string' ? 'a string' : typeof value === 'boolean' ? 'a bool' : 'a number';
}
