/** Faults of configuration files, each told in one line: file, place in it, expected, got. */
import type { z } from 'zod';
import { StarError } from '../errors.ts';

export type ConfigErrorCode = 'config_not_found' | 'config_unreadable' | 'config_invalid' | 'config_unsupported';

export interface ConfigFault {
  /** Where in the file, for instance `text_config.hidden_size`; empty for the file as a whole. */
  readonly path?: string;
  readonly expected: string;
  readonly got: string;
  /** `config_invalid` unless given. */
  readonly code?: ConfigErrorCode;
  readonly cause?: unknown;
}

/** A configuration file or a part of a model folder that is missing, broken, contradictory or not supported. */
export class ConfigError extends StarError {
  declare readonly code: ConfigErrorCode;
  /** The file or folder as it was named by the caller. */
  readonly file: string;
  readonly path: string;

  constructor(file: string, fault: ConfigFault) {
    const { path = '', expected, got, code = 'config_invalid', cause } = fault;
    const place = path === '' ? file : `${file}, ${path}`;
    super(
      code,
      `${place}: expected ${expected}, got ${got}`,
      { file, path, expected, got },
      cause === undefined ? undefined : { cause },
    );
    this.file = file;
    this.path = path;
  }
}

/** Throws a `ConfigError` with the fault unless `condition` holds. */
export function requireConfig(condition: boolean, file: string, fault: ConfigFault): asserts condition {
  if (!condition) throw new ConfigError(file, fault);
}

/**
 * Checks `value` with a schema; the first fault becomes one line of file, path, expected and got.
 * @param file only for the message.
 */
export function parseConfig<Schema extends z.ZodType>(schema: Schema, value: unknown, file: string): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = innermost(result.error.issues[0] as unknown as Issue, value);
  const got = valueAt(value, issue.path);
  throw new ConfigError(file, {
    path: formatPath(issue.path),
    expected: expectation(issue),
    got: got === undefined ? 'nothing' : abbreviate(got),
    cause: result.error,
  });
}

interface Issue {
  readonly code?: string;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly [key: string]: unknown;
}

/** Of a failed union, the branch whose fault lies deepest: the one the author of the file most likely meant. */
function innermost(issue: Issue, value: unknown): Issue {
  if (issue.code !== 'invalid_union' || !Array.isArray(issue.errors)) return issue;
  const branches = (issue.errors as Issue[][])
    .map((issues) => issues[0])
    .filter((branch): branch is Issue => branch !== undefined)
    .map((branch) => innermost({ ...branch, path: [...issue.path, ...branch.path] }, value));
  const deepest = Math.max(...branches.map((branch) => branch.path.length));
  const candidates = branches.filter((branch) => branch.path.length === deepest);
  if (candidates.length === 1) return candidates[0]!;
  return { ...candidates[0]!, code: 'custom', message: candidates.map(expectation).join(' or ') };
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `${issue.expected === 'int' ? 'a whole number' : issue.expected}`;
    case 'invalid_value':
      return (issue.values as unknown[]).map(abbreviate).join(' or ');
    case 'too_small':
      return `${sizeOf(issue)} ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`.trim();
    case 'too_big':
      return `${sizeOf(issue)} ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`.trim();
    default:
      return issue.message;
  }
}

function sizeOf(issue: Issue): string {
  return issue.origin === 'array' || issue.origin === 'string' ? `a length of` : '';
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`),
    '',
  );
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return undefined;
    current = (current as Record<PropertyKey, unknown>)[key];
  }
  return current;
}

/** A value of a file, shortened so that it can stand in a message. */
export function abbreviate(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
