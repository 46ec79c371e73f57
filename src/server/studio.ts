/** The studio: the pages of `dist/web`. They are public; what they ask of the model needs the key as ever. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { ServerError } from './error.ts';

/** Routes of the studio; they answer without the key. */
export const studioRoutes: ReadonlySet<string> = new Set(['/', '/favicon.svg', '/assets/*']);

/** The same seen from src/server and from dist/server. */
const packagedStudio = fileURLToPath(new URL('../../dist/web', import.meta.url));

/**
 * Nothing from elsewhere, no inline script or style. WebAssembly may be compiled, and with the two `cross-origin` headers a
 * page may share memory between threads: for models that run in the browser.
 */
const headers: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self' blob:",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "connect-src 'self' blob: data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/** @param studio true for the package's build, or the folder of another one */
export function addStudio(app: FastifyInstance, studio: true | string): void {
  const folder = studio === true ? packagedStudio : path.resolve(studio);
  if (!existsSync(path.join(folder, 'index.html'))) {
    app.get('/', () => {
      throw new ServerError(
        404,
        'not_found_error',
        'studio_missing',
        'the studio is not built: expected dist/web/index.html; run npm run build, or serve with --no-studio',
      );
    });
    return;
  }
  void app.register(fastifyStatic, {
    root: path.join(folder, 'assets'),
    prefix: '/assets/',
    // Names of assets hold a hash of what is in them.
    immutable: true,
    maxAge: '365d',
    setHeaders: (reply) => {
      for (const [name, value] of Object.entries(headers)) reply.setHeader(name, value);
    },
  });
  for (const [route, file] of [
    ['/', 'index.html'],
    ['/favicon.svg', 'favicon.svg'],
  ] as const) {
    app.get(route, (_, reply) =>
      reply.headers(headers).sendFile(file, folder, { maxAge: 0, immutable: false, cacheControl: true }),
    );
  }
}
