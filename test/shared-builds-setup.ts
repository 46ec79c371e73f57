/** A folder for `shared-builds.ts`: vitest calls this before a run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(tmpdir(), 'starstack-builds-'));
  project.provide('sharedBuilds', folder);
  return () => rm(folder, { recursive: true, force: true });
}
