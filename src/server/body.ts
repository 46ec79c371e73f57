/** Bodies against their schemas. */
import type { z } from 'zod';
import { invalidRequest, ServerError } from './error.ts';

/**
 * Checks a body. Null counts as absent, as in OpenAI's API.
 * @throws ServerError 400 that names the field: `unknown_parameter`, `missing_required_parameter` or `invalid_value`
 */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalidRequest('invalid_request', 'expected a JSON object as body, with content-type application/json');
  }
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw faultOf(deepest(result.error.issues[0]!), given);
}

/** In a union, the complaint of the branch that came furthest says most. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors.flat().map(deepest);
  const [best] = inner.sort((a, b) => b.path.length - a.path.length);
  return best === undefined ? issue : { ...best, path: [...issue.path, ...best.path] };
}

function faultOf(issue: z.core.$ZodIssue, body: object): ServerError {
  if (issue.code === 'unrecognized_keys') {
    const param = [...issue.path, issue.keys[0]!].join('.');
    return invalidRequest('unknown_parameter', `${param}: this server does not know or support it`, param);
  }
  const param = issue.path.join('.');
  const value = issue.path.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown>)?.[key], body);
  if (value === undefined) return invalidRequest('missing_required_parameter', `${param}: missing`, param);
  const text = JSON.stringify(value) ?? String(value);
  // A picture's base64 is no help in a message.
  const got = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return invalidRequest('invalid_value', `${param}: ${issue.message}, got ${got}`, param);
}

/** @throws ServerError `model_not_found` for another model than the one that is served */
export function requireModel(asked: string | undefined, served: string): void {
  if (asked === undefined || asked === served) return;
  const message = `the model ${JSON.stringify(asked.slice(0, 100))} is not served here; it is ${served}`;
  throw new ServerError(404, 'not_found_error', 'model_not_found', message, { param: 'model' });
}
