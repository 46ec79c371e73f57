/**
 * `starstack verify`: runs every known file of a folder's `expected/` against the checkpoint beside it. The files hold what
 * the published code computed with the same weights; `test/reference/README.md` describes them.
 */

import type { DeviceChoice } from '../../runtime/device.ts';
import type { RuntimeOptions } from '../../runtime/runtime.ts';
import { StarModel } from '../../tasks/star-model.ts';
import type { Check, CheckContext } from './check.ts';
import { baseChecks } from './checks-base.ts';
import { diffusionChecks } from './checks-diffusion.ts';
import { lossChecks } from './checks-losses.ts';
import { pictureChecks } from './checks-pictures.ts';
import { ExpectedFile, openExpectations } from './expected.ts';
import { ReferenceMeta } from './reference-meta.ts';
import { RowSheet, reasonOf, type VerifyRow } from './rows.ts';

const checks: ReadonlyMap<string, Check> = new Map(
  Object.entries({ ...baseChecks, ...pictureChecks, ...lossChecks, ...diffusionChecks }),
);

export interface VerifySummary {
  readonly passed: number;
  readonly failed: number;
  readonly notSupported: number;
  readonly device: DeviceChoice;
  readonly threads: number;
}

/**
 * Gives the rows of one file after the other. A file that cannot be checked gives a failed row with the reason; the others
 * go on.
 * @param folder a model folder with `expected/` in it.
 * @throws VerifyError (`expected_missing`) when there is nothing to compare with; and whatever opening the model throws.
 */
export async function* verify(
  folder: string,
  options: RuntimeOptions = {},
): AsyncGenerator<VerifyRow, VerifySummary, void> {
  const expectations = await openExpectations(folder);
  await using model = await StarModel.open(folder, { ...options, trace: true });
  const meta = await ReferenceMeta.read(expectations.folder);
  const context: CheckContext = { model, meta, folder: expectations.folder };
  const counts = { pass: 0, fail: 0, 'not supported': 0 };
  const unknown = expectations.others.map((file): VerifyRow => notSupported(file));
  for (const file of expectations.files) {
    for (const row of await checkFile(context, file)) {
      counts[row.status]++;
      yield row;
    }
  }
  counts['not supported'] += unknown.length;
  yield* unknown;
  const { device, threads } = model.runtime;
  return { passed: counts.pass, failed: counts.fail, notSupported: counts['not supported'], device, threads };
}

async function checkFile(context: CheckContext, name: string): Promise<readonly VerifyRow[]> {
  const check = checks.get(name);
  if (!check) return [notSupported(name)];
  let file: ExpectedFile;
  try {
    file = await ExpectedFile.read(context.folder, name);
  } catch (error) {
    return [{ file: name, what: 'the file', status: 'fail', note: reasonOf(error) }];
  }
  const sheet = new RowSheet(file);
  await sheet.part('the check', () => check(context, file, sheet));
  sheet.close();
  return sheet.rows;
}

function notSupported(file: string): VerifyRow {
  return { file, what: 'all of it', status: 'not supported', note: 'no check for this file' };
}
