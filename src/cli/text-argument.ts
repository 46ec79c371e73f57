/** Texts on the command line: as an argument, or `-` for standard input. */
import { UsageError } from './failure.ts';

/**
 * ONNX Runtime 1.30 reads `/proc/self/cmdline` when it starts and matches it with a recursive regular expression: with
 * some 20,000 bytes the stack of the runtime's thread overflows and the process dies without a word.
 */
const maxBytes = 8192;

/** Refuses a command line that the process would not survive. */
export function requireShortCommandLine(words: readonly string[]): void {
  const bytes = words.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0);
  if (bytes <= maxBytes) return;
  throw new UsageError(
    'command_line_too_long',
    `the command line has ${bytes} bytes, expected at most ${maxBytes}; give a long text on standard input and - in its place`,
    { bytes, maxBytes },
  );
}

/** More than any model's context. */
const maxInputBytes = 4 * 2 ** 20;

/** The text that an argument stands for. Standard input loses its last line end. */
export async function readTextArgument(word: string): Promise<string> {
  if (word !== '-') return word;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxInputBytes) {
      throw new UsageError('input_too_long', `expected at most ${maxInputBytes} bytes on standard input, got more`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
