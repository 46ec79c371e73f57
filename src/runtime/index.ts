/** Runs compiled programs: sessions in a worker thread, devices and why one was chosen, memory, disposal. */
export type { DeviceChoice, DeviceRequest } from './device.ts';
export { DisposedError, RuntimeError, type RuntimeErrorCode } from './error.ts';
export type { Feeds } from './feeds.ts';
export type { RemoteMemory, RuntimeMemory, SessionMemory } from './memory.ts';
export type { Device, LogLevel, OptimizationLevel } from './protocol.ts';
export { RemoteTensor } from './remote-tensor.ts';
export { Runtime, type RuntimeOptions } from './runtime.ts';
export type { RunOptions, RunResult, RunResultKeeping, Session } from './session.ts';
export { type LoadOptions, WorkerRuntime } from './worker-runtime.ts';
