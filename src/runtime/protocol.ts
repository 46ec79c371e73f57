/** What a runtime and its worker say to each other. Plain data, so that it crosses a thread in Node and in a browser. */
import type { CompiledProgram } from '../tensor/compiled.ts';
import type { DType } from '../tensor/dtype.ts';
import type { TensorValue } from '../tensor/value.ts';

export type Device = 'cpu' | 'webgpu';

/** How much ONNX Runtime prints to standard error; errors are thrown as well, so that `fatal` hides nothing of a run. */
export const logLevels = ['verbose', 'info', 'warning', 'error', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];

/** How far ONNX Runtime rewrites a graph before it runs. */
export const optimizationLevels = ['disabled', 'basic', 'extended', 'layout', 'all'] as const;
export type OptimizationLevel = (typeof optimizationLevels)[number];

/** What a worker is told when it starts. */
export interface EngineSettings {
  readonly device: Device;
  readonly threads: number;
  readonly logLevel: LogLevel;
}

/** How a program is loaded; every option is settled by the time it is sent. */
export interface LoadSettings {
  readonly weightsFolder: string | undefined;
  readonly keep: readonly string[];
  readonly threads: number;
  readonly optimization: OptimizationLevel;
  readonly memoryArena: boolean;
  readonly memoryPattern: boolean;
  /** Session configuration entries of ONNX Runtime. */
  readonly config: Readonly<Record<string, string>>;
}

/** A tensor that is sent, or the number of one that the worker has. */
export type WireFeed = { readonly value: TensorValue } | { readonly remote: number };

/** An output that a run must give: sent back, or kept under a number. */
export interface WireOutput {
  readonly name: string;
  readonly keepAs?: number;
}

/** The type and size of a tensor that stays in the worker. */
export interface RemoteDescription {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** One name per kind of request: what is asked, and what is answered. */
export interface Requests {
  load: {
    readonly ask: { readonly session: number; readonly program: CompiledProgram; readonly settings: LoadSettings };
    readonly answer: undefined;
  };
  run: {
    readonly ask: {
      readonly session: number;
      readonly feeds: readonly (readonly [name: string, feed: WireFeed])[];
      readonly outputs: readonly WireOutput[];
    };
    /** One entry for each output asked for, in that order. */
    readonly answer: readonly (TensorValue | RemoteDescription)[];
  };
  upload: { readonly ask: { readonly remote: number; readonly value: TensorValue }; readonly answer: undefined };
  read: { readonly ask: { readonly remote: number }; readonly answer: TensorValue };
  /** Frees sessions with all that they own, and single tensors. */
  release: {
    readonly ask: { readonly sessions: readonly number[]; readonly remotes: readonly number[] };
    readonly answer: undefined;
  };
  /** Frees everything; the worker ends after its answer. */
  stop: { readonly ask: Readonly<Record<string, never>>; readonly answer: undefined };
}

export type RequestKind = keyof Requests;

export type Request = {
  [Kind in RequestKind]: { readonly id: number; readonly kind: Kind; readonly ask: Requests[Kind]['ask'] };
}[RequestKind];

export type Reply =
  | { readonly id: number; readonly answer: Requests[RequestKind]['answer'] }
  | { readonly id: number; readonly error: unknown };
