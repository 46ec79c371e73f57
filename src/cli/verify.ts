/** `starstack verify DIR` */
import { Command } from 'commander';
import type { VerifyRow } from '../evaluation/verify/rows.ts';
import { verify } from '../evaluation/verify/verify.ts';
import { exitCodes } from './failure.ts';
import { addRuntimeOptions, type CommonValues } from './options.ts';
import { formatTable, printJson } from './output.ts';
import { printable } from './printable.ts';

export function verifyCommand(): Command {
  const command = new Command('verify')
    .summary("compare a folder's checkpoint with what the published code computed")
    .description(
      'Runs every file of DIR/expected/ that it knows against the checkpoint in DIR and prints a row for each comparison. ' +
        'Exit code 1 if any row fails.',
    )
    .argument('<dir>', 'a model folder with expected/');
  return addRuntimeOptions(command).action(run);
}

async function run(dir: string, values: CommonValues): Promise<void> {
  const rows: VerifyRow[] = [];
  for await (const row of verify(dir, { device: values.device, threads: values.threads })) rows.push(row);
  const failed = rows.filter((row) => row.status === 'fail').length;
  const counts = {
    passed: rows.filter((row) => row.status === 'pass').length,
    failed,
    notSupported: rows.filter((row) => row.status === 'not supported').length,
  };
  if (values.json) printJson({ ...counts, rows });
  else {
    const lines = rows.map(({ status, file, what, ...row }) => [status, file, what, measured(row), row.note ?? '']);
    const summary = `${counts.passed} rows pass, ${failed} fail, ${counts.notSupported} files not supported yet\n`;
    process.stdout.write(printable(formatTable(lines) + summary, process.stdout));
  }
  if (failed > 0) process.exitCode = exitCodes.failure;
}

function measured({ error, tolerance, measure }: Pick<VerifyRow, 'error' | 'tolerance' | 'measure'>): string {
  if (error === undefined || tolerance === undefined) return '';
  return `${error.toExponential(1)} of ${tolerance.toExponential(0)} ${measure}`;
}
