/** Walks over a program's nodes. */
import type { Subgraph } from './operators.ts';
import type { Node, Tensor } from './tensor.ts';

/** The bodies and branches inside a node. */
export function subgraphsOf(node: Node): readonly Subgraph<Tensor>[] {
  const attributes = node.attributes as {
    body?: Subgraph<Tensor>;
    whenTrue?: Subgraph<Tensor>;
    whenFalse?: Subgraph<Tensor>;
  };
  return [attributes.body, attributes.whenTrue, attributes.whenFalse].filter((part) => part !== undefined);
}

/** Everything a node reads: its inputs and what its subgraphs give. */
export function operandsOf(node: Node): readonly Tensor[] {
  const subgraphs = subgraphsOf(node);
  return subgraphs.length === 0 ? node.inputs : [...node.inputs, ...subgraphs.flatMap((part) => part.outputs)];
}

/**
 * All nodes that the given tensors depend on, each after what it reads. Subgraphs' nodes are among them.
 * `operands` tells what a node reads.
 */
export function topologicalOrder(roots: readonly Tensor[], operands = operandsOf): Node[] {
  const order: Node[] = [];
  const done = new Set<Node>();
  const stack: { node: Node; next: number }[] = [];
  const enter = (node: Node) => {
    if (!done.has(node)) {
      done.add(node);
      stack.push({ node, next: 0 });
    }
  };
  for (const root of roots) {
    enter(root.node);
    // An explicit stack: a deep program would overflow the call stack.
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const read = operands(top.node);
      if (top.next < read.length) enter(read[top.next++]!.node);
      else order.push(stack.pop()!.node);
    }
  }
  return order;
}
