/** What a run of a training program measured, step by step. */
import type { RemoteTensor } from '../runtime/index.ts';
import { isFloating, type TensorValue } from '../tensor/index.ts';
import { measuredNames } from './step.ts';

export interface MeasuredStep {
  /** In the run, from 0. */
  readonly index: number;
  readonly loss: number;
  readonly gradientNorm: number;
  /** False where the step was not finite. */
  readonly applied: boolean;
  /** What the stage reports. */
  readonly reported: Readonly<Record<string, TensorValue>>;
  /** Means of those that are float32. */
  readonly numbers: Readonly<Record<string, number>>;
}

export function measuredSteps(
  results: Readonly<Record<string, TensorValue | RemoteTensor>>,
  steps: number,
): MeasuredStep[] {
  const values = Object.entries(results).filter((entry): entry is [string, TensorValue] => 'data' in entry[1]);
  const of = (name: (typeof measuredNames)[number]) => (results[name] as TensorValue).data as Float32Array;
  return Array.from({ length: steps }, (_, index) => {
    const own = values.filter(([name]) => !(measuredNames as readonly string[]).includes(name));
    const reported = own.map(([name, value]) => [name, valueAt(value, index)] as const);
    const floats = reported.filter(([, { dtype, data }]) => isFloating(dtype) && data instanceof Float32Array);
    return {
      index,
      loss: of('loss')[index]!,
      gradientNorm: of('gradient_norm')[index]!,
      applied: of('applied')[index] === 1,
      reported: Object.fromEntries(reported),
      numbers: Object.fromEntries(floats.map(([name, { data }]) => [name, mean(data as Float32Array)])),
    };
  });
}

function valueAt({ dtype, shape: [steps, ...shape], data }: TensorValue, index: number): TensorValue {
  const size = data.length / steps!;
  return { dtype, shape, data: data.slice(size * index, size * (index + 1)) };
}

function mean(data: Float32Array): number {
  return data.reduce((sum, value) => sum + value, 0) / data.length;
}
