import type { StarModel } from '../../tasks/star-model.ts';
import type { TensorValue } from '../../tensor/index.ts';
import type { ReferenceMeta } from './expected.ts';
import type { RowSheet } from './rows.ts';

/** What every check sees. */
export interface CheckContext {
  /** Opened with `trace: true`. */
  readonly model: StarModel;
  readonly meta: ReferenceMeta;
  /** The `expected` folder. */
  readonly folder: string;
  /** Names of the tensors of the file being checked. */
  readonly names: readonly string[];
}

/** Compares what the model computes with one file's tensors. */
export type Check = (
  context: CheckContext,
  expected: (tensor: string) => TensorValue,
  sheet: RowSheet,
) => Promise<void>;
