import { RuntimeError } from './error.ts';
import type { WorkerHost } from './host.ts';
import type { Reply, Request, RequestKind, Requests } from './protocol.ts';

interface Job {
  readonly kind: RequestKind;
  readonly ask: Requests[RequestKind]['ask'];
  readonly transfer: readonly ArrayBuffer[];
  readonly resolve: (answer: never) => void;
  readonly reject: (reason: unknown) => void;
  /** Forgets the caller's signal. */
  readonly started: () => void;
}

interface Release {
  readonly sessions: number[];
  readonly remotes: number[];
  readonly done: Promise<undefined>;
}

/**
 * The requests of one runtime, answered in the order in which they were made.
 *
 * The worker gets one request at a time: what waits on this side can still be aborted, and whatever a request needs was
 * made by requests before it. While anything is pending the process is kept alive.
 */
export class RequestQueue {
  readonly #host: WorkerHost;
  readonly #waiting: Job[] = [];
  #running: Job | undefined;
  #runningId = 0;
  /** The release at the end of the queue, which can still grow. */
  #openRelease: Release | undefined;
  #death: RuntimeError | undefined;

  constructor(host: WorkerHost) {
    this.#host = host;
    host.listen({
      reply: (reply) => this.#settle(reply),
      failure: (error) => this.#die(error),
    });
  }

  /** Why the worker is gone, if it is. */
  get death(): RuntimeError | undefined {
    return this.#death;
  }

  /**
   * Sends a request when its turn comes. The buffers in `transfer` are handed over then.
   *
   * `signal` takes back a request that still waits, which rejects with the signal's reason; one that the worker has
   * begun goes on to its end.
   */
  submit<Kind extends RequestKind>(
    kind: Kind,
    ask: Requests[Kind]['ask'],
    transfer: readonly ArrayBuffer[] = [],
    signal?: AbortSignal,
  ): Promise<Requests[Kind]['answer']> {
    if (this.#death) return Promise.reject(this.#death);
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(job), 1);
        reject(signal!.reason);
      };
      const started = () => signal?.removeEventListener('abort', abort);
      const job: Job = { kind, ask, transfer, resolve, reject, started };
      signal?.addEventListener('abort', abort, { once: true });
      this.#openRelease = undefined;
      this.#waiting.push(job);
      this.#advance();
    });
  }

  /**
   * Frees sessions and tensors after all requests made so far. Many releases in a row become one request. Resolves at
   * once when the worker is gone, since nothing is left to free.
   */
  release(sessions: readonly number[], remotes: readonly number[]): Promise<undefined> {
    if (this.#death) return Promise.resolve(undefined);
    if (this.#openRelease) {
      this.#openRelease.sessions.push(...sessions);
      this.#openRelease.remotes.push(...remotes);
      return this.#openRelease.done;
    }
    const ask = { sessions: [...sessions], remotes: [...remotes] };
    const done = this.submit('release', ask).catch((error: unknown) => {
      if (error !== this.#death) throw error;
      return undefined;
    });
    // An idle worker has been sent it already: then there is nothing left to grow.
    if (this.#waiting.at(-1)?.ask === ask) this.#openRelease = { ...ask, done };
    return done;
  }

  #advance(): void {
    if (this.#running || this.#death) return;
    const job = this.#waiting.shift();
    if (!job) {
      this.#host.setBusy(false);
      return;
    }
    if (this.#waiting.length === 0) this.#openRelease = undefined;
    this.#running = job;
    job.started();
    this.#host.setBusy(true);
    this.#runningId++;
    try {
      this.#host.post({ id: this.#runningId, kind: job.kind, ask: job.ask } as Request, job.transfer);
    } catch (error) {
      this.#running = undefined;
      job.reject(error);
      this.#advance();
    }
  }

  #settle(reply: Reply): void {
    const job = this.#running;
    if (!job || reply.id !== this.#runningId) {
      this.#die(new Error(`the worker answered request ${reply.id} while request ${this.#runningId} was pending`));
      return;
    }
    this.#running = undefined;
    if ('error' in reply) job.reject(reply.error);
    else job.resolve(reply.answer as never);
    this.#advance();
  }

  #die(error: Error): void {
    if (this.#death) return;
    this.#death = new RuntimeError(
      'runtime_dead',
      `the runtime's worker stopped (${error.message}): its sessions and tensors are lost; create a new runtime`,
      {},
      { cause: error },
    );
    const lost = this.#running ? [this.#running, ...this.#waiting] : [...this.#waiting];
    this.#running = undefined;
    this.#waiting.length = 0;
    this.#host.setBusy(false);
    for (const job of lost) {
      job.started();
      job.reject(this.#death);
    }
  }
}
