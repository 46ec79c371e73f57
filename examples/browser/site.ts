/** What a Vite build of a page over `starstack/browser` needs; the contract test builds its page with it too. */
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { defaultClientConditions, type Plugin, type UserConfig } from 'vite';
import { writeManifest } from '../../src/models/write-manifest.ts';

export interface SiteOptions {
  /** Holds `index.html`. */
  readonly root: string;
  /** This repository. */
  readonly repository: string;
  readonly outDir: string;
  /** A model folder below the repository; in the site it lies at the same path. */
  readonly model: string;
}

/** The build with and the build without WebGPU; a page loads one of them. */
const runtimeFiles = ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.asyncify'];

export function siteOptions({ root, repository, outDir, model }: SiteOptions): UserConfig {
  return {
    root,
    // The site works below any path of a server.
    base: './',
    resolve: {
      alias: { 'starstack/browser': path.join(repository, 'src/browser.ts') },
      // ONNX Runtime without a copy of its wasm file inside of the script.
      conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions],
    },
    build: { outDir, emptyOutDir: true, target: 'es2022' },
    worker: { format: 'es' },
    plugins: [fromSource(), siteFiles(repository, outDir, model)],
  };
}

/** The worker's file by the name that it has before TypeScript compiles it. */
function fromSource(): Plugin {
  return {
    name: 'starstack-from-source',
    enforce: 'pre',
    transform: (code, id) =>
      id.endsWith('/browser-host.ts') ? code.replace('./browser-worker.js', './browser-worker.ts') : undefined,
  };
}

function siteFiles(repository: string, outDir: string, model: string): Plugin {
  return {
    name: 'starstack-site-files',
    async closeBundle() {
      const from = path.join(repository, 'node_modules/onnxruntime-web/dist');
      await mkdir(path.join(outDir, 'ort'), { recursive: true });
      for (const name of runtimeFiles.flatMap((each) => [`${each}.mjs`, `${each}.wasm`])) {
        await cp(path.join(from, name), path.join(outDir, 'ort', name));
      }
      await cp(path.join(repository, model), path.join(outDir, model), { recursive: true });
      await writeManifest(path.join(outDir, model));
    },
  };
}
