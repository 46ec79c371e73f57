/**
 * Pictures at URLs, from origins that the operator listed. The address that the connection is made to is checked, not the one
 * that was looked up before it, so that a name cannot change its address in between; redirects are not followed; what comes is
 * bounded in bytes and time. Node's `fetch` is not used: it heeds no agent.
 */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import {
  type RequestFilteringAgentOptions,
  RequestFilteringHttpAgent,
  RequestFilteringHttpsAgent,
} from 'request-filtering-agent';
import { invalidRequest, payloadTooLarge, ServerError } from './error.ts';
import { bytesPerMebibyte, type ResolvedServerOptions } from './options.ts';

/** From the request to the last byte. */
const milliseconds = 5000;

/** @throws ServerError `url_not_allowed` for a URL of an origin that is not listed, and for one with credentials */
export function requireListed(
  url: URL,
  param: string,
  { allowImageOrigin }: Pick<ResolvedServerOptions, 'allowImageOrigin'>,
): void {
  if (url.username === '' && url.password === '' && allowImageOrigin.includes(url.origin)) return;
  throw invalidRequest('url_not_allowed', `${url.origin} is no origin that this server fetches pictures from`, param);
}

/**
 * @param url of which `requireListed` was sure.
 * @param signal ends the fetch, which then rejects with its reason.
 * @throws ServerError `url_not_allowed` for a private address behind a name, 413, 422 where the host says that it will not give
 *   the picture, 502 and 504 where another time it may.
 */
export async function fetchPicture(
  url: URL,
  param: string,
  { maxFile }: Pick<ResolvedServerOptions, 'maxFile'>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  // An address that was listed as such is meant; behind a name only public ones are.
  const filter: RequestFilteringAgentOptions = net.isIP(host) === 0 ? {} : { allowIPAddressList: [host] };
  const agent =
    url.protocol === 'https:' ? new RequestFilteringHttpsAgent(filter) : new RequestFilteringHttpAgent(filter);
  const timeout = AbortSignal.timeout(milliseconds);
  const open = url.protocol === 'https:' ? https.get : http.get;
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const options = { agent, signal: AbortSignal.any([signal, timeout]), headers: { accept: 'image/*' } };
      const request = open(url, options, (response) => {
        const problem = problemOf(response.statusCode ?? 0, param);
        if (problem) {
          request.destroy(problem);
          return;
        }
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > maxFile * bytesPerMebibyte) {
            request.destroy(payloadTooLarge(`a picture may have ${maxFile} MiB`, param));
          } else chunks.push(chunk);
        });
        response.on('end', () => resolve(Buffer.concat(chunks)));
        response.on('error', reject);
      });
      request.on('error', reject);
    });
  } catch (cause) {
    if (cause instanceof ServerError) throw cause;
    signal.throwIfAborted();
    throw failureOf(cause as NodeJS.ErrnoException, timeout.aborted, param);
  } finally {
    agent.destroy();
  }
}

/** What a status other than 200 means for the request that asked; a redirect is one, since it leads elsewhere. */
function problemOf(status: number, param: string): ServerError | undefined {
  if (status === 200) return undefined;
  const message = `the host of the picture answered ${status}`;
  if (status >= 500) return new ServerError(502, 'server_error', 'image_fetch_failed', message, { param });
  return new ServerError(422, 'invalid_request_error', 'image_fetch_failed', message, { param });
}

function failureOf(cause: NodeJS.ErrnoException, timedOut: boolean, param: string): ServerError {
  if (timedOut) {
    const message = `the picture did not come within ${milliseconds / 1000} s`;
    return new ServerError(504, 'timeout_error', 'image_fetch_failed', message, { param, cause });
  }
  if (/is not allowed/.test(cause.message)) {
    const message = 'the host of the picture has a private address';
    return new ServerError(400, 'invalid_request_error', 'url_not_allowed', message, { param, cause });
  }
  const message = 'the host of the picture cannot be reached';
  return new ServerError(502, 'server_error', 'image_fetch_failed', message, { param, cause });
}
