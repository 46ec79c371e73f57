/** The platforms of the contract suite: this process, and pages of a headless Chromium. */
import { truncate } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { build, mergeConfig } from 'vite';
import { isolationHeaders } from '../../src/server/studio-headers.ts';
import { Star } from '../../src/tasks/star.ts';
import { siteOptions } from '../../web/site.ts';
import { chromiumPath } from '../browsers.ts';
import { createScenarios, type Scenarios } from './scenarios.ts';
import { serveFolder } from './static-server.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const checkpoint = 'checkpoints/STAR-nano.safetensors';

/** Runs a scenario by name, wherever the platform is. */
export type Run = <Name extends keyof Scenarios>(
  name: Name,
  ...args: Parameters<Scenarios[Name]>
) => Promise<Awaited<ReturnType<Scenarios[Name]>>>;

export interface Platform extends AsyncDisposable {
  readonly run: Run;
}

/** Builds a page with the scenarios in it, and the nano model beside it. */
export async function buildSite(outDir: string): Promise<void> {
  const root = path.join(repository, 'test/contract/page');
  const own = { root, build: { outDir }, configFile: false as const, logLevel: 'warn' as const };
  await build(mergeConfig(siteOptions('models/nano'), own));
}

/** Cuts the checkpoint of a model folder in the middle. */
export function cutCheckpoint(model: string): Promise<void> {
  return truncate(path.join(model, checkpoint), 1 << 20);
}

export async function nodePlatform(): Promise<Platform> {
  const scenarios = createScenarios((model, options) => Star.load(model, options));
  return {
    run: (name, ...args) => (scenarios[name] as (...args: unknown[]) => Promise<never>)(...(args as unknown[])),
    async [Symbol.asyncDispose]() {},
  };
}

export interface BrowserPlatformOptions {
  readonly site: string;
  /** With the headers that let a page use several threads. */
  readonly isolated: boolean;
  /** With WebGPU, computed by SwiftShader on the CPU. */
  readonly webgpu: boolean;
}

export async function browserPlatform({ site, isolated, webgpu }: BrowserPlatformOptions): Promise<Platform> {
  const server = await serveFolder(site, isolated ? isolationHeaders : {});
  const browser = await chromium.launch({
    executablePath: chromiumPath!,
    args: ['--no-sandbox', ...(webgpu ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] : [])],
  });
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => 'contract' in window);
  return {
    run: (name, ...args) =>
      page.evaluate(([name, args]) => (window.contract[name] as (...args: unknown[]) => Promise<never>)(...args), [
        name,
        args as unknown[],
      ] as const),
    async [Symbol.asyncDispose]() {
      await browser.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
