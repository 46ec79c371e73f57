/** What can go wrong with a backend, by what the user can do about it. */
export const failureKinds = [
  'unauthorized',
  'busy',
  'loading',
  'shutting-down',
  'refused',
  'late',
  'failed',
  'unreachable',
  'broken-off',
  // Of a model that runs in the page.
  'download',
  'engine',
  'aborted',
] as const;
export type FailureKind = (typeof failureKinds)[number];

export interface FailureDetails extends ErrorOptions {
  /** Seconds after which it makes sense to try again. */
  readonly retryAfter?: number;
  /** The setting at fault. */
  readonly setting?: string;
}

export class BackendError extends Error {
  readonly kind: FailureKind;
  readonly retryAfter: number | undefined;
  readonly setting: string | undefined;

  /** @param message the backend's own words, shown as they are beside the studio's advice */
  constructor(kind: FailureKind, message: string, details: FailureDetails = {}) {
    super(message, details);
    this.name = 'BackendError';
    this.kind = kind;
    this.retryAfter = details.retryAfter;
    this.setting = details.setting;
  }
}

/** Anything thrown, as an error that the studio can show. */
export function backendErrorOf(error: unknown, signal: AbortSignal): BackendError {
  if (signal.aborted) return new BackendError('aborted', '', { cause: error });
  if (error instanceof BackendError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BackendError('failed', message, { cause: error });
}
