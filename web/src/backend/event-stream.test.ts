import { expect, it } from 'vitest';
import { EventStreamParser, readEventStream, type StreamItem } from './event-stream.ts';

const text =
  ': queued 2\n\nevent: a\ndata: {"x":1}\n\ndata: one\r\ndata:two\r\n\r\n\n\nevent: lost\n\ndata\n\nid: 7\ndata: end\n\n';
const items: StreamItem[] = [
  { type: 'comment', text: 'queued 2' },
  { type: 'event', name: 'a', data: '{"x":1}' },
  { type: 'event', name: '', data: 'one\ntwo' },
  { type: 'event', name: '', data: '' },
  { type: 'event', name: '', data: 'end' },
];

it('reads events and comments, however the text is cut', () => {
  for (const size of [1, 2, 3, 7, text.length]) {
    const parser = new EventStreamParser();
    const got: StreamItem[] = [];
    for (let start = 0; start < text.length; start += size) got.push(...parser.push(text.slice(start, start + size)));
    expect(got, `pieces of ${size}`).toEqual(items);
  }
});

it('joins characters that are cut in two, leaves an unfinished event out, and hangs up when it is left', async () => {
  const bytes = new TextEncoder().encode('data: 苹果\n\ndata: half');
  const body = (onCancel: () => void) =>
    new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.slice(0, 8));
        controller.enqueue(bytes.slice(8));
        controller.close();
      },
      cancel: onCancel,
    });
  const got: StreamItem[] = [];
  for await (const item of readEventStream(body(() => {}))) got.push(item);
  expect(got).toEqual([{ type: 'event', name: '', data: '苹果' }]);

  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(bytes);
    },
    cancel() {
      cancelled = true;
    },
  });
  for await (const _ of readEventStream(endless)) break;
  expect(cancelled).toBe(true);
});
