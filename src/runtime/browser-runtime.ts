/** The runtime in a browser: a dedicated web worker, WebGPU where it works, else wasm. */
import { BrowserHost } from './browser-host.ts';
import { type DeviceChoice, type DeviceRequest, deviceRequests } from './device.ts';
import { messageOf, RuntimeError } from './error.ts';
import { operatorModel } from './operator-model.ts';
import type { Device, LogLevel } from './protocol.ts';
import { checkThreads } from './threads.ts';
import { WorkerRuntime } from './worker-runtime.ts';

export interface BrowserRuntimeOptions {
  /** Where programs run. `auto` takes WebGPU where a real GPU is and a program runs on it. Default: `'auto'`. */
  readonly device?: DeviceRequest | undefined;
  /**
   * Threads of wasm, 1 to 1024. More than one needs a cross-origin isolated page; elsewhere one is used, which
   * `warnings` says. Default: the processors that the browser tells of, at most 8.
   */
  readonly threads?: number | undefined;
  /** What ONNX Runtime prints to the console. Errors are thrown as well. Default: `'fatal'`. */
  readonly logLevel?: LogLevel | undefined;
}

/** Something the page should know that was no reason to stop. */
export interface RuntimeWarning {
  readonly code: 'runtime_single_thread' | 'runtime_webgpu_unavailable';
  readonly message: string;
}

export interface StartedRuntime {
  readonly runtime: WorkerRuntime;
  readonly warnings: readonly RuntimeWarning[];
  /**
   * Hands over the files with weights, by the location that programs name, once. Programs with weights that are loaded before
   * wait for them.
   */
  giveWeights(files: ReadonlyMap<string, Blob>): void;
}

const mostThreads = 8;

/** @throws RuntimeError `runtime_option_invalid`, before anything is downloaded for a runtime that cannot be. */
export function checkBrowserRuntime({ device = 'auto', threads }: BrowserRuntimeOptions): void {
  if (threads !== undefined) checkThreads(threads);
  if (deviceRequests.includes(device)) return;
  const message = `device must be one of ${deviceRequests.join(', ')}, got ${device}`;
  throw new RuntimeError('runtime_option_invalid', message, { device });
}

/**
 * Starts a runtime on the device that was asked for, and runs a small program there: what fails on WebGPU makes `auto` take
 * the CPU, with a warning. It needs no weights for that, so that it can start while they are fetched.
 *
 * Throws `RuntimeError`: `runtime_option_invalid`; `runtime_device_unavailable` when WebGPU was asked for by name and does
 * not work; `runtime_dead` and `runtime_program_invalid` when the worker or ONNX Runtime's files cannot be loaded.
 * @param runtimeFiles URL of the folder that holds ONNX Runtime's `ort-wasm-*` files, with a slash at its end
 */
export async function startBrowserRuntime(
  options: BrowserRuntimeOptions,
  runtimeFiles: string,
): Promise<StartedRuntime> {
  checkBrowserRuntime(options);
  const { device: requested = 'auto', logLevel = 'fatal' } = options;
  const { threads, warnings } = chooseThreads(options.threads);
  const start = async (chosen: Device, reason: string): Promise<StartedRuntime> => {
    const device: DeviceChoice = { requested, chosen, reason };
    const host = new BrowserHost({ settings: { device: chosen, threads, logLevel }, runtimeFiles });
    const runtime = new WorkerRuntime({ host, device, threads });
    try {
      await runtime.started();
      await tryProgram(runtime);
      return { runtime, warnings, giveWeights: (files) => host.giveWeights(files) };
    } catch (error) {
      await runtime.dispose();
      throw error;
    }
  };
  if (requested === 'cpu') return start('cpu', 'The CPU was asked for.');
  let problem = await missingAdapter(requested);
  if (problem === undefined) {
    try {
      const why = requested === 'webgpu' ? 'WebGPU was asked for' : 'This browser has a GPU';
      return await start('webgpu', `${why}, and a program ran on it.`);
    } catch (error) {
      problem = messageOf(error).replace(/\.$/, '');
    }
  }
  if (requested === 'webgpu') throw webGpuUnavailable(problem);
  return start('cpu', `WebGPU cannot be used: ${problem}.`);
}

/** That WebGPU was asked for by name and does not work. */
export function webGpuUnavailable(problem: string): RuntimeError {
  return new RuntimeError(
    'runtime_device_unavailable',
    `WebGPU was asked for, but it cannot be used here: ${problem}. Use the device cpu or auto`,
    { requested: 'webgpu', reason: problem },
  );
}

function chooseThreads(wanted: number | undefined): { threads: number; warnings: RuntimeWarning[] } {
  const asked = wanted === undefined ? Math.min(navigator.hardwareConcurrency || 1, mostThreads) : checkThreads(wanted);
  if (asked === 1 || globalThis.crossOriginIsolated) return { threads: asked, warnings: [] };
  const message =
    `one thread instead of ${asked}: the page is not cross-origin isolated; serve it with the headers ` +
    'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  return { threads: 1, warnings: [{ code: 'runtime_single_thread', message }] };
}

/** The part of WebGPU's interface that is asked here; TypeScript's DOM does not have it yet. */
interface Gpu {
  requestAdapter(): Promise<{ readonly info?: { readonly isFallbackAdapter?: boolean } } | null>;
}

/** Why there is no adapter worth trying, as a clause; undefined where there is one. */
async function missingAdapter(requested: DeviceRequest): Promise<string | undefined> {
  const { gpu } = navigator as unknown as { readonly gpu?: Gpu };
  if (!gpu) return 'this browser has no WebGPU, or the page is not in a secure context';
  const adapter = await gpu.requestAdapter().catch(() => null);
  if (!adapter) return 'the browser gives no graphics adapter';
  // A software adapter is slower than wasm: it is used only by those who ask for WebGPU by name.
  const software = adapter.info?.isFallbackAdapter === true && requested === 'auto';
  return software ? 'the only graphics adapter is software' : undefined;
}

/** Throws unless the device can add. */
async function tryProgram(runtime: WorkerRuntime): Promise<void> {
  const port = (name: string) => ({ name, dtype: 'float32' as const, shape: ['n'] });
  const model = operatorModel('Add', 2, 'float32');
  await using session = await runtime.load({ name: 'probe', model, inputs: [port('x')], outputs: [port('y')] });
  const { y } = await session.run({ x: { dtype: 'float32', shape: [2], data: Float32Array.of(1.5, -2) } });
  const sum = y && 'data' in y ? Array.from(y.data, Number) : [];
  if (sum[0] !== 3 || sum[1] !== -4) throw new Error(`it computed 1.5 + 1.5 and -2 - 2 as ${sum.join(' and ')}`);
}
