import { Worker } from 'node:worker_threads';
import { entry } from './entry.ts';
import type { HostEvents, WorkerHost } from './host.ts';
import type { EngineSettings, Reply } from './protocol.ts';

/** A worker thread of Node. It does not keep the process alive unless it is busy. */
export class NodeHost implements WorkerHost {
  readonly worker: Worker;
  readonly #exited: Promise<void>;
  #askedToStop = false;
  #stopping = false;

  constructor(settings: EngineSettings) {
    const { url, execArgv } = entry('worker');
    this.worker = new Worker(url, { name: 'starstack-runtime', workerData: settings, execArgv });
    this.worker.unref();
    this.#exited = new Promise((resolve) => this.worker.once('exit', () => resolve()));
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

  post(request: Parameters<WorkerHost['post']>[0], transfer: readonly ArrayBuffer[]): void {
    this.#askedToStop ||= request.kind === 'stop';
    this.worker.postMessage(request, transfer);
  }

  setBusy(busy: boolean): void {
    if (busy) this.worker.ref();
    else this.worker.unref();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.worker.ref();
    // A worker that was not asked to stop is one that failed; it may be past answering.
    if (!this.#askedToStop) await this.worker.terminate();
    await this.#exited;
  }
}
