import { StarError } from '../errors.ts';

/** What can go wrong with an evaluation; the codes are stable. */
export type EvaluationErrorCode =
  | 'evaluation_file_invalid'
  | 'evaluation_file_unreadable'
  | 'evaluation_option_invalid'
  /** Nothing was there to be scored. */
  | 'evaluation_empty'
  /** Two things that cannot be compared: pictures of different sizes, say. */
  | 'evaluation_mismatch';

/** An evaluation that cannot be made as asked. A low score is no error. */
export class EvaluationError extends StarError {
  declare readonly code: EvaluationErrorCode;

  constructor(
    code: EvaluationErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, details, options);
  }
}
