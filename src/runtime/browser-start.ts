/** What a browser's runtime and its web worker say to each other before the first request. */
import type { EngineSettings, Reply } from './protocol.ts';

/** The first message to the worker. */
export interface BrowserStart {
  readonly settings: EngineSettings;
  /** URL of the folder that holds ONNX Runtime's `ort-wasm-*` files, with a slash at its end. */
  readonly runtimeFiles: string;
}

/** Sent once, before the first program with weights is loaded. */
export interface BrowserWeights {
  /** Files with weights by the location that programs name. A Blob crosses to the worker without its bytes. */
  readonly weights: ReadonlyMap<string, Blob>;
}

/** What the worker sends: answers, or that ONNX Runtime itself could not be started. */
export type BrowserReply = Reply | { readonly startError: string };
