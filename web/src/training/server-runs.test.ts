import { expect, it } from 'vitest';
import { type Ask, GrowingLog } from './server-runs.ts';

/** A file that is asked for by ranges of bytes, as a web server answers; counts the bytes that it sent. */
function served(): { text: string; sent: number; readonly ask: Ask } {
  const file = {
    text: '',
    sent: 0,
    ask: async (_: string, headers: Readonly<Record<string, string>> = {}) => {
      const bytes = new TextEncoder().encode(file.text);
      const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? Number.NaN);
      if (Number.isNaN(from)) return answer(bytes, 200);
      return from >= bytes.length ? new Response(null, { status: 416 }) : answer(bytes.slice(from), 206);
    },
  };
  const answer = (bytes: Uint8Array<ArrayBuffer>, status: number) => {
    file.sent += bytes.length;
    return new Response(bytes, { status });
  };
  return file;
}

it('gives whole lines, and asks only for what came since', async () => {
  const file = served();
  const log = new GrowingLog('log', file.ask);
  expect(await log.read()).toBeUndefined();
  file.text = 'one é\ntwo\nthr';
  expect(await log.read()).toBe('one é\ntwo\n');
  file.sent = 0;
  expect(await log.read()).toBeUndefined();
  file.text += 'ee\n';
  expect(await log.read()).toBe('one é\ntwo\nthree\n');
  // The last whole line and what is behind it, twice.
  expect(file.sent).toBe('two\nthr'.length + 'two\nthree\n'.length);
});

it.each([
  ['shorter', 'new\n'],
  ['as long', 'one\ntwo\nTHREE\n'],
  ['longer, from an earlier step on', 'one\nanother two\nanother three\nfour\n'],
])('reads a log anew that was written anew, %s', async (_, text) => {
  const file = served();
  const log = new GrowingLog('log', file.ask);
  file.text = 'one\ntwo\nthree\n';
  await log.read();
  file.text = text;
  expect(await log.read()).toBe(text);
  expect(await log.read()).toBeUndefined();
});
