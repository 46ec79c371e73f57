import { StarError } from '../errors.ts';

export type TrainingErrorCode =
  /** A parameter that the stage does not train was asked for. */
  | 'parameter_frozen'
  /** A batch does not fit the program. */
  | 'batch_invalid'
  /** A setting is out of its range. */
  | 'training_option_invalid'
  /** Loss or gradients of a step were not finite: the run stopped before the update and saved the batch. */
  | 'step_not_finite'
  /** The folder holds a training already, and going on with it was not asked for. */
  | 'training_exists'
  /** A saved training is damaged, or is not one. */
  | 'saved_training_invalid'
  /** A saved training was made with other settings. */
  | 'configuration_differs'
  /** Weights cannot be replaced now. */
  | 'weights_read_only'
  /** A recipe cannot be read, or has a key or value that it must not have. */
  | 'recipe_invalid';

/** Training that was asked for something it cannot do. */
export class TrainingError extends StarError {
  constructor(
    code: TrainingErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, details, options);
  }
}
