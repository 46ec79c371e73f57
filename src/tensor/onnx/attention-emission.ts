/**
 * Grouped-query attention in ONNX Runtime's `GroupQueryAttention` kernel, and the two ways around what the kernel refuses
 * (ONNX Runtime 1.30): heads whose size is not a multiple of 8, and several rows that go on with several tokens each.
 */
import { addDims, type Dim } from '../dimension.ts';
import { TensorError } from '../error.ts';
import type { Node, Tensor } from '../tensor.ts';
import type { Emitter } from './emitter.ts';

/** The six tensors that go through the kernel's stages, by name. */
interface Operands {
  /** `[batch, seq, heads * headDim]` */
  readonly query: string;
  /** `[batch, seq, keyValueHeads * headDim]` */
  readonly key: string;
  readonly value: string;
  /** `[batch, keyValueHeads, past, headDim]` */
  readonly pastKey: string;
  readonly pastValue: string;
}

/** The kernel's results, or what a stage made of them. */
interface Results {
  readonly output: string;
  readonly presentKey: string;
  readonly presentValue: string;
}

interface Sizes {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
}

type Attend = (operands: Operands, sizes: Sizes) => Results;

function requireFloat32(operator: string, inputs: readonly Tensor[]): void {
  if (inputs.every(({ dtype }) => dtype === 'float32')) return;
  throw new TensorError(operator, `runs in float32 only, got ${inputs.join(', ')}`);
}

/** The emission rule of `packedAttention`: the kernel unpacks and rotates. */
export function emitPackedAttention(
  emit: Emitter,
  node: Node<'packedAttention'>,
  [packed, cosine, sine, pastKey, pastValue]: readonly string[],
): string {
  requireFloat32('packedAttention', node.inputs);
  const [batch, tokens] = node.inputs[0]!.shape;
  const past = node.inputs[3]!.shape[2]!;
  if ([batch, tokens, past].every((dim) => typeof dim === 'number') && batch !== 1 && tokens !== 1 && past !== 0) {
    throw new TensorError(
      'packedAttention',
      `${batch} rows cannot go on with ${tokens} tokens each: give one at a time`,
    );
  }
  const { total, lasts } = lengths(emit, node as unknown as Node, batch!, addDims(tokens!, past));
  return emit.node(
    'GroupQueryAttention',
    [packed!, '', '', pastKey!, pastValue!, lasts, total, cosine!, sine!],
    {
      num_heads: BigInt(node.attributes.heads),
      kv_num_heads: BigInt(node.attributes.keyValueHeads),
      scale: node.attributes.scale,
      do_rotary: 1n,
    },
    { domain: 'com.microsoft', outputs: 3 },
  );
}

/** Every row is `length` tokens long. The kernel wants that as a scalar and, less one, for each row; all layers share it. */
function lengths(emit: Emitter, node: Node, batch: Dim, length: Dim): { total: string; lasts: string } {
  const total = emit.once(`attention length ${length}`, () =>
    typeof length === 'number'
      ? emit.names.constant('int32', [1], Int32Array.of(length))
      : emit.node('Cast', [emit.size(length, node)], { to: 6n }),
  );
  const lasts = emit.once(`attention lengths ${length} x ${batch}`, () => {
    const last = emit.node('Sub', [total, emit.names.constant('int32', [1], Int32Array.of(1))]);
    return emit.node('Expand', [last, emit.size(batch, node)]);
  });
  return { total, lasts };
}

/** The emission rule of `groupedQueryAttention`. */
export function emitGroupedQueryAttention(
  emit: Emitter,
  { attributes, inputs }: Node<'groupedQueryAttention'>,
  [query, key, value, pastKey, pastValue]: readonly string[],
): string {
  requireFloat32('groupedQueryAttention', inputs);
  const [batch, tokens] = inputs[0]!.shape;
  const [, , past, headDim] = inputs[3]!.shape;
  const alone = kernel(emit, addDims(tokens!, past!), attributes.scale);
  let attend = alone;
  // With a named batch the choice cannot be made here; the kernel then says what it refuses.
  const goesOn = typeof batch === 'number' && batch > 1 && tokens !== 1 && past !== 0;
  if (goesOn) attend = rowsAsHeads(emit, batch, attend);
  if ((headDim as number) % 8 !== 0) attend = withWiderHeads(emit, attend);

  const operands = { query: query!, key: key!, value: value!, pastKey: pastKey!, pastValue: pastValue! };
  const { heads, keyValueHeads } = attributes;
  const { output, presentKey, presentValue } = attend(operands, { heads, keyValueHeads, headDim: headDim as number });
  // The outputs of a rule are one name and its numbered followers, as the kernel's own are.
  if (attend === alone) return output;
  const name = emit.node('Identity', [output]);
  emit.node('Identity', [presentKey], {}, { name: `${name}:1` });
  emit.node('Identity', [presentValue], {}, { name: `${name}:2` });
  return name;
}

/** Every row is `past + seq` tokens long. The kernel wants that as a scalar and, less one, for each row. */
function kernel(emit: Emitter, length: number | string, scale: number): Attend {
  return ({ query, key, value, pastKey, pastValue }, { heads, keyValueHeads }) => {
    // Where the sizes are fixed, ONNX Runtime follows them through a Cast and then refuses their element type.
    const total =
      typeof length === 'number'
        ? emit.names.constant('int32', [1], Int32Array.of(length))
        : emit.node('Cast', [emit.node('Add', [sizeOf(emit, key, 1), sizeOf(emit, pastKey, 2)])], { to: 6n });
    const last = emit.node('Sub', [total, emit.names.constant('int32', [1], Int32Array.of(1))]);
    const lasts = emit.node('Expand', [last, sizeOf(emit, key, 0)]);
    const output = emit.node(
      'GroupQueryAttention',
      [query, key, value, pastKey, pastValue, lasts, total],
      { num_heads: BigInt(heads), kv_num_heads: BigInt(keyValueHeads), scale },
      { domain: 'com.microsoft', outputs: 3 },
    );
    return { output, presentKey: `${output}:1`, presentValue: `${output}:2` };
  };
}

/** Zeros behind every head's channels change neither products nor sums; they are cut off again. */
function withWiderHeads(emit: Emitter, attend: Attend): Attend {
  return (operands, { heads, keyValueHeads, headDim }) => {
    const wide = Math.ceil(headDim / 8) * 8;
    const padHeads = (states: string, count: number) => {
      const parted = emit.node('Reshape', [states, emit.int64([0, 0, count, headDim])]);
      const padded = emit.node('Pad', [parted, emit.int64([0, 0, 0, 0, 0, 0, 0, wide - headDim])]);
      return emit.node('Reshape', [padded, emit.int64([0, 0, count * wide])]);
    };
    const padCache = (cache: string) => emit.node('Pad', [cache, emit.int64([0, 0, 0, 0, 0, 0, 0, wide - headDim])]);
    const cut = (states: string) =>
      emit.node('Slice', [states, emit.int64([0]), emit.int64([headDim]), emit.int64([3])]);
    const { output, presentKey, presentValue } = attend(
      {
        query: padHeads(operands.query, heads),
        key: padHeads(operands.key, keyValueHeads),
        value: padHeads(operands.value, keyValueHeads),
        pastKey: padCache(operands.pastKey),
        pastValue: padCache(operands.pastValue),
      },
      { heads, keyValueHeads, headDim: wide },
    );
    const parted = cut(emit.node('Reshape', [output, emit.int64([0, 0, heads, wide])]));
    return {
      output: emit.node('Reshape', [parted, emit.int64([0, 0, heads * headDim])]),
      presentKey: cut(presentKey),
      presentValue: cut(presentValue),
    };
  };
}

/** All rows are equally long, so they may go through the kernel as the heads of one row. */
function rowsAsHeads(emit: Emitter, batch: number, attend: Attend): Attend {
  return (operands, { heads, keyValueHeads, headDim }) => {
    const join = (states: string, count: number) => {
      const turned = emit.node('Transpose', [states], { perm: [1n, 0n, 2n] });
      return emit.node('Reshape', [turned, emit.int64([1, -1, batch * count * headDim])]);
    };
    const joinCache = (cache: string) =>
      emit.node('Reshape', [cache, emit.int64([1, batch * keyValueHeads, -1, headDim])]);
    const partCache = (cache: string) => emit.node('Reshape', [cache, emit.int64([batch, keyValueHeads, -1, headDim])]);
    const { output, presentKey, presentValue } = attend(
      {
        query: join(operands.query, heads),
        key: join(operands.key, keyValueHeads),
        value: join(operands.value, keyValueHeads),
        pastKey: joinCache(operands.pastKey),
        pastValue: joinCache(operands.pastValue),
      },
      { heads: batch * heads, keyValueHeads: batch * keyValueHeads, headDim },
    );
    const parted = emit.node('Reshape', [output, emit.int64([-1, batch, heads * headDim])]);
    return {
      output: emit.node('Transpose', [parted], { perm: [1n, 0n, 2n] }),
      presentKey: partCache(presentKey),
      presentValue: partCache(presentValue),
    };
  };
}

/** The size of one axis as an int64 vector of one element. */
function sizeOf(emit: Emitter, name: string, axis: number): string {
  return emit.node('Shape', [name], { start: BigInt(axis), end: BigInt(axis + 1) });
}
