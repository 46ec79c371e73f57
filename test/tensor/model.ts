/** Looks into a compiled program: which ONNX operators stand where. */
import { fromBinary } from '@bufbuild/protobuf';
import type { CompiledProgram } from '../../src/tensor/index.ts';
import { type GraphProto, ModelProtoSchema } from '../../src/tensor/onnx/generated/onnx_pb.ts';

export function graphOf(program: CompiledProgram): GraphProto {
  return fromBinary(ModelProtoSchema, program.model).graph!;
}

/** The operators of a graph itself, sorted; `Identity` at the edges of graphs is left out. */
export function operatorsOf(graph: GraphProto): string[] {
  return graph.node
    .map((node) => node.opType)
    .filter((type) => type !== 'Identity')
    .sort();
}

/** The graphs inside a graph's nodes: loop bodies, and branches (first the one for true). */
export function innerGraphsOf(graph: GraphProto): GraphProto[] {
  return graph.node.flatMap((node) => node.attribute.flatMap((attribute) => (attribute.g ? [attribute.g] : [])));
}

/** How many nodes of a type stand in a graph and all graphs inside of it. */
export function countOperators(graph: GraphProto, type: string): number {
  const own = graph.node.filter((node) => node.opType === type).length;
  return innerGraphsOf(graph).reduce((sum, inner) => sum + countOperators(inner, type), own);
}
