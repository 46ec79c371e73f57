/**
 * Decides where in a program each node is computed. A node used in a loop's body that does not depend on the loop is
 * computed once before it; a node used only in a branch is computed only when the branch is taken, unless it hangs on
 * weights and constants alone, which ONNX Runtime folds when the program is loaded. Those stand in the program, or in the branch
 * inside of a loop that alone uses them: ONNX Runtime 1.30 repacks a matrix for its kernel when it lies in the graph of the product or in
 * the one around it, not further out, and a product of two rows with a matrix that is not repacked takes twice as long. Weights
 * and constants themselves are always the program's: onnxruntime-web finds weights of an inner graph in no file.
 */
import { type Dim, dimTerms, type Shape } from '../dimension.ts';
import { TensorError } from '../error.ts';
import type { OperatorAttributes, Scope } from '../operators.ts';
import type { Node, Tensor } from '../tensor.ts';
import { operandsOf, subgraphsOf, topologicalOrder } from '../walk.ts';

/** A scope and what surrounds it; the outermost is the program. */
export interface Place {
  readonly scope: Scope | undefined;
  readonly parent: Place | undefined;
  readonly depth: number;
  /** Nodes computed here, each after what it reads. */
  readonly nodes: Node[];
}

/** The place of every scope of a program. */
export interface Schedule {
  readonly program: Place;
  /** Where each named size can be read. */
  readonly sizes: ReadonlyMap<string, SizeBinding>;
  placeOf(scope: Scope): Place;
}

function commonPlace(a: Place, b: Place): Place {
  let [left, right] = [a, b];
  while (left !== right) {
    if (left.depth >= right.depth) left = left.parent!;
    else right = right.parent!;
  }
  return left;
}

function within(place: Place, scope: Scope): boolean {
  for (let at: Place | undefined = place; at; at = at.parent) if (at.scope === scope) return true;
  return false;
}

/** The loop whose state an `input` is; undefined for the program's inputs and all other nodes. */
function scopeOf(node: Node): Scope | undefined {
  return node.operator === 'input' ? (node as Node<'input'>).attributes.scope : undefined;
}

/** Plans the program that computes `outputs` from `inputs`. */
export function schedule(inputs: readonly Tensor[], outputs: readonly Tensor[]): Schedule {
  const program: Place = { scope: undefined, parent: undefined, depth: 0, nodes: [] };
  const places = new Map<Scope, Place>();
  const chosen = new Map<Node, Place>();
  const sizes = bindSizes([...inputs.map((input) => input.node), ...topologicalOrder(outputs)]);
  const reads = (node: Node) => [
    ...operandsOf(node),
    ...sizesRead(node).map((name) => boundTo(sizes, name, node).tensor),
  ];
  const order = topologicalOrder([...inputs, ...outputs], reads);
  const dependencies = readScopes(order, reads);

  const use = (node: Node, place: Place) => {
    const before = chosen.get(node);
    chosen.set(node, before ? commonPlace(before, place) : place);
  };
  for (const output of [...inputs, ...outputs]) use(output.node, program);
  // From the outputs back: all users of a node are placed before the node is.
  for (const node of [...order].reverse()) {
    const { scopes, varies } = dependencies.get(node)!;
    let place = chosen.get(node)!;
    if (varies) {
      while (place.scope?.kind === 'loop' && !scopes.has(place.scope)) place = place.parent!;
    } else {
      while (place.scope?.kind === 'loop') place = place.parent!;
      if (place.depth < 2) place = program;
    }
    chosen.set(node, place);
    for (const subgraph of subgraphsOf(node)) {
      const inner: Place = { scope: subgraph.scope, parent: place, depth: place.depth + 1, nodes: [] };
      places.set(subgraph.scope, inner);
      for (const output of subgraph.outputs) use(output.node, inner);
    }
    const inSubgraphs = new Set(subgraphsOf(node).flatMap((part) => part.outputs));
    for (const operand of reads(node)) if (!inSubgraphs.has(operand)) use(operand.node, place);
    for (const operand of node.inputs) use(operand.node, place);
  }
  for (const node of order) {
    const scope = scopeOf(node);
    const place = scope ? places.get(scope) : chosen.get(node)!;
    for (const needed of dependencies.get(node)!.scopes) {
      if (!place || !within(place, needed)) {
        throw new TensorError(
          node.operator,
          `${node.outputs[0]} hangs on a loop's state but is used outside of the loop`,
        );
      }
    }
    place!.nodes.push(node);
  }
  return { program, sizes, placeOf: (scope) => places.get(scope)! };
}

/** The axis that tells a named size when the program runs. */
export interface SizeBinding {
  readonly tensor: Tensor;
  readonly axis: number;
}

/** Finds for every named size an input, a loop's state or a result that has it. The program's inputs come first. */
function bindSizes(order: readonly Node[]): Map<string, SizeBinding> {
  const sizes = new Map<string, SizeBinding>();
  const bind = (node: Node) => {
    for (const tensor of node.outputs) {
      tensor.shape.forEach((dim, axis) => {
        const plain = typeof dim === 'string' && !/[*+]/.test(dim);
        if (plain && !sizes.has(dim)) sizes.set(dim, { tensor, axis });
      });
    }
  };
  for (const node of order) if (node.operator === 'input' && !scopeOf(node)) bind(node);
  for (const node of order) if (node.operator === 'loop') bindChangingSizes(node as Node<'loop'>, sizes);
  for (const node of order)
    if (node.operator === 'loop' || node.operator === 'cond' || node.operator === 'topK') bind(node);
  return sizes;
}

/** A size that changes from turn to turn is read off the loop's state; the state's other sizes are known outside. */
function bindChangingSizes(
  { attributes: { body }, inputs: [, ...initial] }: Node<'loop'>,
  sizes: Map<string, SizeBinding>,
) {
  body.inputs.slice(2).forEach((tensor, index) => {
    tensor.shape.forEach((dim, axis) => {
      if (typeof dim === 'number' || dim === initial[index]!.shape[axis]) return;
      const before = sizes.get(dim);
      if (!before) sizes.set(dim, { tensor, axis });
      else if (scopeOf(before.tensor.node) !== body.scope) {
        throw new TensorError(
          'loop',
          `"${dim}" of state ${tensor} also names a size of ${before.tensor}: take another name`,
        );
      }
    });
  });
}

/** The binding of a named size, or an error that says who needs it. */
export function boundTo(sizes: ReadonlyMap<string, SizeBinding>, name: string, node: Node): SizeBinding {
  const binding = sizes.get(name);
  if (!binding) throw new TensorError(node.operator, `no input of the program has an axis of size "${name}"`);
  return binding;
}

/** Names of the sizes whose values a node needs when it runs. */
function sizesRead(node: Node): string[] {
  const { operator, attributes } = node;
  let dims: readonly Dim[] = [];
  if (operator === 'reshape' || operator === 'expand') dims = (attributes as { shape: Shape }).shape;
  else if (operator === 'matmul') {
    const { transposeA } = attributes as OperatorAttributes['matmul'];
    // The sizes of an empty sum are written out.
    if (node.inputs[0]!.shape.at(transposeA ? -2 : -1) === 0) dims = node.outputs[0]!.shape;
  } else if (operator === 'resizeBilinear') dims = node.inputs[0]!.shape.slice(0, 2);
  else if (operator === 'slice') {
    const { start, length } = attributes as OperatorAttributes['slice'];
    dims = [start, length];
  } else if (operator === 'packedAttention') {
    const [packed, , , pastKey] = node.inputs;
    dims = [packed!.shape[0]!, packed!.shape[1]!, pastKey!.shape[2]!];
  } else if (operator === 'dimension') dims = [(attributes as OperatorAttributes['dimension']).dim];
  return [...new Set(dims.flatMap((dim) => dimTerms(dim).flatMap((term) => term.names)))];
}

interface Dependencies {
  /** Loops whose state the node depends on, directly or not. */
  readonly scopes: ReadonlySet<Scope>;
  /** False when the node hangs on weights and constants alone. */
  readonly varies: boolean;
}

function readScopes(order: readonly Node[], reads: (node: Node) => readonly Tensor[]): Map<Node, Dependencies> {
  const result = new Map<Node, Dependencies>();
  for (const node of order) {
    const scopes = new Set<Scope>();
    let varies = node.operator === 'input';
    if (node.operator === 'input') {
      const { scope } = (node as Node<'input'>).attributes;
      if (scope) scopes.add(scope);
    }
    for (const operand of reads(node)) {
      const inner = result.get(operand.node)!;
      for (const scope of inner.scopes) scopes.add(scope);
      varies ||= inner.varies;
    }
    for (const subgraph of subgraphsOf(node)) {
      scopes.delete(subgraph.scope);
      varies = true;
    }
    result.set(node, { scopes, varies });
  }
  return result;
}
