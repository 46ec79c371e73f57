/**
 * What tests of several files build alike is built once in a run, by the first that needs it. `shared-builds-setup.ts` gives
 * the folder for that, and removes it at the end.
 */
import { mkdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    readonly sharedBuilds: string;
  }
}

const pollMs = 100;
const patienceMs = 120_000;

/**
 * @param build fills the folder that it is given; called in one of the workers alone
 * @returns the folder, for reading only
 */
export async function sharedBuild(name: string, build: (folder: string) => Promise<void>): Promise<string> {
  const folder = path.join(inject('sharedBuilds'), name);
  const begun = `${folder}.begun`;
  const unfinished = `${folder}.unfinished`;
  const failed = `${folder}.failed`;
  try {
    await mkdir(begun);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(pollMs)) {
      if (await exists(folder)) return folder;
      if (await exists(failed)) break;
    }
    throw new Error(`the build of ${name} that another file began has failed or is not done`);
  }
  try {
    await mkdir(unfinished);
    await build(unfinished);
    await rename(unfinished, folder);
  } catch (error) {
    await mkdir(failed);
    throw error;
  }
  return folder;
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
