/** How a command fails: one line or one JSON object, and an exit code. */
import { StarError } from '../errors.ts';
import { AbortedError } from '../tasks/error.ts';
import { printJson } from './output.ts';
import { printable } from './printable.ts';

export const exitCodes = {
  success: 0,
  failure: 1,
  /** The command line itself is at fault. */
  usage: 2,
  /** Stopped by Ctrl-C: 128 and the signal's number, as shells have it. */
  interrupted: 130,
} as const;

/** A command line that cannot be carried out as it is. */
export class UsageError extends StarError {}

/** Codes of the library's errors that a different option would have avoided. */
const optionCodes: ReadonlySet<string> = new Set(['option_invalid', 'mask_invalid', 'runtime_option_invalid']);

export interface ReportOptions {
  readonly json: boolean;
  /** Also print the stack and the causes. */
  readonly debug: boolean;
}

/**
 * Tells of an error: `starstack generate: …` on standard error, or `{error: {code, message}}` on standard output.
 * @param name the command as the user typed it, `starstack generate`
 * @returns the exit code
 */
export function reportFailure(name: string, error: unknown, { json, debug }: ReportOptions): number {
  const code = StarError.isInstance(error) ? error.code : 'internal';
  const message = messageOf(name, error);
  if (json) printJson({ error: { code, message } });
  else process.stderr.write(`${name}: ${printable(message, process.stderr)}\n`);
  if (debug) console.error(error);
  if (error instanceof AbortedError) return exitCodes.interrupted;
  return error instanceof UsageError || optionCodes.has(code) ? exitCodes.usage : exitCodes.failure;
}

function messageOf(name: string, error: unknown): string {
  if (!StarError.isInstance(error)) {
    const text = error instanceof Error ? error.message : String(error);
    return `internal error: ${oneLine(text)}; this is a fault of Starstack, --debug shows where`;
  }
  const task = `${name.split(' ').at(-1)}: `;
  const text = oneLine(error.message);
  const bare = text.startsWith(task) ? text.slice(task.length) : text;
  const { option } = error.details;
  // The library says `option topP`, the command line `--top-p`.
  return typeof option === 'string' ? bare.replace(`option ${option}`, `option ${flagOf(option)}`) : bare;
}

function flagOf(option: string): string {
  return `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ');
}
