import { cpus } from 'node:os';
import { readProcessorFacts, usableCores } from './cores.ts';
import { type DeviceChoice, type DeviceRequest, deviceRequests } from './device.ts';
import { RuntimeError } from './error.ts';
import { NodeHost } from './node-host.ts';
import { type LogLevel, logLevels } from './protocol.ts';
import { checkThreads } from './threads.ts';
import { missingGpu, webGpuProblem } from './webgpu.ts';
import { WorkerRuntime } from './worker-runtime.ts';

export interface RuntimeOptions {
  /** Where programs run. `auto` takes WebGPU where it works. Default: `'auto'`. */
  readonly device?: DeviceRequest | undefined;
  /** Threads inside an operator, 1 to 1024. Default: the physical cores that this process may use. */
  readonly threads?: number | undefined;
  /** What ONNX Runtime prints to standard error. Errors are thrown as well. Default: `'fatal'`. */
  readonly logLevel?: LogLevel | undefined;
}

/** A runtime in a worker thread of this process. See `WorkerRuntime` for what it does. */
export class Runtime extends WorkerRuntime {
  /**
   * Starts the worker.
   *
   * Throws `RuntimeError`: `runtime_option_invalid`; `runtime_device_unavailable` with the reason when the device that
   * was asked for cannot be had; `runtime_dead` when the worker cannot start, say because ONNX Runtime has no build for
   * this platform.
   */
  static async create(options: RuntimeOptions = {}): Promise<Runtime> {
    const { device: request = 'auto', logLevel = 'fatal' } = options;
    checkOneOf('device', request, deviceRequests);
    checkOneOf('logLevel', logLevel, logLevels);
    const threads = options.threads === undefined ? usableCores(readProcessorFacts()) : checkThreads(options.threads);
    const device = await chooseDevice(request);
    const host = new NodeHost({ device: device.chosen, threads, logLevel });
    const runtime = new Runtime({ host, device, threads });
    await runtime.started();
    return runtime;
  }
}

/** Decides between WebGPU and the CPU. */
export async function chooseDevice(requested: DeviceRequest): Promise<DeviceChoice> {
  if (requested === 'cpu') return { requested, chosen: 'cpu', reason: 'The CPU was asked for.' };
  // A software adapter is slower than the CPU itself: it is used only by those who ask for WebGPU by name.
  const missing = requested === 'auto' ? missingGpu() : undefined;
  const problem = missing ?? (await webGpuProblem());
  if (problem === undefined) {
    const why = requested === 'webgpu' ? 'WebGPU was asked for' : 'This machine has a GPU';
    return { requested, chosen: 'webgpu', reason: `${why}, and a program ran on it.` };
  }
  if (requested === 'webgpu') {
    throw new RuntimeError(
      'runtime_device_unavailable',
      `WebGPU was asked for, but it cannot be used here: ${problem}. Use the device cpu or auto, or install a graphics driver`,
      { requested, reason: problem },
    );
  }
  const model = cpus()[0]?.model.trim();
  return { requested, chosen: 'cpu', reason: `WebGPU cannot be used: ${problem}. The CPU is ${model ?? 'unnamed'}.` };
}

function checkOneOf(option: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new RuntimeError('runtime_option_invalid', `${option} must be one of ${allowed.join(', ')}, got ${value}`);
}
