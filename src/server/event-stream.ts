/** An answer as server-sent events. */
import type { FastifyReply } from 'fastify';
import { serverErrorOf } from './error.ts';

/**
 * Opens with the first event, or with the first sign of life: until then an error can still be answered with its status.
 */
export class EventStream {
  readonly #reply: FastifyReply;
  readonly #heartbeat: NodeJS.Timeout;
  #opened = false;

  /** @param heartbeat seconds between comments, which tell the client that it is still being served */
  constructor(reply: FastifyReply, heartbeat: number) {
    this.#reply = reply;
    this.#heartbeat = setInterval(() => this.comment('still at it'), heartbeat * 1000);
    reply.raw.once('close', () => clearInterval(this.#heartbeat));
  }

  get opened(): boolean {
    return this.#opened;
  }

  /** Sends data, under a name or without one. A string is sent as it is. */
  send(data: object | string, name?: string): void {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    this.#write(`${name === undefined ? '' : `event: ${name}\n`}data: ${text}\n\n`);
  }

  /** Clients skip comments. */
  comment(text: string): void {
    this.#write(`: ${text}\n\n`);
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#reply.raw.end();
  }

  /**
   * Ends with an error; clients throw on an event that has the key `error`.
   * Does nothing when nothing was sent yet: then the error is to be answered in the usual way.
   */
  fail(error: unknown): void {
    clearInterval(this.#heartbeat);
    if (!this.#opened) return;
    this.send(serverErrorOf(error).body(), 'error');
    this.end();
  }

  #write(text: string): void {
    if (!this.#opened) this.#open();
    if (!this.#reply.raw.destroyed) this.#reply.raw.write(text);
  }

  #open(): void {
    this.#opened = true;
    this.#reply.hijack();
    const headers = this.#reply.getHeaders() as Record<string, string>;
    this.#reply.raw.writeHead(200, {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      // Proxies such as nginx would hold events back.
      'x-accel-buffering': 'no',
    });
  }
}
