import { StarError } from '../errors.ts';

/** A program that cannot be built: an operator was given tensors that do not fit. */
export class TensorError extends StarError {
  /** The operator that refused, as it is called in the language. */
  readonly operator: string;

  constructor(operator: string, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super('tensor_invalid', `${operator}: ${message}`, { operator, ...details });
    this.operator = operator;
  }
}
