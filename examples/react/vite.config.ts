/** What Vite must know of `starstack/browser`; `docs/library.md` says which files go into `public/`. */
import { defaultClientConditions, defineConfig } from 'vite';

// Pages with these headers may use several threads; the server that holds the built page must send them too.
const headers = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

export default defineConfig({
  // The page works below any path of a server.
  base: './',
  // ONNX Runtime without a copy of its wasm file inside of the script.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  worker: { format: 'es' },
  // Its worker is found beside it.
  optimizeDeps: { exclude: ['starstack'] },
  server: { headers },
  preview: { headers },
});
