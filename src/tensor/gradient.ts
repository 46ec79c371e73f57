/**
 * Reverse-mode differentiation: one walk over the program from a scalar back to the tensors that are asked for. Whatever
 * does not lead to one of them is skipped, so frozen parts cost nothing.
 */
import { sameShape } from './dimension.ts';
import { isFloating } from './dtype.ts';
import { TensorError } from './error.ts';
import { type GradientRule, gradientRules } from './gradient-rules.ts';
import { add } from './language/elementwise.ts';
import { full } from './language/leaves.ts';
import type { OperatorName } from './operators.ts';
import type { Node, Tensor } from './tensor.ts';
import { operandsOf, topologicalOrder } from './walk.ts';

/**
 * Gradients of a scalar by each of `sources`, in order and of their shapes. A source that the scalar does not depend on
 * is an error: a training that leaves a parameter out does so by not asking for it.
 */
export function gradients(scalar: Tensor, sources: readonly Tensor[]): Tensor[] {
  if (scalar.rank !== 0 || !isFloating(scalar.dtype)) {
    throw new TensorError('gradients', `needs a floating-point scalar, got ${scalar}`);
  }
  const wanted = new Set(sources);
  const order = topologicalOrder([scalar]);
  const leads = new Set<Node>();
  const isWanted = (tensor: Tensor) => wanted.has(tensor) || leads.has(tensor.node);
  for (const node of order) {
    if (node.operator !== 'stopGradient' && operandsOf(node).some(isWanted)) leads.add(node);
  }

  const found = new Map<Tensor, Tensor>([[scalar, full(scalar.dtype, [], 1)]]);
  for (const node of order.reverse()) {
    if (!leads.has(node) || !node.outputs.some((output) => found.has(output))) continue;
    const [first] = node.outputs as [Tensor];
    const g = found.get(first) ?? full(first.dtype, first.shape, 0);
    const rule = gradientRules[node.operator] as GradientRule<OperatorName>;
    const parts = rule({ attributes: node.attributes as never, inputs: node.inputs, outputs: node.outputs, g });
    node.inputs.forEach((input, index) => {
      const part = parts[index];
      if (!part || !isWanted(input) || !isFloating(input.dtype)) return;
      const value = part();
      if (!sameShape(value.shape, input.shape)) {
        throw new TensorError(node.operator, `internal: the gradient of ${input} came out as ${value}`);
      }
      const before = found.get(input);
      found.set(input, before ? add(before, value) : value);
    });
  }
  return sources.map((source) => {
    const gradient = found.get(source);
    if (!gradient) throw new TensorError('gradients', `the scalar does not depend on ${source}`);
    return gradient;
  });
}
