/** Small programs for tests of the runtime, written straight in ONNX so that they do not lean on the tensor language. */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { CompiledProgram, PortType } from '../../src/tensor/compiled.ts';
import { type DType, dtypes } from '../../src/tensor/dtype.ts';
import {
  AttributeProto_AttributeType,
  type AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataLocation,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from '../../src/tensor/onnx/generated/onnx_pb.ts';

type Node = MessageInitShape<typeof NodeProtoSchema>;
type Initializer = MessageInitShape<typeof TensorProtoSchema>;
type Attribute = MessageInitShape<typeof AttributeProtoSchema>;
type ValueInfo = MessageInitShape<typeof ValueInfoProtoSchema>;

export interface ProgramParts {
  readonly inputs: readonly PortType[];
  readonly outputs: readonly PortType[];
  readonly nodes: readonly Node[];
  readonly initializers?: readonly Initializer[];
}

export function port(name: string, dtype: DType, shape: readonly (number | string)[]): PortType {
  return { name, dtype, shape };
}

/** A program of opset 21 and IR version 10. */
export function program(name: string, { inputs, outputs, nodes, initializers = [] }: ProgramParts): CompiledProgram {
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ domain: '', version: 21n }],
    graph: {
      name,
      node: [...nodes],
      initializer: [...initializers],
      input: inputs.map(valueInfo),
      output: outputs.map(valueInfo),
    },
  });
  return { name, model: toBinary(ModelProtoSchema, model), inputs, outputs };
}

function valueInfo({ name, dtype, shape }: PortType): ValueInfo {
  const dim = shape.map((size) => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : { case: 'dimParam' as const, value: size },
  }));
  return {
    name,
    type: { value: { case: 'tensorType' as const, value: { elemType: dtypes[dtype].onnx, shape: { dim } } } },
  };
}

function integer(name: string, value: number): Attribute {
  return { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) };
}

/** Weights inside of the model. */
export function float32Initializer(name: string, dims: readonly number[], data: Float32Array): Initializer {
  return {
    name,
    dims: dims.map(BigInt),
    dataType: dtypes.float32.onnx,
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

/** `doubled = x + x` and `negated = -x`, for a vector of any length. */
export function doubleProgram(): CompiledProgram {
  return program('double', {
    inputs: [port('x', 'float32', ['length'])],
    outputs: [port('doubled', 'float32', ['length']), port('negated', 'float32', ['length'])],
    nodes: [
      { opType: 'Add', input: ['x', 'x'], output: ['doubled'] },
      { opType: 'Neg', input: ['x'], output: ['negated'] },
    ],
  });
}

/** `y = x`, for a vector of one element type. */
export function identityProgram(dtype: DType): CompiledProgram {
  return program(`identity-${dtype}`, {
    inputs: [port('x', dtype, ['length'])],
    outputs: [port('y', dtype, ['length'])],
    nodes: [{ opType: 'Identity', input: ['x'], output: ['y'] }],
  });
}

/** A cache that grows, as in decoding: `next = concat(cache, x)` along the second axis. */
export function appendProgram(): CompiledProgram {
  return program('append', {
    inputs: [
      port('cache', 'float32', ['batch', 'past', 2]),
      port('x', 'float32', ['batch', 'sequence', 2]),
      port('bias', 'float32', ['batch', 'past+sequence', 2]),
    ],
    outputs: [
      port('next', 'float32', ['batch', 'past+sequence', 2]),
      port('biased', 'float32', ['batch', 'past+sequence', 2]),
    ],
    nodes: [
      { opType: 'Concat', input: ['cache', 'x'], output: ['next'], attribute: [integer('axis', 1)] },
      { opType: 'Add', input: ['next', 'bias'], output: ['biased'] },
    ],
  });
}

/** `x` in another shape; a shape that holds another number of elements fails only when it runs. */
export function reshapeProgram(): CompiledProgram {
  return program('reshape', {
    inputs: [port('x', 'float32', ['length']), port('shape', 'int64', [2])],
    outputs: [port('y', 'float32', ['rows', 'columns'])],
    nodes: [{ opType: 'Reshape', input: ['x', 'shape'], output: ['y'] }],
  });
}

/** Multiplies `x` by itself `trips` times: as slow as one likes. */
export function powerProgram(size: number): CompiledProgram {
  const matrix = port('x', 'float32', [size, size]);
  return program('power', {
    inputs: [matrix, port('trips', 'int64', [])],
    outputs: [port('y', 'float32', [size, size])],
    nodes: [
      {
        opType: 'Loop',
        input: ['trips', '', 'x'],
        output: ['y'],
        attribute: [
          {
            name: 'body',
            type: AttributeProto_AttributeType.GRAPH,
            g: {
              name: 'body',
              input: [
                valueInfo(port('trip', 'int64', [])),
                valueInfo(port('go', 'bool', [])),
                valueInfo({ ...matrix, name: 'state' }),
              ],
              output: [valueInfo(port('goOn', 'bool', [])), valueInfo({ ...matrix, name: 'next' })],
              node: [
                { opType: 'Identity', input: ['go'], output: ['goOn'] },
                { opType: 'MatMul', input: ['state', 'x'], output: ['next'] },
              ],
            },
          },
        ],
      },
    ],
  });
}

/** `y = x w` with `size * size` float32 weights inside of the model. */
export function linearProgram(size: number): CompiledProgram {
  const weights = Float32Array.from({ length: size * size }, (_, index) => Math.sin(index) / size);
  return program('linear', {
    inputs: [port('x', 'float32', ['rows', size])],
    outputs: [port('y', 'float32', ['rows', size])],
    nodes: [{ opType: 'MatMul', input: ['x', 'w'], output: ['y'] }],
    initializers: [float32Initializer('w', [size, size], weights)],
  });
}

export interface ExternalWeights {
  readonly location: string;
  readonly byteOffset: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** `y = float32(w)`, where the weights lie in a file. */
export function externalProgram({ location, byteOffset, dtype, shape }: ExternalWeights): CompiledProgram {
  const length = shape.reduce((count, size) => count * size, 1) * dtypes[dtype].bytes;
  return program('external', {
    inputs: [],
    outputs: [port('y', 'float32', shape)],
    nodes: [{ opType: 'Cast', input: ['w'], output: ['y'], attribute: [integer('to', dtypes.float32.onnx)] }],
    initializers: [
      {
        name: 'w',
        dims: shape.map(BigInt),
        dataType: dtypes[dtype].onnx,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: [
          { key: 'location', value: location },
          { key: 'offset', value: String(byteOffset) },
          { key: 'length', value: String(length) },
        ],
      },
    ],
  });
}
