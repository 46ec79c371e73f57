/** A stage's loss as a program whose trained parameters are fed: for measuring on held-out data in a running training. */
import type { Runtime } from '../../runtime/index.ts';
import type { Session } from '../../runtime/session.ts';
import { type CompiledProgram, compile, input, type TensorValue } from '../../tensor/index.ts';
import { byName, recordDeclared, type Stage } from '../stage.ts';
import type { TrainingTask, WeightAccess } from '../task.ts';

/** Of stages that train all that they declare. */
export const nothingFrozen = {
  declareFrozen: (name: string): never => {
    throw new Error(`internal: the stage trains all that it declares, ${name} too`);
  },
  weightsFolder: undefined,
};

function compileEvaluation(stage: Stage, declareFrozen: TrainingTask['declareFrozen']): CompiledProgram {
  const data = stage.data.map(({ name, dtype, shape }) => input(name, dtype, shape));
  const trained = new Map([...stage.trained].map(([name, shape]) => [name, input(`weight.${name}`, 'float32', shape)]));
  const { declare } = recordDeclared((name, shape) => trained.get(name) ?? declareFrozen(name, shape));
  const { loss, reported } = stage.loss(declare, byName(stage.data, data));
  return compile({
    name: `${stage.name} evaluation`,
    inputs: [...data, ...trained.values()],
    outputs: { loss, ...reported },
  });
}

/** Loaded when first used, and kept. */
export class EvaluationProgram {
  readonly #stage: Stage;
  readonly #task: Pick<TrainingTask, 'declareFrozen' | 'weightsFolder'>;
  readonly #runtime: Runtime;
  #session: Promise<Session> | undefined;

  constructor(stage: Stage, task: Pick<TrainingTask, 'declareFrozen' | 'weightsFolder'>, runtime: Runtime) {
    this.#stage = stage;
    this.#task = task;
    this.#runtime = runtime;
  }

  /** Runs batches at the present weights; results in order. */
  async run(
    weights: WeightAccess,
    batches: readonly Readonly<Record<string, TensorValue>>[],
  ): Promise<Record<string, TensorValue>[]> {
    const { weightsFolder } = this.#task;
    this.#session ??= this.#runtime.load(
      compileEvaluation(this.#stage, this.#task.declareFrozen),
      weightsFolder === undefined ? {} : { weightsFolder },
    );
    const session = await this.#session;
    const values: Record<string, TensorValue> = {};
    for (const [name, shape] of this.#stage.trained) {
      values[`weight.${name}`] = { dtype: 'float32', shape, data: await weights.read(name) };
    }
    const results: Record<string, TensorValue>[] = [];
    for (const batch of batches)
      results.push((await session.run({ ...values, ...batch })) as Record<string, TensorValue>);
    return results;
  }

  /** Means over the batches of scalars that the stage gives. */
  async means<Name extends string>(
    weights: WeightAccess,
    batches: readonly Readonly<Record<string, TensorValue>>[],
    names: readonly Name[],
  ): Promise<Record<Name, number>> {
    const results = await this.run(weights, batches);
    const mean = (name: string) =>
      results.reduce((sum, result) => sum + (result[name]!.data as Float32Array)[0]!, 0) / results.length;
    return Object.fromEntries(names.map((name) => [name, mean(name)])) as Record<Name, number>;
  }
}
