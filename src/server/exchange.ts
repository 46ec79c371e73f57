/** One request from its acceptance to its answer: what can end it early, and its turn at the model. */
import type { FastifyReply } from 'fastify';
import type { Star } from '../tasks/star.ts';
import type { TurnQueue } from '../tasks/turn-queue.ts';
import { clientGone, ServerError, serverErrorOf } from './error.ts';
import type { Metrics } from './metrics.ts';
import type { ResolvedServerOptions } from './options.ts';

/** What the routes share. */
export interface ServerContext {
  readonly options: ResolvedServerOptions;
  readonly queue: TurnQueue;
  readonly metrics: Metrics;
  /** Aborts when the time to drain is over. */
  readonly stop: AbortSignal;
  /** Unix seconds at which the server started. */
  readonly created: number;
  /** The loaded model; throws `model_loading` (503) before. */
  star(): Star;
  /** Tells the operator of an error whose cause the client does not see. */
  logError(error: ServerError): void;
}

/**
 * The life of a request. Its signal aborts, with the `ServerError` to answer as reason, when the client goes, the deadline
 * passes or the server stops.
 */
export class Exchange {
  readonly route: string;
  readonly signal: AbortSignal;
  readonly #context: ServerContext;
  /** How the request ended, where the status on the wire does not tell. */
  outcome: ServerError | undefined;

  constructor(context: ServerContext, reply: FastifyReply, route: string) {
    this.#context = context;
    this.route = route;
    const { deadline } = context.options;
    const controller = new AbortController();
    this.signal = controller.signal;
    const late = () =>
      controller.abort(
        new ServerError(504, 'timeout_error', 'deadline_exceeded', `not finished within ${deadline} seconds`),
      );
    const stopped = () => controller.abort(shuttingDown());
    const timer = setTimeout(late, deadline * 1000);
    if (context.stop.aborted) stopped();
    context.stop.addEventListener('abort', stopped, { once: true });
    reply.raw.once('close', () => {
      clearTimeout(timer);
      context.stop.removeEventListener('abort', stopped);
      if (!reply.raw.writableFinished) {
        this.outcome ??= clientGone();
        controller.abort(this.outcome);
      }
    });
  }

  /** Runs a job in its turn. Whatever ends it early is thrown as the signal's reason. */
  async inTurn<Result>(job: () => Promise<Result>, onPosition?: (position: number) => void): Promise<Result> {
    const { queue, metrics } = this.#context;
    let accepted = false;
    const begin = () => {
      accepted = true;
      return job();
    };
    const wait = (position: number) => {
      accepted = true;
      onPosition?.(position);
    };
    try {
      return await queue.run(this.signal, begin, wait);
    } catch (error) {
      const cause = this.signal.aborted ? this.signal.reason : error;
      const told = serverErrorOf(cause);
      if (!accepted) metrics.rejected.inc({ reason: told.code });
      else if (this.signal.aborted) metrics.cancelled.inc({ reason: told.code });
      if (told.code === 'non_finite_output') metrics.notFinite.inc();
      throw told;
    }
  }
}

export function shuttingDown(): ServerError {
  return new ServerError(503, 'unavailable_error', 'shutting_down', 'the server is shutting down', { retryAfter: 10 });
}
