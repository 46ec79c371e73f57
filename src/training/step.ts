/**
 * A training step as one program: forward, backward, clipping, AdamW. Several steps run in one call, in a loop whose
 * state is weights and moments, so that they do not cross the border of the runtime in between. Frozen parameters are
 * weights in their files.
 */
import type { Declare } from '../nn/parameters.ts';
import {
  add,
  type CompiledProgram,
  compile,
  divide,
  full,
  gather,
  gradients,
  input,
  loop,
  multiply,
  reshape,
  scalar,
  type Tensor,
} from '../tensor/index.ts';
import { TrainingError } from './error.ts';
import { type OptimizerOptions, optimizerSettings, packTrained, unpackTrained, updateWeights } from './optimizer.ts';
import { byName, recordDeclared, type Stage } from './stage.ts';

export interface TrainingStepOptions {
  /** Steps of one run, at least 1. Default 1. */
  readonly steps?: number | undefined;
  /**
   * Batches whose gradients make one step, at least 1: one after another, so that memory is that of one. Their losses
   * are averaged by the stage's `weight`. Default 1.
   */
  readonly accumulate?: number | undefined;
  readonly optimizer?: OptimizerOptions | undefined;
}

/** Prefixes of the names of a training program's state. The results of the same name begin with `next.`. */
export const stateNames = {
  weight: 'weight.',
  firstMoment: 'first_moment.',
  secondMoment: 'second_moment.',
  average: 'average.',
  updates: 'updates',
} as const;

/** Names of matrices that read what goes in or make what comes out: they are no matrices inside the network. */
const atTheEnds = /embed|codebook|head|norm_out\.linear_2/;

/** What every training program measures, beside what its stage reports. */
export const measuredNames = ['loss', 'gradient_norm', 'applied'] as const;

/**
 * The program of `steps` training steps.
 *
 * State, in and (with `next.` in front) out: `weight.<name>`, `first_moment.<name>`, `second_moment.<name>` float32 for
 * each trained parameter, `average.<name>` too where the optimizer averages, and `updates`, int64 scalar, the updates
 * made so far.
 * Further inputs: `learning_rate [steps]`, and the stage's data, each `[steps, ...]`, or `[steps, accumulate, ...]` where
 * `accumulate` is not 1.
 * Further outputs, `[steps, ...]`: `loss`, `gradient_norm` (before clipping), `applied` (bool: false where loss or norm
 * was not finite and the state stayed as it was), and what the stage reports, `[steps, accumulate, ...]` where
 * `accumulate` is not 1.
 *
 * @param declareFrozen gives the parameters that are not trained.
 */
export function compileTrainingStep(
  stage: Stage,
  declareFrozen: Declare,
  { steps = 1, accumulate = 1, optimizer }: TrainingStepOptions = {},
): CompiledProgram {
  for (const [name, value] of Object.entries({ steps, accumulate })) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    throw new TrainingError('training_option_invalid', `${name} is ${value}: expected a whole number of at least 1`);
  }
  const settings = optimizerSettings(optimizer);
  const names = [...stage.trained.keys()];
  const inner = names.map((name) => stage.trained.get(name)!.length === 2 && !atTheEnds.test(name));
  const states = stateInputs(stage, settings.averageDecay > 0);
  const learningRates = input('learning_rate', 'float32', [steps]);
  const axes = accumulate === 1 ? [steps] : [steps, accumulate];
  const data = stage.data.map(({ name, dtype, shape }) => input(name, dtype, [...axes, ...shape]));

  const step = (turn: Tensor | undefined, state: readonly Tensor[]) => {
    const at = (stacked: Tensor) => part(stacked, turn);
    const [updates, ...flat] = state as [Tensor, ...Tensor[]];
    const tensors = packTrained(flat, names.length);
    const weights = new Map(names.map((name, index) => [name, tensors[index]!.weight]));
    const declare: Declare = (name, shape) => weights.get(name) ?? declareFrozen(name, shape);
    const sources = tensors.map(({ weight }) => weight);
    const differentiated = differentiate(stage, declare, sources, data.map(at), accumulate);
    const { loss, reported } = differentiated;
    const updated = updateWeights(
      { tensors, gradients: differentiated.gradients, loss, updates, learningRate: at(learningRates), inner },
      settings,
    );
    return {
      states: [updated.updates, ...updated.tensors.flatMap(unpackTrained)],
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

interface Differentiated {
  readonly gradients: readonly Tensor[];
  readonly loss: Tensor;
  readonly reported: Readonly<Record<string, Tensor>>;
}

/** Loss and gradients of one batch, or the weighted mean over `accumulate` batches on the data's first axis. */
function differentiate(
  stage: Stage,
  declare: Declare,
  sources: readonly Tensor[],
  data: readonly Tensor[],
  accumulate: number,
): Differentiated {
  const traced = (batch: readonly Tensor[]) => {
    const { loss, reported, weight } = stage.loss(recordDeclared(declare).declare, byName(stage.data, batch));
    return { loss, reported, weight };
  };
  if (accumulate === 1) {
    const { loss, reported } = traced(data);
    return { gradients: gradients(loss, sources), loss, reported };
  }
  let keys: string[] = [];
  const sums = [
    { name: 'total', initial: full('float32', [], 0) },
    { name: 'weighted_loss', initial: full('float32', [], 0) },
    ...sources.map((source) => ({
      name: `sum.${inputName(source)}`,
      initial: full('float32', source.shape, 0),
    })),
  ];
  const result = loop({ turns: accumulate, states: sums }, (turn, total, weightedLoss, ...summed) => {
    const { loss, reported, weight = scalar('float32', 1) } = traced(data.map((stacked) => part(stacked, turn)));
    const weighted = multiply(loss, weight);
    const found = gradients(weighted, sources);
    keys = Object.keys(reported);
    return {
      states: [
        add(total!, weight),
        add(weightedLoss!, weighted),
        ...summed.map((sum, index) => add(sum, found[index]!)),
      ],
      stacked: Object.values(reported),
    };
  });
  const [total, weightedLoss, ...summed] = result.states as [Tensor, Tensor, ...Tensor[]];
  return {
    gradients: summed.map((sum) => divide(sum, total)),
    loss: divide(weightedLoss, total),
    reported: Object.fromEntries(keys.map((key, index) => [key, result.stacked[index]!])),
  };
}

/** What stands at `turn` of the first axis; without a turn that axis has one place. */
function part(stacked: Tensor, turn: Tensor | undefined): Tensor {
  return reshape(turn ? gather(stacked, reshape(turn, [1])) : stacked, stacked.shape.slice(1));
}

/** `updates`, then weight, moments and average of each trained parameter. */
function stateInputs({ trained }: Stage, averaged: boolean): Tensor[] {
  const { weight, firstMoment, secondMoment, average, updates } = stateNames;
  const prefixes = averaged ? [weight, firstMoment, secondMoment, average] : [weight, firstMoment, secondMoment];
  return [
    input(updates, 'int64', []),
    ...[...trained].flatMap(([name, shape]) => prefixes.map((prefix) => input(`${prefix}${name}`, 'float32', shape))),
  ];
}

function inputName({ node }: Tensor): string {
  return (node.attributes as { name: string }).name;
}
