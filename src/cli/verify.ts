/** `starstack verify DIR` */

import { Command } from 'commander';
import type { VerifyRow } from '../evaluation/verify/rows.ts';
import { type VerifySummary, verify } from '../evaluation/verify/verify.ts';
import { follow } from '../tasks/task.ts';
import { exitCodes } from './failure.ts';
import { addRuntimeOptions, type CommonValues } from './options.ts';
import { printJson } from './output.ts';
import { printable } from './printable.ts';

export function verifyCommand(): Command {
  const command = new Command('verify')
    .summary('compare a model with reference vectors')
    .description(
      'Runs the reference vectors in DIR/expected against the checkpoint in DIR: a row for each comparison. ' +
        'Exit code 1 when a row fails.',
    )
    .argument('<dir>', 'a model folder with a folder expected in it');
  return addRuntimeOptions(command).action(verifyFolder);
}

async function verifyFolder(dir: string, values: CommonValues): Promise<void> {
  const events = verify(dir, { device: values.device, threads: values.threads });
  const rows: VerifyRow[] = [];
  const summary = await follow(events, (row) => {
    rows.push(row);
    if (!values.json) process.stdout.write(printable(formatRow(row), process.stdout));
  });
  // A folder in which nothing could be compared has not been verified.
  const verified = summary.failed === 0 && summary.passed > 0;
  if (!verified) process.exitCode = exitCodes.failure;
  if (values.json) printJson({ verified, ...summary, rows });
  else process.stdout.write(`\n${formatSummary(summary)}\n`);
}

/** Rows come one by one: columns have fixed widths, and longer cells push the rest to the right. */
function formatRow({ status, file, what, error, tolerance, measure, note }: VerifyRow): string {
  const cells = [status.padEnd(13), file.padEnd(22), what.padEnd(36)];
  if (tolerance !== undefined) {
    const size = error === undefined ? '-' : error.toExponential(2);
    cells.push(`${measure} error ${size}, at most ${tolerance.toExponential(0)}`);
  }
  if (note !== undefined) cells.push(note.replaceAll('\n', ' '));
  return `${cells.join('  ').trimEnd()}\n`;
}

function formatSummary({ passed, failed, notSupported, device, threads }: VerifySummary): string {
  const counts = `${passed} passed, ${failed} failed, ${notSupported} not supported`;
  const nothing = passed + failed === 0 ? '; nothing could be compared' : '';
  return `${counts}${nothing}; on ${device.chosen} with ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}
