/** Errors as OpenAI's clients read them: a status and `{error: {message, type, param, code}}`. */
import { StarError } from '../errors.ts';
import { requestFaultOf } from '../tasks/request-fault.ts';

export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'unavailable_error'
  | 'timeout_error'
  | 'server_error';

export interface ServerErrorOptions extends ErrorOptions {
  /** The field at fault. Default none. */
  readonly param?: string | undefined;
  /** Seconds, for the header Retry-After. Default none. */
  readonly retryAfter?: number;
}

/** A request that is answered with an error. */
export class ServerError extends StarError {
  readonly status: number;
  readonly type: ErrorType;
  readonly param: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(status: number, type: ErrorType, code: string, message: string, options: ServerErrorOptions = {}) {
    super(code, message, {}, options);
    this.status = status;
    this.type = type;
    this.param = options.param;
    this.retryAfter = options.retryAfter;
  }

  body(): { error: { message: string; type: string; param: string | null; code: string } } {
    const { message, type, param = null, code } = this;
    return { error: { message, type, param, code } };
  }

  headers(): Record<string, string> {
    return {
      ...(this.retryAfter === undefined ? {} : { 'retry-after': String(this.retryAfter) }),
      // The clients retry each 5xx on their own; the same work would fail in the same way.
      ...(this.status === 500 ? { 'x-should-retry': 'false' } : {}),
    };
  }
}

/** Something in the request is wrong. */
export function invalidRequest(code: string, message: string, param?: string): ServerError {
  return new ServerError(400, 'invalid_request_error', code, message, { param });
}

export function payloadTooLarge(message: string, param?: string): ServerError {
  return new ServerError(413, 'invalid_request_error', 'payload_too_large', message, { param });
}

/** @param retryAfter seconds */
export function queueFull(limit: number, retryAfter: number): ServerError {
  const message = `the server holds ${limit} requests and takes no more; try again later`;
  return new ServerError(429, 'rate_limit_error', 'queue_full', message, { retryAfter });
}

/** The status of a request whose client has gone; nobody reads it but the log. */
export const clientGone = () =>
  new ServerError(499, 'invalid_request_error', 'client_closed_request', 'the client closed the connection');

/** What is answered for anything that was thrown. The words of foreign errors stay inside. */
export function serverErrorOf(error: unknown): ServerError {
  if (error instanceof ServerError) return error;
  const fault = requestFaultOf(error);
  if (fault?.code === 'payload_too_large') return payloadTooLarge(fault.message, fault.param);
  if (fault) {
    const { code, message, param } = fault;
    return new ServerError(400, 'invalid_request_error', code, message, { param, cause: error });
  }
  if (!StarError.isInstance(error)) return foreignError(error);
  const { code, details } = error;
  // The VQ decoder's NaN is found where its picture becomes bytes.
  const notFinite = code === 'non_finite_output' || (code === 'image_invalid' && typeof details.value === 'number');
  if (notFinite) {
    const text = 'the model gave no finite numbers; its weights are damaged, or an option is too extreme for them';
    return new ServerError(500, 'server_error', 'non_finite_output', text, { cause: error });
  }
  return internalError(error);
}

/** Errors of Fastify carry a status of their own. */
function foreignError(error: unknown): ServerError {
  const { statusCode, code } = error as { statusCode?: unknown; code?: unknown };
  // Of a file; without a code.
  if (statusCode === 416) {
    return new ServerError(416, 'invalid_request_error', 'range_not_satisfiable', 'the file has no such bytes');
  }
  if (typeof code !== 'string' || typeof statusCode !== 'number' || statusCode >= 500) return internalError(error);
  if (statusCode === 413) {
    return payloadTooLarge('the body, a file in it, or the number of its parts is over the limit');
  }
  if (statusCode === 415) {
    const words = 'expected content-type application/json, or multipart/form-data where files are sent';
    return new ServerError(415, 'invalid_request_error', 'unsupported_media_type', words);
  }
  if (code.includes('JSON')) return invalidRequest('invalid_json', 'the body is not valid JSON');
  return invalidRequest('invalid_request', 'the request cannot be read');
}

function internalError(cause: unknown): ServerError {
  const message = 'something failed inside the server; its log says what';
  return new ServerError(500, 'server_error', 'internal_error', message, { cause });
}
