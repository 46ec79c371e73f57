import type { TensorEntry } from './entry.ts';
import { CheckpointError, quote } from './error.ts';

/** What a model expects of one tensor. */
export interface ExpectedTensor {
  readonly shape: readonly number[];
}

export interface MatchOptions {
  /** Where the tensors come from, for the message. Default: the file of the first entry. */
  readonly file?: string;
  /**
   * The model's name for a tensor of the checkpoint; undefined if the model has no place for it, which makes it an
   * unexpected tensor. Default: the same name.
   */
  readonly rename?: (name: string) => string | undefined;
  /** True for tensors of the checkpoint that the model knowingly does without, by the checkpoint's name. */
  readonly ignore?: (name: string) => boolean;
}

/** How many names of each kind stand in the message and the details; the counts are complete. */
const listed = 20;

/**
 * Finds the entry of every tensor that a model expects.
 *
 * Nothing is optional: a missing tensor, one without a place and one of another shape are all errors, told at once.
 *
 * @returns the entries under the model's names, in the model's order.
 * @throws CheckpointError `checkpoint_mismatch`, whose details hold `missing`, `unexpected`, `wrongShape` and counts.
 */
export function matchEntries<Name extends string>(
  expected: Readonly<Record<Name, ExpectedTensor>>,
  entries: ReadonlyMap<string, TensorEntry>,
  options: MatchOptions = {},
): ReadonlyMap<Name, TensorEntry> {
  const { rename = (name: string) => name, ignore = () => false } = options;
  const found = new Map<string, TensorEntry>();
  const unexpected: string[] = [];
  const wrongShape: string[] = [];
  const ambiguous: string[] = [];
  for (const [name, entry] of entries) {
    if (ignore(name)) continue;
    const target = rename(name);
    if (target === undefined || !Object.hasOwn(expected, target)) {
      unexpected.push(name);
      continue;
    }
    const before = found.get(target);
    if (before) ambiguous.push(`${name} and ${before.name}, both ${target}`);
    found.set(target, entry);
    const { shape } = expected[target as Name];
    if (shape.length !== entry.shape.length || shape.some((size, axis) => size !== entry.shape[axis])) {
      wrongShape.push(`${name}: expected [${shape}], got [${entry.shape}]`);
    }
  }
  const names = Object.keys(expected) as Name[];
  const missing = names.filter((name) => !found.has(name));
  const problems = { missing, unexpected, wrongShape, ambiguous };
  if (Object.values(problems).some((list) => list.length > 0)) {
    throw mismatch(problems, options.file ?? entries.values().next().value?.file ?? '(empty checkpoint)');
  }
  return new Map(names.map((name) => [name, found.get(name)!]));
}

function mismatch(problems: Readonly<Record<string, readonly string[]>>, file: string): CheckpointError {
  const words: Readonly<Record<string, string>> = {
    missing: 'missing',
    unexpected: 'unexpected',
    wrongShape: 'of another shape',
    ambiguous: 'with the same meaning',
  };
  const lines: string[] = [];
  const details: Record<string, unknown> = {};
  for (const [kind, names] of Object.entries(problems)) {
    details[kind] = names.slice(0, listed);
    details[`${kind}Count`] = names.length;
    if (names.length === 0) continue;
    const rest = names.length > listed ? `, and ${names.length - listed} more` : '';
    lines.push(`${names.length} ${words[kind]}: ${names.slice(0, listed).map(quote).join(', ')}${rest}`);
  }
  return new CheckpointError(`the tensors are not the model's. ${lines.join('; ')}`, {
    file,
    code: 'checkpoint_mismatch',
    details,
  });
}
