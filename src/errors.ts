/** The root of every error that Starstack throws on purpose. */

const marker = Symbol.for('starstack.error');

/**
 * An error with a stable `code` for programs and a message for people: where, what was expected, what was got, what to do.
 * `StarError.isInstance` also recognises errors made by another copy of the library.
 */
export class StarError extends Error {
  readonly [marker] = true;
  readonly code: string;
  /** What the message says, as data. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.details = details;
  }

  static isInstance(value: unknown): value is StarError {
    return typeof value === 'object' && value !== null && marker in value;
  }
}
