import type { Reply, Request } from './protocol.ts';

/** What a host calls when its worker has something to say. */
export interface HostEvents {
  reply(reply: Reply): void;
  /** The worker is gone and will not answer any more. Called at most once, and not after `stop()`. */
  failure(error: Error): void;
}

/** The thread that runs programs, as a runtime sees it: one implementation for Node, one for browsers. */
export interface WorkerHost {
  /** Says who listens. Called once, before the first `post`. */
  listen(events: HostEvents): void;
  /** Sends a request; the buffers in `transfer` are handed over. */
  post(request: Request, transfer: readonly ArrayBuffer[]): void;
  /** Tells whether calls are pending: only a busy worker keeps the process alive. */
  setBusy(busy: boolean): void;
  /** Ends the thread and resolves when it has ended. A worker that was asked to stop has released everything before. */
  stop(): Promise<void>;
}
