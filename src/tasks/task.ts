/** A task can be awaited for its result or read as a stream of events. */
export interface Task<Args extends unknown[], Event, Result> {
  (...args: Args): Promise<Result>;
  /** The same work as events; the generator's return value is the result. Leaving the loop early stops the work. */
  stream(...args: Args): AsyncGenerator<Event, Result, void>;
}

export function createTask<Args extends unknown[], Event, Result>(
  run: (...args: Args) => AsyncGenerator<Event, Result, void>,
): Task<Args, Event, Result> {
  const task = async (...args: Args): Promise<Result> => drain(run(...args));
  return Object.assign(task, { stream: run });
}

/** Runs a generator to its end for its return value. */
export async function drain<Event, Result>(events: AsyncGenerator<Event, Result, void>): Promise<Result> {
  while (true) {
    const step = await events.next();
    if (step.done) return step.value;
  }
}
