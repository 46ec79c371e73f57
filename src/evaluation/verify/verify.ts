/**
 * `starstack verify`: runs every known file of a folder's `expected/` against the checkpoint beside it. The files hold what
 * the published code computed with the same weights (see the README of the reference vectors).
 */

import type { RuntimeOptions } from '../../runtime/runtime.ts';
import { StarModel } from '../../tasks/star-model.ts';
import type { Check } from './check.ts';
import { sampling, text, understand, vision } from './checks-base.ts';
import { pictureChecks } from './checks-pictures.ts';
import { expectedNames, openExpectations, readExpected } from './expected.ts';
import { RowSheet, type VerifyRow } from './rows.ts';

const checks: Readonly<Record<string, Check>> = { text, vision, understand, sampling, ...pictureChecks };

/** Gives rows as they are made. A file that cannot be checked gives a failed row with the reason; the others go on. */
export async function* verify(folder: string, options: RuntimeOptions = {}): AsyncGenerator<VerifyRow, void, void> {
  const expectations = await openExpectations(folder);
  await using model = await StarModel.open(folder, { ...options, trace: true });
  for (const file of expectations.files) {
    const check = Object.hasOwn(checks, file) ? checks[file] : undefined;
    if (!check) {
      yield { file, what: 'all of it', status: 'not supported', note: 'no check for this file yet' };
      continue;
    }
    const sheet = new RowSheet(file);
    try {
      const expected = await readExpected(expectations.folder, file);
      const names = await expectedNames(expectations.folder, file);
      await check({ model, meta: expectations.meta, folder: expectations.folder, names }, expected, sheet);
    } catch (error) {
      sheet.fail('stopped', error instanceof Error ? error.message : String(error));
    }
    yield* sheet.rows;
  }
}
