import type { BrowserReply, BrowserStart, BrowserWeights } from './browser-start.ts';
import type { HostEvents, WorkerHost } from './host.ts';
import type { Request } from './protocol.ts';

/** A dedicated web worker. It lives as long as its page, busy or not. */
export class BrowserHost implements WorkerHost {
  readonly #worker: Worker;
  #stopped = false;

  constructor(start: BrowserStart) {
    // Written out, so that bundlers see it. This module runs in its built form only.
    this.#worker = new Worker(new URL('./browser-worker.js', import.meta.url), {
      type: 'module',
      name: 'starstack-runtime',
    });
    this.#worker.postMessage(start);
  }

  listen(events: HostEvents): void {
    let failed = false;
    const fail = (message: string) => {
      if (failed || this.#stopped) return;
      failed = true;
      events.failure(new Error(message));
    };
    this.#worker.addEventListener('message', ({ data }: MessageEvent<BrowserReply>) => {
      if ('startError' in data) fail(data.startError);
      else events.reply(data);
    });
    this.#worker.addEventListener('messageerror', () => fail('a message could not be read'));
    this.#worker.addEventListener('error', (event) => fail(event.message || 'its script could not be loaded'));
  }

  post(request: Request, transfer: readonly ArrayBuffer[]): void {
    this.#worker.postMessage(request, [...transfer]);
  }

  giveWeights(weights: BrowserWeights['weights']): void {
    this.#worker.postMessage({ weights } satisfies BrowserWeights);
  }

  setBusy(): void {}

  /** Nothing of a browser depends on the end of a run, so that a worker that is asked to end does so at once. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#worker.terminate();
  }
}
