import { fileURLToPath } from 'node:url';

/** How to start a file of this folder in a thread or process of its own. */
export interface Entry {
  readonly url: URL;
  readonly path: string;
  /** Options for Node that stand before the file. */
  readonly execArgv: string[];
}

/**
 * The entry called `name`: built it is JavaScript; while this runs from source it is TypeScript, which Node runs with
 * the development dependency tsx.
 */
export function entry(name: 'worker' | 'probe'): Entry {
  const here = import.meta.url;
  const fromSource = here.endsWith('.ts');
  const url = new URL(`./${name}.${fromSource ? 'ts' : 'js'}`, here);
  const execArgv = fromSource ? ['--import', new URL('./typescript-loader.mjs', here).href] : [];
  return { url, path: fileURLToPath(url), execArgv };
}
