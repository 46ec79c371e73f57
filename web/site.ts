/**
 * What a Vite build of a page over `starstack/browser` needs: for the studio as a static site, for the example, and for the
 * contract test.
 */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultClientConditions, type Plugin, type UserConfig } from 'vite';
import { writeManifest } from '../src/models/write-manifest.ts';
import { isolationHeaders } from '../src/server/studio-headers.ts';

const repository = fileURLToPath(new URL('..', import.meta.url));

/** The build with and the build without WebGPU; a page loads one of them. */
const runtimeFiles = ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.asyncify'];

/**
 * @param model a model folder below the repository; in the site it lies at the same path
 * @param headers that the site wants to be served with
 */
export function siteOptions(model: string, headers = isolationHeaders): UserConfig {
  return {
    // The site works below any path of a server.
    base: './',
    resolve: {
      alias: { 'starstack/browser': path.join(repository, 'src/browser.ts') },
      // ONNX Runtime without a copy of its wasm file inside of the script.
      conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions],
    },
    build: { emptyOutDir: true, target: 'es2022' },
    preview: { headers },
    worker: { format: 'es' },
    plugins: [fromSource(), siteFiles(model, headers)],
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

function siteFiles(model: string, headers: Readonly<Record<string, string>>): Plugin {
  let outDir: string;
  return {
    name: 'starstack-site-files',
    configResolved({ root, build }) {
      outDir = path.resolve(root, build.outDir);
    },
    async closeBundle() {
      const from = path.join(repository, 'node_modules/onnxruntime-web/dist');
      await mkdir(path.join(outDir, 'ort'), { recursive: true });
      for (const name of runtimeFiles.flatMap((each) => [`${each}.mjs`, `${each}.wasm`])) {
        await cp(path.join(from, name), path.join(outDir, 'ort', name));
      }
      await cp(path.join(repository, model), path.join(outDir, model), { recursive: true });
      await writeManifest(path.join(outDir, model));
      await writeFile(path.join(outDir, '_headers'), headersFile(headers));
    },
  };
}

/** The form that Netlify and Cloudflare Pages read; other servers need the same lines in their own. */
function headersFile(headers: Readonly<Record<string, string>>): string {
  return `/*\n${Object.entries(headers)
    .map(([name, value]) => `  ${name}: ${value}\n`)
    .join('')}`;
}
