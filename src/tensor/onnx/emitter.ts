/** What an emission rule writes with: ONNX nodes, constants and run-time sizes in the graph that is being built. */
import { create } from '@bufbuild/protobuf';
import { type Dim, dimTerms, type Shape } from '../dimension.ts';
import { type DType, dtypes, type TypedArray } from '../dtype.ts';
import type { WeightLocation } from '../operators.ts';
import type { Node, Tensor } from '../tensor.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from './generated/onnx_pb.ts';
import { boundTo, type Place, type SizeBinding } from './schedule.ts';

/** An attribute: whole numbers are given as bigint, floating-point ones as number. */
export type AttributeValue = bigint | number | string | readonly bigint[] | GraphProto;

export interface NodeOptions {
  /** `com.microsoft` for ONNX Runtime's own operators. Default: the standard's. */
  readonly domain?: string;
  readonly outputs?: number;
  /** Name of the node and of its first output. Default: a fresh one. */
  readonly name?: string;
}

/** Names and weights that all graphs of one program share. */
export class ProgramNames {
  readonly initializers: TensorProto[] = [];
  private readonly tensors = new Map<Tensor, string>();
  private readonly constants = new Map<string, string>();
  private readonly weights = new Map<string, string>();
  private readonly reserved = new Set<string>();
  private counter = 0;

  /** Keeps a name that the program's user chose from being given to anything else. */
  reserve(name: string): void {
    this.reserved.add(name);
  }

  fresh(stem: string): string {
    let name: string;
    do name = `${stem}.${this.counter++}`;
    while (this.reserved.has(name));
    return name;
  }

  set(tensor: Tensor, name: string): void {
    this.tensors.set(tensor, name);
  }

  has(tensor: Tensor): boolean {
    return this.tensors.has(tensor);
  }

  get(tensor: Tensor): string {
    const name = this.tensors.get(tensor);
    if (name === undefined) throw new Error(`internal: ${tensor} is read before it is computed`);
    return name;
  }

  /** A value inside the model file; equal small ones are written once. */
  constant(dtype: DType, shape: readonly number[], data: TypedArray): string {
    const key =
      data.length <= 64 ? `${dtype}[${shape}]${[...(data as Iterable<number | bigint>)].map(numberText)}` : undefined;
    const shared = key === undefined ? undefined : this.constants.get(key);
    if (shared) return shared;
    const name = this.fresh('constant');
    this.initializers.push(
      create(TensorProtoSchema, {
        name,
        dims: shape.map(BigInt),
        dataType: dtypes[dtype].onnx,
        rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      }),
    );
    if (key !== undefined) this.constants.set(key, name);
    return name;
  }

  /** A weight that stays in its file; one that is declared twice, as tied embeddings are, is loaded once. */
  weight(name: string, dtype: DType, shape: readonly number[], location: WeightLocation): string {
    const key = JSON.stringify([dtype, shape, location.file, location.offset]);
    const shared = this.weights.get(key);
    if (shared) return shared;
    const unique = this.fresh(name);
    this.weights.set(key, unique);
    const entries = { location: location.file, offset: location.offset, length: location.byteLength };
    this.initializers.push(
      create(TensorProtoSchema, {
        name: unique,
        dims: shape.map(BigInt),
        dataType: dtypes[dtype].onnx,
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries(entries).map(([key, value]) => ({ key, value: String(value) })),
      }),
    );
    return unique;
  }
}

/** A number as text that tells every value from every other: −0 from 0 too. */
export function numberText(value: number | bigint): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Builds the nodes of one graph: the program's, a loop body's or a branch's. */
export class Emitter {
  readonly nodes: NodeProto[] = [];
  readonly names: ProgramNames;
  readonly place: Place;
  private readonly parent: Emitter | undefined;
  private readonly sizes: ReadonlyMap<string, SizeBinding>;
  private readonly sizeValues = new Map<string, string>();

  constructor(names: ProgramNames, place: Place, sizes: ReadonlyMap<string, SizeBinding>, parent?: Emitter) {
    this.names = names;
    this.place = place;
    this.sizes = sizes;
    this.parent = parent;
  }

  inner(place: Place): Emitter {
    return new Emitter(this.names, place, this.sizes, this);
  }

  /** Writes a node and returns the name of its first output; further outputs follow as `name:1`, `name:2`. */
  node(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    { domain = '', outputs = 1, name = this.names.fresh(type) }: NodeOptions = {},
  ): string {
    this.nodes.push(
      create(NodeProtoSchema, {
        name,
        opType: type,
        domain,
        input: [...inputs],
        output: Array.from({ length: outputs }, (_, index) => (index === 0 ? name : `${name}:${index}`)),
        attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
      }),
    );
    return name;
  }

  int64(values: readonly (number | bigint)[]): string {
    return this.names.constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A constant scalar of a tensor's element type. */
  scalar(dtype: DType, value: number): string {
    if (dtype === 'float16' || dtype === 'bfloat16')
      return this.node('Cast', [this.scalar('float32', value)], { to: BigInt(dtypes[dtype].onnx) });
    const ArrayType = dtypes[dtype].array as Float64ArrayConstructor;
    const data = dtype === 'int64' ? BigInt64Array.of(BigInt(value)) : (ArrayType.of(value) as TypedArray);
    return this.names.constant(dtype, [], data);
  }

  /** An int64 vector with the sizes of a shape; sizes known only at run time are read off the program's inputs. */
  shape(shape: Shape, user: Node): string {
    if (shape.every((dim) => typeof dim === 'number')) return this.int64(shape);
    const parts = shape.map((dim) => this.size(dim, user));
    return parts.length === 1 ? parts[0]! : this.node('Concat', parts, { axis: 0n });
  }

  /** A size as an int64 vector of one element. */
  size(dim: Dim, user: Node): string {
    if (typeof dim === 'number') return this.int64([dim]);
    const known = this.knownSize(dim);
    if (known) return known;
    const terms = dimTerms(dim).map(({ coefficient, names }) => {
      const factors = names.map((name) => this.namedSize(name, user));
      if (coefficient !== 1 || factors.length === 0) factors.push(this.int64([coefficient]));
      return factors.reduce((a, b) => this.node('Mul', [a, b]));
    });
    const value = terms.reduce((a, b) => this.node('Add', [a, b]));
    this.sizeValues.set(dim, value);
    return value;
  }

  private namedSize(name: string, user: Node): string {
    const known = this.knownSize(name);
    if (known) return known;
    const { tensor, axis } = boundTo(this.sizes, name, user);
    const value = this.node('Shape', [this.names.get(tensor)], { start: BigInt(axis), end: BigInt(axis + 1) });
    this.sizeValues.set(name, value);
    return value;
  }

  /** Writes something once for this graph and the graphs inside of it, and gives its name again. */
  once(key: string, write: () => string): string {
    const known = this.knownSize(key) ?? write();
    this.sizeValues.set(key, known);
    return known;
  }

  private knownSize(dim: string): string | undefined {
    return this.sizeValues.get(dim) ?? this.parent?.knownSize(dim);
  }
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  const type = AttributeType;
  if (typeof value === 'bigint') return create(AttributeProtoSchema, { name, type: type.INT, i: value });
  if (typeof value === 'number') return create(AttributeProtoSchema, { name, type: type.FLOAT, f: value });
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: type.STRING, s: new TextEncoder().encode(value) });
  }
  if (Array.isArray(value)) return create(AttributeProtoSchema, { name, type: type.INTS, ints: [...value] });
  return create(AttributeProtoSchema, { name, type: type.GRAPH, g: value as GraphProto });
}
