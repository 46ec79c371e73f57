/** What commands print. Standard output is for results alone; all else goes to standard error. */
import type { TaskWarning } from '../tasks/events.ts';
import { printable } from './printable.ts';

/** Prints one JSON object on one line. */
export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Prints warnings to standard error, a line each. */
export function printWarnings(command: string, warnings: readonly TaskWarning[]): void {
  for (const { message } of warnings)
    process.stderr.write(`starstack ${command}: warning: ${printable(message, process.stderr)}\n`);
}

/** Bytes in words: `512 B`, `1.5 KiB`, `2.25 GiB`; three digits. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 1000 ? Math.round(value) : value.toPrecision(3)} ${units[power]}`;
}

/** A whole number with thousands set apart by commas. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}
