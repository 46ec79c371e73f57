/** Who may ask: names in the Host header, web pages by their Origin, and the API key. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ServerError } from './error.ts';
import { isLoopback, type ResolvedServerOptions } from './options.ts';
import { studioRoutes } from './studio.ts';

/** Routes that answer without the key. */
export const publicRoutes: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

/**
 * Refuses requests that may not be answered; gives the rights of a web page's origin to those that may.
 *
 * On loopback the Host header must be a name of this computer: a stranger's name that resolves to 127.0.0.1 would let his
 * pages read answers (DNS rebinding). The Origin of a page must be the server's own, a listed one, or on loopback any of
 * this computer, since a page may send requests that it cannot read the answers of.
 */
export function checkAccess(options: ResolvedServerOptions, request: FastifyRequest, reply: FastifyReply): void {
  const local = isLoopback(options.host);
  const host = hostnameOf(`http://${request.headers.host ?? ''}`);
  const listed = options.allowHost.length > 0;
  const known = host !== undefined && (options.allowHost.includes(host) || (local && isLoopback(host)));
  if ((local || listed) && !known) {
    throw forbidden('host_not_allowed', 'the Host header names a host that is not answered; see --allow-host');
  }
  checkOrigin(options, request, reply, local);
}

function checkOrigin(
  { allowOrigin }: ResolvedServerOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  local: boolean,
): void {
  const { origin } = request.headers;
  if (origin === undefined || origin === `http://${request.headers.host}`) return;
  const host = hostnameOf(origin);
  if (!allowOrigin.includes(origin) && !(local && host !== undefined && isLoopback(host))) {
    throw forbidden('origin_not_allowed', 'pages of this origin may not ask; see --allow-origin');
  }
  reply.headers({
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'x-request-id, retry-after, x-queue-position, x-should-retry',
    vary: 'origin',
  });
}

/** Answers what browsers ask before a request to another origin; its access was checked. */
export function preflight(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({
    'access-control-allow-methods': 'GET, POST',
    // The clients send a dozen of their own (`x-stainless-*`): what is asked for is allowed.
    'access-control-allow-headers': request.headers['access-control-request-headers'] ?? 'authorization, content-type',
    'access-control-max-age': '600',
  });
  void reply.code(204).send();
}

/** Refuses requests without the key. */
export function checkKey({ apiKey }: ResolvedServerOptions, request: FastifyRequest): void {
  const route = request.routeOptions.url ?? '';
  if (apiKey === undefined || publicRoutes.has(route) || studioRoutes.has(route)) return;
  const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (given !== undefined && timingSafeEqual(digest(given), digest(apiKey))) return;
  const what = given === undefined ? 'no API key was sent' : 'the API key is not the right one';
  throw new ServerError(401, 'authentication_error', 'invalid_api_key', `${what}; expected Authorization: Bearer KEY`);
}

function forbidden(code: string, message: string): ServerError {
  return new ServerError(403, 'permission_error', code, message);
}

/** Name without port and brackets, or undefined for what is no URL. */
function hostnameOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : undefined;
}

/** Equal lengths, so that a comparison tells nothing of the key's. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
