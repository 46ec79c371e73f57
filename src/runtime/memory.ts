/** How many bytes tensors hold: simple accounting, for whoever inspects a runtime. */
import type { PortType } from '../tensor/compiled.ts';
import { type DType, dtypes } from '../tensor/dtype.ts';

/** Bytes of a tensor's elements. */
export function tensorBytes(dtype: DType, shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1) * dtypes[dtype].bytes;
}

/** Bytes of a port; undefined when a size is known only when the program runs. */
export interface PortMemory extends PortType {
  readonly bytes: number | undefined;
}

/** Tensors that stay in the worker. */
export interface RemoteMemory {
  readonly count: number;
  readonly bytes: number;
}

export interface SessionMemory {
  readonly program: string;
  /** Bytes of the serialized model, without weights in other files; ONNX Runtime's own copies and scratch are not seen. */
  readonly modelBytes: number;
  readonly inputs: readonly PortMemory[];
  readonly outputs: readonly PortMemory[];
  /** Outputs of this session that were kept and not disposed yet. */
  readonly remote: RemoteMemory;
}

export interface RuntimeMemory {
  readonly sessions: readonly SessionMemory[];
  /** All tensors in the worker: those that sessions kept, and those that were uploaded. */
  readonly remote: RemoteMemory;
}

/** The ports with their sizes in bytes, as far as these do not depend on the run. */
export function portMemory(ports: readonly PortType[]): PortMemory[] {
  return ports.map((port) => ({
    ...port,
    bytes: port.shape.every((size) => typeof size === 'number') ? tensorBytes(port.dtype, port.shape) : undefined,
  }));
}

/** The sum over tensors. */
export function remoteMemory(tensors: Iterable<{ readonly byteLength: number }>): RemoteMemory {
  let count = 0;
  let bytes = 0;
  for (const tensor of tensors) {
    count++;
    bytes += tensor.byteLength;
  }
  return { count, bytes };
}
