/** The entry of the web worker: ONNX Runtime for the web behind the same protocol as the worker thread of Node. */
import type { BrowserStart, BrowserWeights } from './browser-start.ts';
import { Engine, type OnnxRuntime, serve } from './engine.ts';
import type { Request } from './protocol.ts';

type WebRuntime = typeof import('onnxruntime-web/wasm');

/** The parts of a worker's global scope that are used; the DOM's types describe a page. */
interface WorkerScope {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(
    type: 'message',
    listener: (event: MessageEvent<BrowserStart | BrowserWeights | Request>) => void,
  ): void;
}
const scope = globalThis as unknown as WorkerScope;

/** Loads the build for the device: the one with WebGPU is twice as large. */
async function loadRuntime({ settings, runtimeFiles }: BrowserStart): Promise<WebRuntime> {
  const gpu = settings.device === 'webgpu';
  const ort: WebRuntime = gpu ? await import('onnxruntime-web/webgpu') : await import('onnxruntime-web/wasm');
  const name = `${runtimeFiles}ort-wasm-simd-threaded${gpu ? '.asyncify' : ''}`;
  ort.env.wasm.wasmPaths = { mjs: `${name}.mjs`, wasm: `${name}.wasm` };
  ort.env.wasm.numThreads = settings.threads;
  ort.env.logLevel = settings.logLevel;
  return ort;
}

let giveWeights: (weights: BrowserWeights['weights']) => void;
const weights = new Promise<BrowserWeights['weights']>((resolve) => {
  giveWeights = resolve;
});

async function createEngine(start: BrowserStart): Promise<Engine> {
  const ort = await loadRuntime(start);
  /** Read once, then shared by all sessions; ONNX Runtime copies the tensors that a session uses. */
  let files: Promise<{ path: string; data: Uint8Array }[]> | undefined;
  const read = async () =>
    Promise.all(
      [...(await weights)].map(async ([path, blob]) => ({ path, data: new Uint8Array(await blob.arrayBuffer()) })),
    );
  return new Engine(
    {
      // The same classes as in Node, declared a second time.
      ort: ort as unknown as OnnxRuntime,
      async weightsOptions(folder) {
        if (folder === undefined) return {};
        files ??= read();
        return { externalData: await files };
      },
      hint: () => undefined,
    },
    start.settings,
  );
}

let answer: Promise<(request: Request) => Promise<void>> | undefined;
scope.addEventListener('message', ({ data }) => {
  if ('settings' in data) {
    answer = createEngine(data).then((engine) =>
      serve(engine, (reply, transfer) => scope.postMessage(reply, [...transfer])),
    );
    answer.catch((error: unknown) => scope.postMessage({ startError: String(error) }, []));
  } else if ('weights' in data) giveWeights(data.weights);
  else void answer?.then((serveOne) => serveOne(data)).catch(() => {});
});
