/**
 * What the globals in a PyTorch checkpoint mean: an allow-list after `torch/_weights_only_unpickler.py`.
 *
 * Interpreted are only those that lead to tensors. Other known ones (`torch.device`, dtypes, `_codecs.encode`…) and all
 * unknown ones become opaque: nothing is called, in any mode.
 */

import { type DType, dtypes } from '../tensor/dtype.ts';
import { elementCount, maximumRank, spannedElements } from './entry.ts';
import { quote } from './error.ts';
import type { Fail, PickleRules } from './pickle.ts';
import {
  describe,
  holdsTensor,
  OpaqueObject,
  PickleDict,
  PickledStorage,
  PickledTensor,
  PickleGlobal,
  PickleTuple,
  type PickleValue,
} from './pickle-value.ts';

/** Bytes that a tensor may have whose elements share memory: a few stored bytes can claim to be any number of elements. */
export const maximumExpandedBytes = 64 * 1024 * 1024;

/** Longest module, global or storage name. A name may be recalled a million times, so its use must cost little. */
const maximumNameLength = 512;

/** What the unpickling found beside the tensors. */
export interface TorchFindings {
  /** Unknown globals that were met, by path. */
  readonly unknownGlobals: Set<string>;
}

export interface TorchRulesOptions {
  /** Bytes of the record of a storage; undefined if there is none. */
  readonly recordSize: (key: string) => number | undefined;
  /** Unknown globals are an error wherever they stand. */
  readonly strictPickle: boolean;
  readonly findings: TorchFindings;
}

const storageDTypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['BFloat16Storage', 'bfloat16'],
  ['HalfStorage', 'float16'],
  ['FloatStorage', 'float32'],
  ['DoubleStorage', 'float64'],
  ['LongStorage', 'int64'],
  ['IntStorage', 'int32'],
  ['ShortStorage', 'int16'],
  ['CharStorage', 'int8'],
  ['ByteStorage', 'uint8'],
  ['BoolStorage', 'bool'],
]);

const torchDTypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ...Object.keys(dtypes).map((name) => [name, name as DType] as const),
  ['half', 'float16'],
  ['float', 'float32'],
  ['double', 'float64'],
  ['long', 'int64'],
  ['int', 'int32'],
  ['short', 'int16'],
]);

const orderedDict = 'collections.OrderedDict';
const size = 'torch.Size';
const parameter = new Set(['torch.nn.parameter.Parameter', 'torch.nn.Parameter']);
const rebuilders: ReadonlyMap<string, (args: readonly PickleValue[], fail: Fail) => PickleValue> = new Map([
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_tensor_v3', rebuildTensorV3],
  ['torch._utils._rebuild_parameter', rebuildParameter],
  ['torch._utils._rebuild_parameter_with_state', rebuildParameter],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
]);
/** Known, harmless and not needed for weights. */
const inertGlobals = new Set([
  'collections.Counter',
  'torch.device',
  'torch.Tensor',
  'torch.strided',
  'torch.serialization._get_layout',
  '_codecs.encode',
  'builtins.bytearray',
  'builtins.set',
  'builtins.frozenset',
  'builtins.complex',
]);
/** PyTorch refuses these wherever they stand; a file that names them was not made to be a checkpoint. */
const blockedModules = new Set(['sys', 'os', 'posix', 'nt']);

function isKnown(module: string, name: string): boolean {
  const path = `${module}.${name}`;
  if (path === orderedDict || path === size || parameter.has(path) || rebuilders.has(path) || inertGlobals.has(path)) {
    return true;
  }
  if (module === 'torch') return storageDTypes.has(name) || torchDTypes.has(name);
  return path === 'torch.storage.UntypedStorage' || path === 'torch.storage.TypedStorage';
}

/** The rules by which a checkpoint's pickle is read. */
export function torchPickleRules({ recordSize, strictPickle, findings }: TorchRulesOptions): PickleRules {
  const storages = new Map<string, PickledStorage>();
  return {
    global(writtenModule, name, fail) {
      if (writtenModule.length > maximumNameLength || name.length > maximumNameLength) {
        fail(`names a global of more than ${maximumNameLength} characters`);
      }
      const module = writtenModule === '__builtin__' ? 'builtins' : writtenModule;
      const path = `${module}.${name}`;
      if (blockedModules.has(module)) {
        fail(`names ${quote(path)}, which gives control over the machine: this file was made to attack its reader`);
      }
      const known = isKnown(module, name);
      if (!known) {
        if (strictPickle) fail(`names ${quote(path)}, which is not on the list of what checkpoints need`);
        findings.unknownGlobals.add(path);
      }
      return new PickleGlobal(module, name, known);
    },

    call(callee, args, fail) {
      const { path } = callee;
      const { items } = args;
      if (path === orderedDict && items.length === 0) return new PickleDict();
      if (path === size && items.length === 1 && items[0] instanceof PickleTuple) return items[0];
      if (parameter.has(path) && items[0] instanceof PickledTensor) return items[0];
      const rebuild = rebuilders.get(path);
      return rebuild ? rebuild(items, fail) : new OpaqueObject(callee, args.holdsTensor);
    },

    persistent(id, fail) {
      const [kind, type, key, , count] = id instanceof PickleTuple ? id.items : [];
      if (kind !== 'storage' || !(type instanceof PickleGlobal) || typeof key !== 'string') {
        return fail('a reference that is not one to a storage');
      }
      if (key.length > maximumNameLength) {
        return fail(`a storage key of ${key.length} characters, the limit is ${maximumNameLength}`);
      }
      const dtype = type.module === 'torch' ? storageDTypes.get(type.name) : undefined;
      if (!dtype && type.path !== 'torch.storage.UntypedStorage') return new OpaqueObject(type, true);
      if (!isIndex(count)) return fail(`storage ${quote(key)} has ${describe(count ?? null)} for its length`);
      const bytes = recordSize(key);
      if (bytes === undefined) return fail(`storage ${quote(key)} is not in the archive`);
      if (count * (dtype ? dtypes[dtype].bytes : 1) !== bytes) {
        return fail(`storage ${quote(key)} of ${count} ${dtype ?? 'bytes'} does not fit its record of ${bytes} bytes`);
      }
      const before = storages.get(key);
      if (before && before.dtype !== dtype) return fail(`storage ${quote(key)} has two element types`);
      const storage = before ?? new PickledStorage(key, dtype, count);
      storages.set(key, storage);
      return storage;
    },
  };
}

function isIndex(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** `_rebuild_tensor(_v2)(storage, storage_offset, size, stride[, requires_grad, backward_hooks[, metadata]])` */
function rebuildTensor(args: readonly PickleValue[], fail: Fail): PickleValue {
  const [storage, offset, shape, strides, , , metadata] = args;
  if (storage instanceof OpaqueObject) return storage;
  if (!(storage instanceof PickledStorage))
    return fail(`a tensor is built from ${describe(storage ?? null)}, not a storage`);
  refuseMetadata(metadata, fail);
  return view(storage, storage.dtype ?? 'uint8', offset, shape, strides, fail);
}

/** `_rebuild_tensor_v3(storage, storage_offset, size, stride, requires_grad, backward_hooks, dtype[, metadata])` */
function rebuildTensorV3(args: readonly PickleValue[], fail: Fail): PickleValue {
  const [storage, offset, shape, strides, , , type, metadata] = args;
  if (storage instanceof OpaqueObject) return storage;
  if (!(storage instanceof PickledStorage))
    return fail(`a tensor is built from ${describe(storage ?? null)}, not a storage`);
  if (!(type instanceof PickleGlobal)) return fail(`a tensor has ${describe(type ?? null)} for its element type`);
  const dtype = type.module === 'torch' ? torchDTypes.get(type.name) : undefined;
  if (!dtype) return new OpaqueObject(type, true);
  refuseMetadata(metadata, fail);
  return view(storage, dtype, offset, shape, strides, fail);
}

/** Flags of a lazy negation or conjugation: reading the bytes alone would give other numbers. */
function refuseMetadata(metadata: PickleValue | undefined, fail: Fail): void {
  if (metadata === undefined || metadata === null) return;
  if (metadata instanceof PickleDict && metadata.entries.size <= 2) {
    if ([...metadata.entries.values()].every((value) => value === false)) return;
  }
  fail('a tensor with a lazy negation or conjugation: resolve it before saving (`resolve_neg`, `resolve_conj`)');
}

/** Makes a view of a storage after checking that every element lies inside of it. */
function view(
  storage: PickledStorage,
  dtype: DType,
  offset: PickleValue | undefined,
  size: PickleValue | undefined,
  stride: PickleValue | undefined,
  fail: Fail,
): PickledTensor {
  if (!isIndex(offset)) return fail('a tensor whose storage offset is not a natural number');
  const shape = readIndices(size);
  const strides = readIndices(stride);
  if (!shape || !strides) return fail('a tensor whose size or stride is not a tuple of natural numbers');
  if (shape.length !== strides.length) return fail(`a tensor of ${shape.length} sizes and ${strides.length} strides`);
  if (shape.length > maximumRank) return fail(`a tensor of rank ${shape.length}, the limit is ${maximumRank}`);
  const { bytes } = dtypes[dtype];
  const available = Math.floor((storage.length * (storage.dtype ? dtypes[storage.dtype].bytes : 1)) / bytes);
  const spanned = spannedElements(shape, strides);
  if (spanned === undefined || offset > available - spanned) {
    return fail(
      `a tensor of size [${shape}], stride [${strides}] and offset ${offset} leaves its storage of ${available}`,
    );
  }
  const count = elementCount(shape);
  if (count === undefined || (count > spanned && count * bytes > maximumExpandedBytes)) {
    return fail(`a tensor of size [${shape}] expanded from ${spanned} elements; save it contiguous`);
  }
  return new PickledTensor(storage, dtype, offset, shape, strides);
}

function readIndices(value: PickleValue | undefined): number[] | undefined {
  if (!(value instanceof PickleTuple)) return undefined;
  // A longer tuple is refused by its rank; reading it each time it is recalled would be work without bound.
  const items = value.items.slice(0, maximumRank + 1);
  return items.every(isIndex) ? items : undefined;
}

/** `_rebuild_parameter(data, requires_grad, backward_hooks[, state])` */
function rebuildParameter(args: readonly PickleValue[], fail: Fail): PickleValue {
  const [data] = args;
  if (data instanceof PickledTensor || data instanceof OpaqueObject) return data;
  return fail(`a parameter is made of ${describe(data ?? null)}, not of a tensor`);
}

/** `_rebuild_from_type_v2(function, type, arguments, state)`: a tensor with Python attributes, or of a subclass. */
function rebuildFromType(args: readonly PickleValue[], fail: Fail): PickleValue {
  const [callee, type, inner] = args;
  if (!(callee instanceof PickleGlobal) || !(type instanceof PickleGlobal) || !(inner instanceof PickleTuple)) {
    return fail('a tensor with attributes that is not a function, a class and their arguments');
  }
  const plain = type.path === 'torch.Tensor' || parameter.has(type.path);
  const rebuild = callee.path === 'torch._tensor._rebuild_from_type_v2' ? undefined : rebuilders.get(callee.path);
  if (!plain || !rebuild) return new OpaqueObject(plain ? callee : type, holdsTensor(inner));
  return rebuild(inner.items, fail);
}
