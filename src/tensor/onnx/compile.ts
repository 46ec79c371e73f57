/** Turns a traced program into an ONNX model. */
import { create, toBinary } from '@bufbuild/protobuf';
import type { CompiledProgram, PortType } from '../compiled.ts';
import { dtypes } from '../dtype.ts';
import { TensorError } from '../error.ts';
import type { OperatorName, Subgraph } from '../operators.ts';
import type { Node, Tensor } from '../tensor.ts';
import { type EmissionRule, emissionRules } from './emission-rules.ts';
import { Emitter, numberText, ProgramNames } from './emitter.ts';
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './generated/onnx_pb.ts';
import { type Schedule, schedule } from './schedule.ts';

export interface CompileOptions {
  /** Shown in errors and profiles. */
  readonly name: string;
  readonly inputs: readonly Tensor[];
  /** Results by name, in order. */
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** ONNX IR version 10 with opset 21: read by every ONNX Runtime since 1.20. */
const irVersion = 10n;
const opset = 21n;

/** Writes the program that computes `outputs` from `inputs`. Throws `TensorError` for an input that was left out. */
export function compile({ name, inputs, outputs }: CompileOptions): CompiledProgram {
  const inputPorts = inputs.map((tensor): PortType => {
    if (tensor.node.operator !== 'input') throw new TensorError('compile', `${tensor} is not an input`);
    const { name: port, scope } = (tensor.node as Node<'input'>).attributes;
    if (scope) throw new TensorError('compile', `${tensor} is a loop's state, not an input of program ${name}`);
    return { name: port, dtype: tensor.dtype, shape: tensor.shape };
  });
  const repeated = inputPorts.find((port, index) => inputPorts.findIndex((other) => other.name === port.name) < index);
  if (repeated) throw new TensorError('compile', `program ${name} has two inputs named ${repeated.name}`);

  const plan = schedule(inputs, Object.values(outputs));
  const names = new ProgramNames();
  for (const port of [...inputPorts.map((input) => input.name), ...Object.keys(outputs)]) {
    if (port === '') throw new TensorError('compile', `program ${name} has an input or output without a name`);
    names.reserve(port);
  }
  inputs.forEach((tensor, index) => {
    names.set(tensor, inputPorts[index]!.name);
  });
  const emit = new Emitter(names, plan.program, plan.sizes);
  emitNodes(emit, plan, name);
  const outputPorts: PortType[] = [];
  const values = Object.entries(outputs).map(([port, tensor]) => {
    if (inputPorts.some((input) => input.name === port)) {
      throw new TensorError('compile', `program ${name} has an input and an output named ${port}`);
    }
    outputPorts.push({ name: port, dtype: tensor.dtype, shape: tensor.shape });
    emit.node('Identity', [names.get(tensor)], {}, { name: port });
    return valueInfo(port, tensor);
  });
  const graph = create(GraphProtoSchema, {
    name,
    node: emit.nodes,
    initializer: names.initializers,
    input: inputs.map((tensor, index) => valueInfo(inputPorts[index]!.name, tensor)),
    output: values,
  });
  const model = create(ModelProtoSchema, {
    irVersion,
    producerName: 'starstack',
    opsetImport: [
      { domain: '', version: opset },
      { domain: 'com.microsoft', version: 1n },
    ],
    graph,
  });
  return { name, model: toBinary(ModelProtoSchema, model), inputs: inputPorts, outputs: outputPorts };
}

function valueInfo(name: string, tensor: Tensor): ValueInfoProto {
  return create(ValueInfoProtoSchema, {
    name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: dtypes[tensor.dtype].onnx,
          shape: {
            dim: tensor.shape.map((dim) => ({
              value:
                typeof dim === 'number'
                  ? { case: 'dimValue' as const, value: BigInt(dim) }
                  : { case: 'dimParam' as const, value: dim },
            })),
          },
        },
      },
    },
  });
}

function emitNodes(emit: Emitter, plan: Schedule, program: string): void {
  const written = new Map<string, Node>();
  for (const node of emit.place.nodes) {
    const same = reuse(node, emit.names, written);
    if (same) {
      node.outputs.forEach((output, index) => {
        emit.names.set(output, emit.names.get(same.outputs[index]!));
      });
    } else emitNode(emit, plan, node, program);
  }
}

/** Finds a node written before in this graph that computes the same; gradients often ask for what the model computed. */
function reuse(node: Node, names: ProgramNames, written: Map<string, Node>): Node | undefined {
  const { operator, attributes, inputs } = node;
  if (operator === 'input' || operator === 'weight' || operator === 'constant' || operator === 'loop') return undefined;
  if (operator === 'cond') return undefined;
  // JSON has no infinities and no −0.
  const text = JSON.stringify(attributes, (_, value) => (typeof value === 'number' ? numberText(value) : value));
  const key = `${operator}(${inputs.map((input) => names.get(input)).join()})${text}`;
  const same = written.get(key);
  if (!same) written.set(key, node);
  return same;
}

function emitNode(emit: Emitter, plan: Schedule, node: Node, program: string): void {
  const { names } = emit;
  const [first] = node.outputs;
  switch (node.operator) {
    case 'input': {
      const { attributes } = node as Node<'input'>;
      if (!attributes.scope && !names.has(first!)) {
        throw new TensorError('compile', `program ${program} reads ${first}, which is not among its inputs`);
      }
      return;
    }
    case 'weight': {
      const { attributes } = node as Node<'weight'>;
      const { name, type, location } = attributes;
      const whole = names.weight(name, type.dtype, type.shape as readonly number[], location);
      // In a branch of a loop a copy, which is folded there. What is not float32 is cast there, which serves as well.
      const local = emit.place.depth > 1 && type.dtype === 'float32' && type.shape.length > 0;
      names.set(first!, local ? emit.node('Concat', [whole], { axis: 0n }) : whole);
      return;
    }
    case 'constant': {
      const { type, data } = (node as Node<'constant'>).attributes;
      names.set(first!, names.constant(type.dtype, type.shape as readonly number[], data));
      return;
    }
    default: {
      const inputs = node.inputs.map((input) => names.get(input));
      const name =
        node.operator === 'loop'
          ? emitLoop(emit, plan, node as Node<'loop'>, inputs, program)
          : node.operator === 'cond'
            ? emitCond(emit, plan, node as Node<'cond'>, inputs, program)
            : (emissionRules[node.operator] as EmissionRule<OperatorName>)(emit, node, inputs);
      node.outputs.forEach((output, index) => {
        names.set(output, index === 0 ? name : `${name}:${index}`);
      });
    }
  }
}

function emitLoop(
  emit: Emitter,
  plan: Schedule,
  node: Node<'loop'>,
  inputs: readonly string[],
  program: string,
): string {
  const [turns, ...states] = inputs;
  const { body } = node.attributes;
  return emit.node(
    'Loop',
    [turns!, emit.scalar('bool', 1), ...states],
    { body: subgraph(emit, plan, body, program) },
    { outputs: node.outputs.length },
  );
}

function emitCond(
  emit: Emitter,
  plan: Schedule,
  node: Node<'cond'>,
  inputs: readonly string[],
  program: string,
): string {
  const branches = {
    then_branch: subgraph(emit, plan, node.attributes.whenTrue, program),
    else_branch: subgraph(emit, plan, node.attributes.whenFalse, program),
  };
  return emit.node('If', inputs, branches, { outputs: node.outputs.length });
}

function subgraph(emit: Emitter, plan: Schedule, part: Subgraph<Tensor>, program: string): GraphProto {
  const { names } = emit;
  const inner = emit.inner(plan.placeOf(part.scope));
  const inputs = part.inputs.map((input) => {
    const name = names.fresh((input.node as Node<'input'>).attributes.name);
    names.set(input, name);
    return valueInfo(name, input);
  });
  emitNodes(inner, plan, program);
  // A graph's outputs must be its own: what comes from outside, or twice, is passed through.
  const outputs = part.outputs.map((output) => valueInfo(inner.node('Identity', [names.get(output)]), output));
  return create(GraphProtoSchema, { name: names.fresh('body'), node: inner.nodes, input: inputs, output: outputs });
}
