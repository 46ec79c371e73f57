import { StarError } from '../errors.ts';

/** What can go wrong with training data; the codes are stable. */
export type DataErrorCode =
  | 'data_invalid'
  | 'data_not_found'
  | 'data_unreadable'
  | 'data_option_invalid'
  /** Nothing that is asked for can be made of what is there: a scene without room for another object, say. */
  | 'data_exhausted';

/** Data that cannot be read, used or made. */
export class DataError extends StarError {
  declare readonly code: DataErrorCode;

  constructor(
    code: DataErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, details, options);
  }
}
