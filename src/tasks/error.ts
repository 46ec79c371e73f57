import { StarError } from '../errors.ts';

/** A request that cannot be carried out as asked: an option out of range, a prompt that does not fit, an aborted run. */
export class TaskError extends StarError {}

/** The run was aborted by its signal, with `onAbort: 'throw'`. */
export class AbortedError extends TaskError {
  constructor(task: string, reason: unknown) {
    super('aborted', `${task}: aborted`, { task }, { cause: reason });
  }
}
