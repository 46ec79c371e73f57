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
export function drain<Event, Result>(events: AsyncGenerator<Event, Result, void>): Promise<Result> {
  return follow(events, () => {});
}

/** Tells the events of a generator one by one; gives its return value. */
export async function follow<Event, Result>(
  events: AsyncGenerator<Event, Result, void>,
  tell: (event: Event) => void | Promise<void>,
): Promise<Result> {
  try {
    while (true) {
      const step = await events.next();
      if (step.done) return step.value;
      await tell(step.value);
    }
  } finally {
    // Frees what the work holds when `tell` has thrown.
    await events.return(undefined as never);
  }
}
