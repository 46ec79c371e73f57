/** The studio: the pages of `dist/web`. They are public; what they ask of the model needs the key as ever. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { ServerError } from './error.ts';
import { studioHeaders } from './studio-headers.ts';

/** Routes of the studio; they answer without the key. */
export const studioRoutes: ReadonlySet<string> = new Set(['/', '/favicon.svg', '/assets/*']);

/** The same seen from src/server and from dist/server. */
const packagedStudio = fileURLToPath(new URL('../../dist/web', import.meta.url));

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
      for (const [name, value] of Object.entries(studioHeaders)) reply.setHeader(name, value);
    },
  });
  for (const [route, file] of [
    ['/', 'index.html'],
    ['/favicon.svg', 'favicon.svg'],
  ] as const) {
    app.get(route, (_, reply) =>
      reply.headers(studioHeaders).sendFile(file, folder, { maxAge: 0, immutable: false, cacheControl: true }),
    );
  }
}
