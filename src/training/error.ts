import { StarError } from '../errors.ts';

export type TrainingErrorCode =
  /** A parameter that the stage does not train was asked for. */
  | 'parameter_frozen'
  /** A batch does not fit the program. */
  | 'batch_invalid'
  /** A setting is out of its range. */
  | 'training_option_invalid';

/** Training that was asked for something it cannot do. */
export class TrainingError extends StarError {
  constructor(code: TrainingErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(code, message, details);
  }
}
