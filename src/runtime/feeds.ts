/** Checks what a run is given against its program, before anything goes to the worker. */
import type { CompiledProgram, PortType } from '../tensor/compiled.ts';
import { type DType, dtypes, type TypedArray } from '../tensor/dtype.ts';
import type { TensorValue } from '../tensor/value.ts';
import { DisposedError, RuntimeError } from './error.ts';
import type { WireFeed } from './protocol.ts';
import type { RequestQueue } from './queue.ts';
import { RemoteTensor } from './remote-tensor.ts';
import { sizeConflict } from './sizes.ts';

/** Tensors by input name. */
export type Feeds = Readonly<Record<string, TensorValue | RemoteTensor>>;

export interface PackedFeeds {
  readonly feeds: (readonly [name: string, feed: WireFeed])[];
  readonly transfer: ArrayBuffer[];
}

/** `float32 [2, 3]`, as tensors are described in messages. */
export function describeTensor({ dtype, shape }: { dtype: DType; shape: readonly (number | string)[] }): string {
  return `${dtype} [${shape.join(', ')}]`;
}

/** `ids int64 [1, 7], mask bool [7]`, for messages. */
export function describeFeeds(feeds: Feeds): string {
  const parts = Object.entries(feeds).map(([name, tensor]) => `${name} ${describeTensor(tensor)}`);
  return parts.join(', ') || 'none';
}

/**
 * Checks names, element types, ranks and sizes, and makes the feeds ready to be sent: values are copied, so that the
 * caller may go on using its arrays, or handed over when `transfer` is set.
 */
export function packFeeds(program: CompiledProgram, given: Feeds, queue: RequestQueue, transfer: boolean): PackedFeeds {
  checkNames(program, given);
  const packed: PackedFeeds = { feeds: [], transfer: [] };
  const buffers = new Set<ArrayBuffer>();
  const equations: { dim: string; actual: number; where: string }[] = [];
  for (const port of program.inputs) {
    const tensor = given[port.name]!;
    checkType(program, port, tensor);
    checkShape(program, port, tensor);
    port.shape.forEach((dim, axis) => {
      if (typeof dim === 'string') {
        equations.push({ dim, actual: tensor.shape[axis]!, where: `input ${port.name}, axis ${axis}` });
      }
    });
    if (tensor instanceof RemoteTensor) {
      if (tensor.queue !== queue) {
        fail(program, port, 'a remote tensor of the same runtime', `a ${tensor} of another one: read() it first`);
      }
      if (tensor.disposed) throw new DisposedError(`${tensor}, fed to input ${port.name} of program ${program.name}`);
    } else checkData(program, port, tensor, transfer);
  }
  const conflict = sizeConflict(equations);
  if (conflict) {
    const { dim, expected, actual, where, because } = conflict;
    throw new RuntimeError(
      'runtime_feeds_invalid',
      `program ${program.name}: ${where} is ${actual}, but it is declared as ${dim}, which ${
        dim.includes('+') || dim.includes('*') ? `must agree with ${because}` : `is ${expected} here: ${because}`
      }. Inputs: ${describeFeeds(given)}`,
      { program: program.name, ...conflict },
    );
  }
  // Copies are made last: a refused run costs none.
  for (const { name } of program.inputs) {
    const tensor = given[name]!;
    if (tensor instanceof RemoteTensor) packed.feeds.push([name, { remote: tensor.id }]);
    else {
      const data = transfer ? tensor.data : copy(tensor);
      buffers.add(data.buffer as ArrayBuffer);
      packed.feeds.push([name, { value: { dtype: tensor.dtype, shape: [...tensor.shape], data } }]);
    }
  }
  packed.transfer.push(...buffers);
  return packed;
}

/** The elements in a buffer of their own. Not `slice()`, which of a Node `Buffer` copies nothing. */
export function copy({ dtype, data }: TensorValue): TypedArray {
  const Elements = dtypes[dtype].array as new (elements: TypedArray) => TypedArray;
  return new Elements(data);
}

/** Checks a value that no program describes; `what` stands for it in messages. */
export function checkValue(what: string, value: TensorValue, transfer: boolean): void {
  const problem = dataProblem(value, transfer);
  if (problem) {
    throw new RuntimeError('runtime_feeds_invalid', `${what}: expected ${problem.expected}, got ${problem.got}`);
  }
}

function checkNames(program: CompiledProgram, given: Feeds): void {
  const expected = program.inputs.map((port) => port.name);
  const missing = expected.filter((name) => !Object.hasOwn(given, name) || !given[name]);
  const unexpected = Object.keys(given).filter((name) => !expected.includes(name));
  if (missing.length === 0 && unexpected.length === 0) return;
  const parts = [
    missing.length > 0 ? `missing ${missing.join(', ')}` : '',
    unexpected.length > 0 ? `unexpected ${unexpected.join(', ')}` : '',
  ].filter(Boolean);
  throw new RuntimeError(
    'runtime_feeds_invalid',
    `program ${program.name}: expected the inputs ${expected.join(', ') || '(none)'}, got ${
      Object.keys(given).join(', ') || '(none)'
    }: ${parts.join('; ')}`,
    { program: program.name, expected, missing, unexpected },
  );
}

function checkType(program: CompiledProgram, port: PortType, tensor: TensorValue | RemoteTensor): void {
  if (tensor.dtype !== port.dtype) fail(program, port, describeTensor(port), describeTensor(tensor));
}

function checkShape(program: CompiledProgram, port: PortType, tensor: TensorValue | RemoteTensor): void {
  const { shape } = tensor;
  const fits =
    shape.length === port.shape.length &&
    port.shape.every((dim, axis) =>
      typeof dim === 'number' ? shape[axis] === dim : Number.isSafeInteger(shape[axis]) && shape[axis]! >= 0,
    );
  if (!fits) fail(program, port, describeTensor(port), describeTensor(tensor));
}

function checkData(program: CompiledProgram, port: PortType, value: TensorValue, transfer: boolean): void {
  const problem = dataProblem(value, transfer);
  if (problem) fail(program, port, problem.expected, problem.got);
}

function dataProblem(
  { dtype, shape, data }: TensorValue,
  transfer: boolean,
): { expected: string; got: string } | undefined {
  if (!Object.hasOwn(dtypes, dtype)) return { expected: Object.keys(dtypes).join(', '), got: `${dtype}` };
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    return { expected: 'a shape of whole numbers', got: `[${shape.join(', ')}]` };
  }
  const { array } = dtypes[dtype];
  if (!(data instanceof array)) {
    return { expected: `${dtype} elements in a ${array.name}`, got: Object.prototype.toString.call(data).slice(8, -1) };
  }
  const count = shape.reduce((product, size) => product * size, 1);
  if (data.length !== count) {
    return { expected: `${count} elements for ${describeTensor({ dtype, shape })}`, got: `${data.length}` };
  }
  if (transfer && (!(data.buffer instanceof ArrayBuffer) || data.byteLength !== data.buffer.byteLength)) {
    return {
      expected: 'an array that has its ArrayBuffer to itself, since transfer hands the whole buffer over',
      got: `${data.byteLength} of ${data.buffer.byteLength} bytes of ${
        data.buffer instanceof ArrayBuffer ? 'an ArrayBuffer' : 'shared memory'
      }`,
    };
  }
  return undefined;
}

function fail(program: CompiledProgram, port: PortType, expected: string, got: string): never {
  throw new RuntimeError(
    'runtime_feeds_invalid',
    `program ${program.name}, input ${port.name}: expected ${expected}, got ${got}`,
    { program: program.name, input: port.name, expected, got },
  );
}
