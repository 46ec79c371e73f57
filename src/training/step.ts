/**
 * A training step as one program: forward, backward, clipping, AdamW. Several steps run in one call, in a loop whose
 * state is weights and moments, so that they do not cross the border of the runtime in between. Frozen parameters are
 * weights in their files.
 */
import type { Declare } from '../nn/parameters.ts';
import {
  type CompiledProgram,
  compile,
  gather,
  gradients,
  input,
  loop,
  reshape,
  type Tensor,
} from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import { adamW, type OptimizerOptions, optimizerSettings, type TrainedTensor } from './optimizer.ts';
import { byName, recordDeclared, type Stage } from './stage.ts';

export interface TrainingStepOptions {
  /** Steps of one run, at least 1. Default 1. */
  readonly steps?: number | undefined;
  readonly optimizer?: OptimizerOptions | undefined;
}

/** Prefixes of the names of a training program's state. The results of the same name begin with `next.`. */
export const stateNames = {
  weight: 'weight.',
  firstMoment: 'first_moment.',
  secondMoment: 'second_moment.',
  updates: 'updates',
} as const;

/**
 * The program of `steps` training steps.
 *
 * State, in and (with `next.` in front) out: `weight.<name>`, `first_moment.<name>`, `second_moment.<name>` float32 for
 * each trained parameter, and `updates`, int64 scalar, the updates made so far.
 * Further inputs: `learning_rate [steps]`, and the stage's data, each `[steps, ...]`.
 * Further outputs, `[steps, ...]`: `loss`, `gradient_norm` (before clipping), `applied` (bool: false where loss or norm
 * was not finite and the state stayed as it was), and what the stage reports.
 *
 * @param declareFrozen gives the parameters that are not trained.
 */
export function compileTrainingStep(
  stage: Stage,
  declareFrozen: Declare,
  { steps = 1, optimizer }: TrainingStepOptions = {},
): CompiledProgram {
  if (!Number.isSafeInteger(steps) || steps < 1) {
    throw new TrainingError('training_option_invalid', `steps is ${steps}: expected a whole number of at least 1`);
  }
  const settings = optimizerSettings(optimizer);
  const names = [...stage.trained.keys()];
  const states = stateInputs(stage);
  const learningRates = input('learning_rate', 'float32', [steps]);
  const data = stage.data.map(({ name, dtype, shape }) => input(name, dtype, [steps, ...shape]));

  const step = (turn: Tensor | undefined, state: readonly Tensor[]) => {
    const at = (stacked: Tensor) => {
      const part = turn ? gather(stacked, reshape(turn, [1])) : stacked;
      return reshape(part, stacked.shape.slice(1));
    };
    const [updates, ...flat] = state as [Tensor, ...Tensor[]];
    const tensors = names.map((_, index) => packed(flat.slice(3 * index, 3 * index + 3)));
    const weights = new Map(names.map((name, index) => [name, tensors[index]!.weight]));
    const recorded = recordDeclared((name, shape) => weights.get(name) ?? declareFrozen(name, shape));
    const { loss, reported } = stage.loss(recorded.declare, byName(stage.data, data.map(at)));
    const sources = tensors.map(({ weight }) => weight);
    const updated = adamW(
      { tensors, gradients: gradients(loss, sources), loss, updates, learningRate: at(learningRates) },
      settings,
    );
    return {
      states: [updated.updates, ...updated.tensors.flatMap(unpacked)],
      measured: { loss, gradient_norm: updated.gradientNorm, applied: updated.applied, ...reported },
    };
  };

  let next: readonly Tensor[];
  let measured: Record<string, Tensor>;
  if (steps === 1) {
    // Without the loop, state is not copied into it and out again.
    const result = step(undefined, states);
    next = result.states;
    measured = Object.fromEntries(
      Object.entries(result.measured).map(([name, tensor]) => [name, reshape(tensor, [1, ...tensor.shape])]),
    );
  } else {
    let keys: string[] = [];
    const initial = states.map((tensor) => ({ name: inputName(tensor), initial: tensor }));
    const result = loop({ turns: steps, states: initial }, (turn, ...state) => {
      const turned = step(turn, state);
      keys = Object.keys(turned.measured);
      return { states: turned.states, stacked: Object.values(turned.measured) };
    });
    next = result.states;
    measured = Object.fromEntries(keys.map((key, index) => [key, result.stacked[index]!]));
  }
  return compile({
    name: `${stage.name} training step`,
    inputs: [...states, learningRates, ...data],
    outputs: {
      ...measured,
      ...Object.fromEntries(states.map((tensor, index) => [`next.${inputName(tensor)}`, next[index]!])),
    },
  });
}

/** `updates`, then weight and moments of each trained parameter. */
function stateInputs({ trained }: Stage): Tensor[] {
  const { weight, firstMoment, secondMoment, updates } = stateNames;
  return [
    input(updates, 'int64', []),
    ...[...trained].flatMap(([name, shape]) =>
      [weight, firstMoment, secondMoment].map((prefix) => input(`${prefix}${name}`, 'float32', shape)),
    ),
  ];
}

function inputName({ node }: Tensor): string {
  return (node.attributes as { name: string }).name;
}

function packed([weight, firstMoment, secondMoment]: readonly Tensor[]): TrainedTensor {
  return { weight: weight!, firstMoment: firstMoment!, secondMoment: secondMoment! };
}

function unpacked({ weight, firstMoment, secondMoment }: TrainedTensor): Tensor[] {
  return [weight, firstMoment, secondMoment];
}
