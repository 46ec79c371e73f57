/** Repetition and choice inside a program. */
import { canonicalDim, type Dim, formatShape, type Shape, sameShape } from '../dimension.ts';
import { TensorError } from '../error.ts';
import type { Scope, Subgraph, TensorType } from '../operators.ts';
import { apply, applyAll, type Tensor } from '../tensor.ts';
import { scalar } from './leaves.ts';

/** True for a size that is one name, not a sum or product. */
function isName(dim: Dim): boolean {
  return typeof dim === 'string' && !/[*+]/.test(dim);
}

/** A value that a loop carries from turn to turn. */
export interface LoopState {
  readonly name: string;
  readonly initial: Tensor;
  /**
   * The shape inside the body, where the size changes from turn to turn: a new name for such a size, the outer one for
   * the others. Default: the initial shape.
   */
  readonly shape?: Shape;
}

/** What one turn of a loop gives. */
export interface LoopTurn {
  /** The states for the next turn, in order. */
  readonly states: readonly Tensor[];
  /**
   * Values kept from every turn; the loop's result stacks them on a new first axis. After no turn at all ONNX Runtime gives
   * their named sizes as 0.
   */
  readonly stacked?: readonly Tensor[];
  /** A bool scalar: go on after this turn? Default: yes, until `turns` are done. */
  readonly proceed?: Tensor;
}

export interface LoopOptions {
  /** Most turns, an int64 scalar or a number. */
  readonly turns: Tensor | number;
  readonly states: readonly LoopState[];
  /** Size of the first axis of stacked results. Default: `turns` if that is a number and no turn can stop the loop. */
  readonly stackedSize?: Dim;
}

/**
 * Runs `body` again and again; what it uses from outside is read in place. Not differentiable: unroll what needs gradients.
 * The result's state shapes are the body's; a size named inside the body gets the name `NAME@end`.
 */
export function loop(
  { turns, states, stackedSize }: LoopOptions,
  body: (turn: Tensor, ...states: Tensor[]) => LoopTurn,
): { states: readonly Tensor[]; stacked: readonly Tensor[] } {
  if (typeof turns !== 'number' && (turns.dtype !== 'int64' || turns.rank !== 0)) {
    throw new TensorError('loop', `turns must be an int64 scalar, got ${turns}`);
  }
  const scope: Scope = { kind: 'loop' };
  const turn = apply('input', { name: 'turn', type: { dtype: 'int64', shape: [] }, scope });
  const before = apply('input', { name: 'proceed', type: { dtype: 'bool', shape: [] }, scope });
  const inputs = states.map(({ name, initial, shape }) => {
    const inner = shape?.map(canonicalDim) ?? initial.shape;
    // A size that changes has no number; inside it goes by a name.
    const fits = inner.every((dim, axis) => dim === initial.shape[axis] || isName(dim));
    if (inner.length !== initial.rank || !fits) {
      throw new TensorError('loop', `state ${name} is ${formatShape(inner)} inside but starts as ${initial}`);
    }
    return apply('input', { name, type: { dtype: initial.dtype, shape: inner }, scope });
  });
  const result = body(turn, ...inputs);
  if (result.states.length !== states.length) {
    throw new TensorError('loop', `the body gives ${result.states.length} states, expected ${states.length}`);
  }
  if (result.proceed && (result.proceed.dtype !== 'bool' || result.proceed.rank !== 0)) {
    throw new TensorError('loop', `proceed must be a bool scalar, got ${result.proceed}`);
  }
  const types: TensorType[] = result.states.map((state, index) => {
    const declared = inputs[index]!;
    const { name, initial } = states[index]!;
    if (state.dtype !== declared.dtype || state.rank !== declared.rank) {
      throw new TensorError('loop', `state ${name} is ${declared} before a turn and ${state} after it`);
    }
    // A size that the body names changes from turn to turn; every other one must stay.
    const shape = state.shape.map((dim, axis) => {
      if (dim === initial.shape[axis] && declared.shape[axis] === dim) return dim;
      if (declared.shape[axis] === initial.shape[axis]) {
        throw new TensorError(
          'loop',
          `axis ${axis} of state ${name} is ${declared.shape[axis]} before a turn, ${dim} after`,
        );
      }
      return `${declared.shape[axis]}@end`;
    });
    return { dtype: state.dtype, shape };
  });
  const stacked = result.stacked ?? [];
  const size = stackedSize ?? (typeof turns === 'number' && !result.proceed ? turns : undefined);
  if (stacked.length > 0 && size === undefined) {
    throw new TensorError('loop', 'stackedSize is needed where the number of turns is not fixed');
  }
  for (const tensor of stacked) types.push({ dtype: tensor.dtype, shape: [canonicalDim(size!), ...tensor.shape] });

  const limit = typeof turns === 'number' ? scalar('int64', turns) : turns;
  const subgraph: Subgraph<Tensor> = {
    scope,
    inputs: [turn, before, ...inputs],
    outputs: [result.proceed ?? scalar('bool', 1), ...result.states, ...stacked],
  };
  const initial = states.map((state) => state.initial);
  const outputs = applyAll('loop', { body: subgraph, states: states.length, types }, [limit, ...initial]);
  return { states: outputs.slice(0, states.length), stacked: outputs.slice(states.length) };
}

/**
 * Runs one of two branches; the other costs nothing. Both give tensors of the same types; where a size differs, it gets
 * the name given in `shapes`. Not differentiable: compute both sides and choose with `where`.
 */
export function cond(
  condition: Tensor,
  branches: { readonly whenTrue: () => readonly Tensor[]; readonly whenFalse: () => readonly Tensor[] },
  shapes?: readonly Shape[],
): readonly Tensor[] {
  if (condition.dtype !== 'bool' || condition.rank !== 0) {
    throw new TensorError('cond', `needs a bool scalar, got ${condition}`);
  }
  const [first, second] = [branches.whenTrue(), branches.whenFalse()];
  if (first.length !== second.length) {
    throw new TensorError('cond', `one branch gives ${first.length} tensors, the other ${second.length}`);
  }
  const types = first.map((tensor, index): TensorType => {
    const other = second[index]!;
    const shape = shapes?.[index]?.map(canonicalDim) ?? tensor.shape;
    // A size may be left open by a name; a number must be what both branches give.
    const fits = shape.every((dim, axis) => isName(dim) || (dim === tensor.shape[axis] && dim === other.shape[axis]));
    if (tensor.dtype !== other.dtype || shape.length !== tensor.rank || shape.length !== other.rank) {
      throw new TensorError('cond', `the branches give ${tensor} and ${other}`);
    }
    if (!shapes?.[index] && !sameShape(tensor.shape, other.shape)) {
      throw new TensorError('cond', `the branches give ${tensor} and ${other}: name the differing sizes in shapes`);
    }
    if (shapes?.[index] && !fits) {
      throw new TensorError('cond', `the branches give ${tensor} and ${other}, which is not ${formatShape(shape)}`);
    }
    return { dtype: tensor.dtype, shape };
  });
  const branch = (outputs: readonly Tensor[]): Subgraph<Tensor> => ({ scope: { kind: 'branch' }, inputs: [], outputs });
  return applyAll('cond', { whenTrue: branch(first), whenFalse: branch(second), types }, [condition]);
}
