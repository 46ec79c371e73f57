import { StarError } from '../errors.ts';

export type BrowserErrorCode =
  | 'browser_insecure_context'
  | 'model_manifest_missing'
  | 'model_file_missing'
  | 'model_file_damaged'
  | 'model_unreachable';

/** Something about the page or the download of a model. */
export class BrowserError extends StarError {
  declare readonly code: BrowserErrorCode;

  constructor(
    code: BrowserErrorCode,
    message: string,
    details?: Readonly<Record<string, unknown>>,
    options?: ErrorOptions,
  ) {
    super(code, message, details, options);
  }
}
