import { StarError } from '../errors.ts';

/**
 * What went wrong with a file of weights.
 *
 * - `checkpoint_invalid`: the bytes break the format's rules, or were made to harm.
 * - `checkpoint_unsupported`: a sound file of a kind that is not read here.
 * - `checkpoint_not_found`: no such file, folder or tensor.
 * - `checkpoint_unreadable`: the operating system refused to open or read it.
 * - `checkpoint_write_failed`: writing did not finish; what stood at the path before still stands.
 * - `checkpoint_mismatch`: a sound file whose tensors are not the model's.
 */
export type CheckpointErrorCode =
  | 'checkpoint_invalid'
  | 'checkpoint_unsupported'
  | 'checkpoint_not_found'
  | 'checkpoint_unreadable'
  | 'checkpoint_write_failed'
  | 'checkpoint_mismatch';

export interface CheckpointErrorOptions {
  /** The file or folder as it was named by the caller. */
  readonly file: string;
  /** Where in the file, counted in bytes from its start. */
  readonly byteOffset?: number;
  /** `checkpoint_invalid` unless given. */
  readonly code?: CheckpointErrorCode;
  readonly cause?: unknown;
  /** More facts for programs. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A file of weights that cannot be used, with the place in the file where known. */
export class CheckpointError extends StarError {
  readonly file: string;
  readonly byteOffset: number | undefined;
  readonly reason: string;

  constructor(reason: string, options: CheckpointErrorOptions) {
    const { file, byteOffset, code = 'checkpoint_invalid', cause, details } = options;
    const place = byteOffset === undefined ? file : `${file}, byte ${byteOffset}`;
    super(
      code,
      `${place}: ${reason}`,
      { ...details, file, byteOffset, reason },
      cause === undefined ? undefined : { cause },
    );
    this.file = file;
    this.byteOffset = byteOffset;
    this.reason = reason;
  }
}

/** A string from a file, quoted and shortened so that it can stand in a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
