import { StarError } from '../errors.ts';

/**
 * What went wrong in a runtime.
 *
 * - `runtime_option_invalid`: an option is of the wrong type or outside of its range.
 * - `runtime_device_unavailable`: the device that was asked for cannot be had on this machine.
 * - `runtime_program_invalid`: the program's description and its ONNX model do not agree, or the model cannot be loaded.
 * - `runtime_feeds_invalid`: a run was given tensors, or asked for outputs, that do not fit the program.
 * - `runtime_run_failed`: ONNX Runtime refused or failed while it ran.
 * - `runtime_dead`: the worker stopped; the runtime and all that it owned are lost.
 * - `runtime_disposed`: a runtime, session or tensor was used after `dispose()`.
 */
export type RuntimeErrorCode =
  | 'runtime_option_invalid'
  | 'runtime_device_unavailable'
  | 'runtime_program_invalid'
  | 'runtime_feeds_invalid'
  | 'runtime_run_failed'
  | 'runtime_dead'
  | 'runtime_disposed';

/** A program that could not be loaded or run. Errors of ONNX Runtime are kept as `cause`. */
export class RuntimeError extends StarError {
  declare readonly code: RuntimeErrorCode;

  constructor(
    code: RuntimeErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, details, options);
  }
}

/** A runtime, session or remote tensor was used after it, or its owner, was disposed. */
export class DisposedError extends RuntimeError {
  constructor(what: string) {
    super('runtime_disposed', `${what} was disposed and cannot be used any more`, { what });
  }
}

/** What went wrong, in the words of whoever threw. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.trim() : String(error);
}
