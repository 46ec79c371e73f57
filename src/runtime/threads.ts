import { RuntimeError } from './error.ts';

/** ONNX Runtime makes every thread it is asked for, in every session, until the machine has no more. */
const maximumThreads = 1024;

/** The number of threads, if it can be one. Throws `RuntimeError` for anything but a whole number from 1 to 1024. */
export function checkThreads(threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= maximumThreads) return threads;
  throw new RuntimeError(
    'runtime_option_invalid',
    `threads must be a whole number from 1 to ${maximumThreads}, got ${threads}`,
    { threads },
  );
}
