/**
 * A browser that nothing drives: it is started with the address of a page that asks for scenarios, one after another, and sends
 * what comes of them. So every browser can be tried that can be given an address.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { isolationHeaders } from '../../src/server/studio-headers.ts';
import type { Platform, Run } from './platforms.ts';
import { serveFolder } from './static-server.ts';

/** What a page is to run. */
export interface Order {
  readonly number: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

/** What it says when it has. */
export interface Outcome {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A browser's program and its arguments before the address. `profile` is an empty folder of its own. */
export type BrowserCommand = (
  profile: string,
) => Promise<readonly [string, ...string[]]> | readonly [string, ...string[]];

export interface AskingPageOptions {
  /** Folder of a site whose first page asks. */
  readonly site: string;
  readonly command: BrowserCommand;
}

/** A page that asks, and what it is given to do. */
export interface AskingPage extends AsyncDisposable {
  readonly place: (name: string, args: readonly unknown[]) => Promise<unknown>;
}

/** As a platform of the contract. */
export async function askingPlatform(options: AskingPageOptions): Promise<Platform> {
  const page = await askingPage(options);
  return {
    run: ((name, ...args) => page.place(name, args)) as Run,
    [Symbol.asyncDispose]: () => page[Symbol.asyncDispose](),
  };
}

export async function askingPage({ site, command }: AskingPageOptions): Promise<AskingPage> {
  const orders = new OrderDesk();
  const server = await serveFolder(site, isolationHeaders, (request, response) => orders.serve(request, response));
  const profile = await mkdtemp(path.join(tmpdir(), 'starstack-browser-'));
  const [program, ...args] = await command(profile);
  // A group of its own: browsers are several processes.
  const browser = spawn(program, [...args, `${server.url}?asks`], { detached: true, stdio: 'ignore' });
  browser.once('error', (error) => orders.fail(error));
  browser.once('exit', (code) => orders.fail(new Error(`${program} ended with ${code}`)));
  return {
    place: (name, args) => orders.place(name, args),
    async [Symbol.asyncDispose]() {
      if (browser.pid !== undefined && browser.exitCode === null) {
        const ended = new Promise((resolve) => browser.once('exit', resolve));
        process.kill(-browser.pid, 'SIGTERM');
        await ended;
      }
      await server[Symbol.asyncDispose]();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Orders wait here for the page, and what placed them for their outcomes. */
class OrderDesk {
  readonly #waiting: Order[] = [];
  readonly #placed = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  #asked: ServerResponse | undefined;
  #failure: Error | undefined;
  #count = 0;

  place(name: string, args: readonly unknown[]): Promise<never> {
    if (this.#failure) return Promise.reject(this.#failure);
    const number = this.#count++;
    this.#waiting.push({ number, name, args });
    this.#answer();
    return new Promise((resolve, reject) => this.#placed.set(number, { resolve, reject }));
  }

  fail(error: Error): void {
    this.#failure = error;
    for (const { reject } of this.#placed.values()) reject(error);
    this.#placed.clear();
  }

  /** @returns whether the request was the page's asking or telling */
  serve(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.url === '/order') {
      this.#asked = response;
      this.#answer();
      return true;
    }
    if (request.url !== '/outcome') return false;
    void json(request).then((told) => {
      const { number, value, error } = told as Outcome;
      const placed = this.#placed.get(number);
      this.#placed.delete(number);
      if (error === undefined) placed?.resolve(value as never);
      else placed?.reject(new Error(error));
      response.writeHead(204).end();
    });
    return true;
  }

  /** Gives the next order to a page that asks for one. */
  #answer(): void {
    const order = this.#asked && this.#waiting.shift();
    if (!order) return;
    this.#asked!.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(order));
    this.#asked = undefined;
  }
}

/** Without a window, and without the pages of a first start. */
export function firefoxCommand(program: string): BrowserCommand {
  return async (profile) => {
    const settings = {
      'browser.aboutwelcome.enabled': false,
      'browser.shell.checkDefaultBrowser': false,
      'datareporting.policy.dataSubmissionEnabled': false,
    };
    const lines = Object.entries(settings).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${value});`);
    await writeFile(path.join(profile, 'user.js'), lines.join('\n'));
    return [program, '--headless', '--no-remote', '--profile', profile];
  };
}

/** @param display `xvfb-run`, since it has no way to run without a window */
export function miniBrowserCommand(program: string, display: string): BrowserCommand {
  return () => [display, '--auto-servernum', program, '--private'];
}
