/**
 * Symbolic tensors. A `Tensor` is one output of a `Node`, a node is an operator applied to tensors; both never change.
 * Nothing is computed here: a program is traced by calling functions of the language, then compiled and run elsewhere.
 */
import { formatShape, type Shape } from './dimension.ts';
import type { DType } from './dtype.ts';
import type { OperatorAttributes, OperatorName, TensorType } from './operators.ts';
import { shapeRules } from './shape-rules.ts';

/** An operator applied to tensors. */
export interface Node<K extends OperatorName = OperatorName> {
  readonly operator: K;
  readonly attributes: OperatorAttributes<Tensor>[K];
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/** A value inside a program, known by its element type and shape. */
export class Tensor {
  readonly node: Node;
  /** Which of the node's outputs this is. */
  readonly index: number;
  readonly dtype: DType;
  readonly shape: Shape;

  constructor(node: Node, index: number, type: TensorType) {
    this.node = node;
    this.index = index;
    this.dtype = type.dtype;
    this.shape = type.shape;
  }

  get rank(): number {
    return this.shape.length;
  }

  toString(): string {
    const { attributes } = this.node;
    const name = 'name' in attributes ? attributes.name : this.node.operator;
    return `${name}: ${this.dtype}${formatShape(this.shape)}`;
  }
}

/** Applies an operator; its shape rule checks the inputs and gives the outputs' types. */
export function applyAll<K extends OperatorName>(
  operator: K,
  attributes: OperatorAttributes<Tensor>[K],
  inputs: readonly Tensor[],
): readonly Tensor[] {
  const outputs: Tensor[] = [];
  const node: Node<K> = { operator, attributes, inputs, outputs };
  const types = shapeRules[operator](attributes, inputs);
  types.forEach((type, index) => {
    outputs.push(new Tensor(node as unknown as Node, index, type));
  });
  return outputs;
}

/** Applies an operator that has one output. */
export function apply<K extends OperatorName>(
  operator: K,
  attributes: OperatorAttributes<Tensor>[K],
  ...inputs: readonly Tensor[]
): Tensor {
  return applyAll(operator, attributes, inputs)[0]!;
}
