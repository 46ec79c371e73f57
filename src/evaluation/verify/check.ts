import type { StarModel } from '../../tasks/star-model.ts';
import type { ExpectedFile } from './expected.ts';
import type { ReferenceMeta } from './reference-meta.ts';
import type { RowSheet } from './rows.ts';

/** What every check sees. */
export interface CheckContext {
  /** Opened with `trace: true`. */
  readonly model: StarModel;
  readonly meta: ReferenceMeta;
  /** The `expected` folder. */
  readonly folder: string;
}

/** Compares what the model computes with one file's tensors. What it throws becomes a failed row. */
export type Check = (context: CheckContext, file: ExpectedFile, sheet: RowSheet) => Promise<void>;
