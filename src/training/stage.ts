/**
 * A training stage as the programs see it: which data it reads, which parameters it trains, and its loss. What is not
 * among the trained parameters is frozen: it has no gradient, no moments and no decay.
 */
import type { Declare } from '../nn/parameters.ts';
import { type CompiledProgram, compile, gradients, input, type PortType, type Tensor } from '../tensor/index.ts';
import { TrainingError } from './error.ts';

/** Name, element type and fixed shape of one of the inputs that a step reads. */
export interface DataPort extends PortType {
  readonly shape: readonly number[];
}

/** A loss and what is reported beside it. */
export interface StageLoss {
  /** Scalar. */
  readonly loss: Tensor;
  /**
   * How much a batch counts beside others of the same step, scalar float32 of at least 0: the count that the loss is a
   * mean over, say. With 0 it counts nothing, but its loss must be finite. Default: all count alike.
   */
  readonly weight?: Tensor | undefined;
  readonly reported: Readonly<Record<string, Tensor>>;
}

export interface Stage {
  readonly name: string;
  /** Data of one step. */
  readonly data: readonly DataPort[];
  /** Shapes of what is trained, by the names of the published checkpoint, in order. */
  readonly trained: ReadonlyMap<string, readonly number[]>;
  /** Traces the loss; `declare` gives trained and frozen parameters alike. */
  readonly loss: (declare: Declare, data: Readonly<Record<string, Tensor>>) => StageLoss;
}

export interface LossOptions {
  /** Names of the parameters whose gradients are wanted. Default: all that the stage trains. */
  readonly gradients?: readonly string[] | undefined;
}

/** Remembers what was declared. */
export function recordDeclared(declare: Declare): { declare: Declare; declared: ReadonlyMap<string, Tensor> } {
  const declared = new Map<string, Tensor>();
  return {
    declared,
    declare: (name, shape) => {
      const known = declared.get(name);
      if (known) return known;
      const tensor = declare(name, shape);
      declared.set(name, tensor);
      return tensor;
    },
  };
}

/**
 * The program that computes a stage's `loss`, what it reports, and `grad.<name>` for each gradient that is wanted.
 * @throws TrainingError for the gradient of something that the stage does not train.
 */
export function compileLoss(stage: Stage, declare: Declare, { gradients: wanted }: LossOptions = {}): CompiledProgram {
  const names = wanted ?? [...stage.trained.keys()];
  for (const name of names) {
    if (stage.trained.has(name)) continue;
    throw new TrainingError('parameter_frozen', `the ${stage.name} stage does not train ${name}: it has no gradient`, {
      name,
    });
  }
  const inputs = stage.data.map(({ name, dtype, shape }) => input(name, dtype, shape));
  const recorded = recordDeclared(declare);
  const { loss, reported } = stage.loss(recorded.declare, byName(stage.data, inputs));
  const sources = names.map((name) => recorded.declared.get(name)!);
  const found = gradients(loss, sources);
  return compile({
    name: `${stage.name} loss`,
    inputs,
    outputs: { loss, ...reported, ...Object.fromEntries(names.map((name, index) => [`grad.${name}`, found[index]!])) },
  });
}

/** Tensors by the names of the ports that they were made for. */
export function byName(ports: readonly PortType[], tensors: readonly Tensor[]): Record<string, Tensor> {
  return Object.fromEntries(ports.map(({ name }, index) => [name, tensors[index]!]));
}
