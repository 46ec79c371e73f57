import { Worker } from 'node:worker_threads';
import { entry } from './entry.ts';
import type { HostEvents, WorkerHost } from './host.ts';
import type { EngineSettings, Reply, Request } from './protocol.ts';
import { disableTelemetry } from './telemetry.ts';

/** What the worker thread gets when it starts. */
export interface WorkerStart {
  readonly settings: EngineSettings;
  /** One number: 1 from when a request is sent until it was answered. */
  readonly busy: Int32Array;
}

/** How long the end of the process waits for a request that runs, in milliseconds. */
const exitPatience = 60_000;

/**
 * A worker thread of Node. It does not keep the process alive unless it is busy.
 *
 * The thread is never terminated: ONNX Runtime aborts the whole process when its thread is torn down during a run. So a
 * process that exits in the middle of one waits for its end, as Node would do anyhow before it aborts.
 */
export class NodeHost implements WorkerHost {
  readonly worker: Worker;
  readonly #busy = new Int32Array(new SharedArrayBuffer(4));
  readonly #exited: Promise<void>;
  #askedToStop = false;
  #stopping = false;

  constructor(settings: EngineSettings) {
    disableTelemetry();
    const { url, execArgv } = entry('worker');
    const workerData: WorkerStart = { settings, busy: this.#busy };
    this.worker = new Worker(url, { name: 'starstack-runtime', workerData, execArgv });
    this.worker.unref();
    const awaitIdle = () => {
      Atomics.wait(this.#busy, 0, 1, exitPatience);
    };
    process.on('exit', awaitIdle);
    this.#exited = new Promise((resolve) => {
      this.worker.once('exit', () => {
        process.off('exit', awaitIdle);
        resolve();
      });
    });
  }

  listen(events: HostEvents): void {
    let failed = false;
    const fail = (error: Error) => {
      if (failed || this.#stopping) return;
      failed = true;
      events.failure(error);
    };
    this.worker.on('message', (reply: Reply) => events.reply(reply));
    this.worker.on('messageerror', fail);
    this.worker.on('error', fail);
    this.worker.on('exit', (code) => fail(new Error(`it ended with exit code ${code}`)));
  }

  post(request: Request, transfer: readonly ArrayBuffer[]): void {
    Atomics.store(this.#busy, 0, 1);
    this.worker.postMessage(request, transfer);
    this.#askedToStop ||= request.kind === 'stop';
  }

  setBusy(busy: boolean): void {
    if (busy) this.worker.ref();
    else this.worker.unref();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.worker.ref();
    // A runtime that gave its worker up does not ask any more.
    if (!this.#askedToStop) this.post({ id: 0, kind: 'stop', ask: {} }, []);
    await this.#exited;
  }
}
