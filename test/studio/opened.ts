/** The studio as users of a server have it: built, and served beside the packaged model. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll } from 'vitest';
import type { ServerOptions } from '../../src/server/options.ts';
import { StarServer } from '../../src/server/server.ts';
import { Star } from '../../src/tasks/star.ts';
import { type Pages, startPages, web } from './pages.ts';

export interface Opened {
  readonly star: Star;
  /** A server of its own for a test, with the same model; it is closed at the end of the file. */
  serve(options?: ServerOptions): Promise<StarServer>;
  /** A page of a fresh browser profile. */
  open(server: StarServer, settings?: Parameters<Browser['newContext']>[0]): Promise<Page>;
  /** Everything that pages complained of so far. */
  readonly faults: readonly string[];
}

/** Builds the studio and starts the browser, once for the tests of a file. */
export function openStudio(): Opened {
  const state = { folder: '', pages: undefined as unknown as Pages, star: undefined as unknown as Star };
  const servers: StarServer[] = [];
  beforeAll(async () => {
    state.folder = await mkdtemp(path.join(tmpdir(), 'starstack-studio-'));
    await build({ root: web, build: { outDir: state.folder, emptyOutDir: true } });
    state.pages = await startPages();
    state.star = await Star.load('nano', { device: 'cpu', threads: 1 });
  }, 240_000);
  afterAll(async () => {
    await state.pages?.[Symbol.asyncDispose]();
    // The servers share a model, which the first one to be closed frees.
    for (const server of servers) await server[Symbol.asyncDispose]();
    await rm(state.folder, { recursive: true, force: true });
  }, 60_000);
  return {
    get star() {
      return state.star;
    },
    get faults() {
      return state.pages.faults;
    },
    serve: async (options) => {
      const server = await StarServer.listen({ port: 0, studio: state.folder, ...options }, async () => state.star);
      servers.push(server);
      await server.ready;
      return server;
    },
    open: ({ url }, settings) => state.pages.open(url, settings),
  };
}
