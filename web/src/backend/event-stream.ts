/**
 * Server-sent events out of a body of bytes, as the HTML standard reads them
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation), and beside them the
 * comments, in which the server tells of the queue. `EventSource` cannot be used: it sends no bodies.
 */
import { itemsOf } from './stream-items.ts';

export type StreamItem =
  | { readonly type: 'event'; readonly name: string; readonly data: string }
  | { readonly type: 'comment'; readonly text: string };

export async function* readEventStream(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamItem, void, void> {
  const decoder = new TextDecoder();
  const parser = new EventStreamParser();
  // Leaving the loop early hangs up.
  for await (const bytes of itemsOf(body)) yield* parser.push(decoder.decode(bytes, { stream: true }));
}

export class EventStreamParser {
  /** Text after the last whole line. */
  #rest = '';
  #name = '';
  #data: string[] = [];

  /** Items that are complete now. */
  *push(text: string): Generator<StreamItem, void, void> {
    this.#rest += text;
    while (true) {
      const end = /\r\n|\n|\r(?!$)/.exec(this.#rest);
      if (!end) return;
      const line = this.#rest.slice(0, end.index);
      this.#rest = this.#rest.slice(end.index + end[0].length);
      const item = this.#line(line);
      if (item) yield item;
    }
  }

  #line(line: string): StreamItem | undefined {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === '') return { type: 'comment', text: value };
    if (field === 'data') this.#data.push(value);
    if (field === 'event') this.#name = value;
    return undefined;
  }

  #dispatch(): StreamItem | undefined {
    const item = { type: 'event', name: this.#name, data: this.#data.join('\n') } as const;
    const empty = this.#data.length === 0;
    this.#name = '';
    this.#data = [];
    return empty ? undefined : item;
  }
}
